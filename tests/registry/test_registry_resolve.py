"""What a reference names is found out exactly, or refused with the reason."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.reference import parse, source_of
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.registry import manifest as media
from sockerless_ecs.registry.config import read_config
from sockerless_ecs.registry.login import challenge
from tests.registry.conftest import QUICK, no_login
from tests.registry.content import AMD64, ARM64, CONFIG, Content, index, sha256, to_json
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

_NAMES = st.sampled_from(
    [
        "schemaVersion",
        "mediaType",
        "manifests",
        "config",
        "layers",
        "digest",
        "size",
        "platform",
        "architecture",
        "os",
        "variant",
        "Env",
        "Cmd",
        "Labels",
        "Healthcheck",
        "Test",
        "rootfs",
        "diff_ids",
        "created",
    ]
)


@pytest.fixture
def content(registry: ScriptedRegistry) -> Content:
    content = Content()
    registry.answer = content
    return content


@pytest.mark.parametrize("media_type", [media.OCI_MANIFEST, media.DOCKER_MANIFEST])
async def test_image_has_everything_of_its_configuration(
    client: RegistryClient, content: Content, media_type: str
) -> None:
    digest = content.image(media_type=media_type, tag="3")
    image = (await client.resolve(parse("alpine:3"), AMD64)).image
    assert image.ref == "docker.io/library/alpine:3"
    assert (image.digest, image.manifest_digest) == (digest, digest)
    assert image.id == sha256(to_json(CONFIG))
    assert (image.architecture, image.os, image.author) == ("amd64", "linux", "me")
    assert image.created == "2026-01-01T00:00:00Z"
    assert image.size_bytes == 1000
    assert image.layers == ("sha256:" + "1" * 64,)
    assert image.config.user == "1000:1000"
    assert image.config.env == ("PATH=/bin", "A=b")
    assert image.config.cmd == ("-c", "true")
    assert image.config.entrypoint == ("/bin/sh",)
    assert image.config.working_dir == "/work"
    assert image.config.labels == {"a": "b"}
    assert image.config.exposed_ports == ("53/udp", "80/tcp")
    assert image.config.volumes == ("/data",)
    assert image.config.stop_signal == "SIGINT"
    check = Healthcheck(test=("CMD", "true"), interval_ns=5, start_period_ns=7, retries=3)
    assert image.config.healthcheck == check
    assert source_of(image).full == f"docker.io/library/alpine@{digest}"


@pytest.mark.parametrize(
    "config", [{}, {"config": None, "rootfs": None}, {"config": {"Env": None, "Cmd": None}}]
)
async def test_configuration_may_leave_out_what_it_likes(
    client: RegistryClient, content: Content, config: object
) -> None:
    content.image(config, tag="latest")
    image = (await client.resolve(parse("alpine"), AMD64)).image
    assert image.config.cmd is None
    assert image.config.env == ()
    assert image.architecture == "amd64"


@pytest.mark.parametrize("media_type", [media.OCI_INDEX, media.DOCKER_LIST])
async def test_index_leads_to_the_platforms_manifest(
    client: RegistryClient, content: Content, media_type: str
) -> None:
    amd64 = content.image()
    arm64 = content.image({**CONFIG, "architecture": "arm64", "variant": "v8"})
    top = content.manifest(
        index(
            ("sha256:" + "0" * 64, {"os": "unknown", "architecture": "unknown"}),
            ("sha256:" + "3" * 64, {"os": "linux", "architecture": "amd64", "variant": "v3"}),
            ("sha256:" + "4" * 64, {"os": "windows", "architecture": "amd64"}),
            (arm64, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
            (amd64, {"os": "linux", "architecture": "amd64"}),
        ),
        media_type,
        "latest",
    )
    for platform, expected in ((AMD64, amd64), (ARM64, arm64)):
        image = (await client.resolve(parse("alpine"), platform)).image
        assert (image.digest, image.manifest_digest) == (top, expected)
    by_digest = (await client.resolve(parse(f"alpine@{top}"), ARM64)).image
    assert by_digest.manifest_digest == arm64


async def test_index_in_an_index_is_followed_but_not_for_ever(
    client: RegistryClient, content: Content
) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    inner = content.manifest(index((content.image(), platform)), media.OCI_INDEX)
    content.manifest(index((inner, platform)), media.OCI_INDEX, "two")
    assert (await client.resolve(parse("alpine:two"), AMD64)).image.architecture == "amd64"
    for _ in range(3):
        inner = content.manifest(index((inner, platform)), media.OCI_INDEX, "deep")
    with pytest.raises(Unavailable, match="nests too deep"):
        await client.resolve(parse("alpine:deep"), AMD64)


async def test_missing_platform_is_told_in_dockers_words(client: RegistryClient, content: Content) -> None:
    entry = (content.image(tag="single"), {"os": "linux", "architecture": "amd64"})
    content.manifest(index(entry), media.OCI_INDEX, "multi")
    with pytest.raises(NotFound, match="no matching manifest for linux/arm64 in the manifest list entries"):
        await client.resolve(parse("alpine:multi"), ARM64)
    with pytest.raises(NotFound, match=r"platform \(linux/amd64\) does not match .* \(linux/arm64\)"):
        await client.resolve(parse("alpine:single"), ARM64)


def broken(name: str, content: Content) -> None:  # noqa: C901, PLR0912 - a list of cases
    good = content.image(tag="latest")
    match name:
        case "web page":
            content.manifests["latest"] = ("text/html; charset=utf-8", b"<html>Please log in</html>")
        case "page of no type":
            content.manifests["latest"] = ("", b"  <!doctype html>")
        case "no JSON":
            content.manifests["latest"] = (media.OCI_MANIFEST, b"\xff\xfe{")
        case "array":
            content.manifests["latest"] = (media.OCI_MANIFEST, b"[]")
        case "deep":
            content.manifests["latest"] = (media.OCI_MANIFEST, b'{"x":' + b"[" * 100_000)
        case "empty":
            content.manifests["latest"] = (media.OCI_MANIFEST, b"")
        case "neither":
            content.manifest({"schemaVersion": 2}, media.OCI_MANIFEST, "latest")
        case "both":
            content.image(tag="latest", manifests=[])
        case "index called manifest":
            content.manifest(index((good, None)), media.OCI_MANIFEST, "latest")
        case "bad digest":
            content.manifest(index(("sha256:../../x", None)), media.OCI_INDEX, "latest")
        case "large":
            content.manifests["latest"] = (media.OCI_MANIFEST, b" " * ((4 << 20) + 1))
        case "config altered":
            content.blobs = {digest: data + b" " for digest, data in content.blobs.items()}
        case "config no JSON":
            data = b"no"
            descriptor = {"mediaType": media.OCI_CONFIG, "digest": content.blob(data), "size": 2}
            document = {"schemaVersion": 2, "config": descriptor, "layers": []}
            content.manifest(document, media.OCI_MANIFEST, "latest")
        case "config of wrong types":
            content.image({"config": {"Env": "A=b"}}, tag="latest")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("web page", "a web page came instead of a manifest"),
        ("page of no type", "a web page came instead of a manifest"),
        ("no JSON", "the registry sent no manifest"),
        ("array", "the registry sent no manifest"),
        ("deep", "the registry sent no manifest"),
        ("empty", "the registry sent no manifest"),
        ("neither", "a manifest without a configuration"),
        ("both", "a manifest that is also an index"),
        ("index called manifest", "something that is not the"),
        ("bad digest", "a bad digest or size"),
        ("large", "more than the 4 MiB"),
        ("config altered", "does not match sha256:"),
        ("config no JSON", "its configuration cannot be read"),
        ("config of wrong types", "its configuration cannot be read"),
    ],
)
async def test_what_no_registry_should_send_is_refused(
    client: RegistryClient, content: Content, name: str, message: str
) -> None:
    broken(name, content)
    with pytest.raises(Unavailable, match=message):
        await client.resolve(parse("alpine"), AMD64)


async def test_manifest_that_is_not_what_its_digest_says_is_refused(
    client: RegistryClient, content: Content
) -> None:
    digest = content.image()
    content.manifests[digest] = (media.OCI_MANIFEST, content.manifests[digest][1] + b" ")
    with pytest.raises(Unavailable, match="does not match"):
        await client.resolve(parse(f"alpine@{digest}"), AMD64)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"schemaVersion": 1, "name": "x", "fsLayers": []}, "schema 1"),
        (
            {
                "schemaVersion": 2,
                "config": {
                    "mediaType": "application/vnd.cncf.helm.config.v1+json",
                    "digest": "sha256:" + "1" * 64,
                },
                "layers": [],
            },
            "is not a container image but application/vnd.cncf.helm",
        ),
    ],
)
async def test_what_is_no_image_is_refused(
    client: RegistryClient, content: Content, document: object, message: str
) -> None:
    content.manifest(document, "application/json", "latest")
    with pytest.raises(InvalidParameter, match=message):
        await client.resolve(parse("alpine"), AMD64)


async def test_endless_answer_is_cut_off(client: RegistryClient, registry: ScriptedRegistry) -> None:
    """Memory stays bounded whatever a registry sends."""
    sent = itertools.count()
    registry.answer = lambda _asked: Said(200, (bytes(1 << 16) for _ in sent))
    with pytest.raises(Unavailable, match="more than the 4 MiB"):
        await client.resolve(parse("alpine"), AMD64)
    assert next(sent) < 1000


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (404, "MANIFEST_UNKNOWN", "manifest for alpine:3 not found: manifest unknown: why"),
        (404, "", "manifest for alpine:3 not found: manifest unknown"),
        (404, "NAME_UNKNOWN", "repository alpine not found: name unknown: why"),
        (
            403,
            "DENIED",
            "pull access denied for alpine, repository does not exist or may require 'docker login'",
        ),
        (401, "UNAUTHORIZED", "pull access denied for alpine, repository does not exist or may require "),
    ],
)
async def test_what_is_not_there_is_told_in_dockers_words(
    client: RegistryClient, registry: ScriptedRegistry, status: int, code: str, message: str
) -> None:
    body = to_json({"errors": [{"code": code, "message": "why"}]}) if code else b"nope"
    registry.answer = lambda _asked: Said(status, body)
    with pytest.raises(NotFound) as missing:
        await client.resolve(parse("alpine:3"), AMD64)
    assert str(missing.value).startswith(message)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_passing_failure_is_tried_again(
    client: RegistryClient, registry: ScriptedRegistry, content: Content, status: int
) -> None:
    content.image(tag="latest")
    failures = iter([status, status])

    def answer(asked: Asked) -> Said:
        failure = next(failures, None)
        return Said(failure, b"busy") if failure else content(asked)

    registry.answer = answer
    assert (await client.resolve(parse("alpine"), AMD64)).image.architecture == "amd64"
    assert len(registry.asked) == 4


async def test_lasting_failure_is_unavailable_with_the_registrys_reason(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    reason = {"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached\x1b your pull rate limit"}]}
    registry.answer = lambda _asked: Said(429, to_json(reason))
    with pytest.raises(Unavailable, match="toomanyrequests: You have reached your pull rate limit"):
        await client.resolve(parse("alpine"), AMD64)
    assert len(registry.asked) == QUICK.attempts


async def test_registry_that_wants_a_long_wait_is_not_waited_for(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    registry.answer = lambda _asked: Said(429, headers={"Retry-After": "3600"})
    with pytest.raises(Unavailable):
        await client.resolve(parse("alpine"), AMD64)
    assert len(registry.asked) == 1


async def test_registry_that_is_not_there_is_unavailable() -> None:
    with trio.socket.socket() as unused:
        await unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        async with RegistryClient({}, (), no_login, retries=QUICK) as client:
            with pytest.raises(Unavailable, match=f"registry {host} cannot be reached"):
                await client.resolve(parse(f"{host}/x"), AMD64)


async def test_cancelled_request_leaves_the_client_usable(
    client: RegistryClient, registry: ScriptedRegistry, content: Content
) -> None:
    content.image(tag="latest")
    with trio.CancelScope() as scope:
        scope.cancel()
        await client.resolve(parse("alpine"), AMD64)
    assert scope.cancelled_caught
    assert (await client.resolve(parse("alpine"), AMD64)).image.architecture == "amd64"


async def test_mirror_stands_in_for_its_registry_alone(registry: ScriptedRegistry, content: Content) -> None:
    content.image(tag="latest")
    mirrors = {
        "docker.io": "http://127.0.0.1:9",
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com": registry.url + "/",
    }
    async with RegistryClient(mirrors, (), no_login, retries=QUICK) as client:
        image = (await client.resolve(parse("123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b"), AMD64)).image
        assert image.ref == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/a/b:latest"
        assert (await client.resolve(parse(f"{registry.host}/x"), AMD64)).image.architecture == "amd64"
        with pytest.raises(SockerlessError):
            await client.resolve(parse("alpine"), AMD64)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("sha256:" + "1" * 64),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=20,
)


@given(_json, st.sampled_from([*media.MANIFEST_TYPES, "", "application/json", "text/html"]))
def test_any_json_is_a_manifest_or_refused(document: object, media_type: str) -> None:
    try:
        assert media.read_manifest(to_json(document), media_type, "x").media_type is not None
    except SockerlessError:
        return


@given(_json)
def test_any_json_is_a_configuration_or_refused(document: object) -> None:
    try:
        assert isinstance(read_config(to_json(document), "x").config.env, tuple)
    except SockerlessError:
        return


@given(st.text(alphabet='Bearersic= ",\\\t1', max_size=60))
def test_any_challenge_is_read_or_passed_over(header: str) -> None:
    found = challenge(header)
    assert found is None or found.scheme in ("basic", "bearer")


async def test_what_is_left_of_the_pulls_that_are_allowed_is_logged(
    client: RegistryClient, registry: ScriptedRegistry, content: Content
) -> None:
    content.image(tag="latest")
    told = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "7;w=21600"}
    registry.answer = lambda asked: replace(content(asked), headers={**content(asked).headers, **told})
    with capture_logs() as logs:
        await client.resolve(parse("alpine"), AMD64)
    found = [line for line in logs if line["event"] == "registry_rate_limit"]
    assert found
    assert {(line["registry"], line["remaining"], line["limit"]) for line in found} == {
        ("docker.io", "7;w=21600", "100;w=21600")
    }


async def test_too_many_requests_are_told_in_the_registry_s_own_words(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    words = "You have reached your pull rate limit."
    body = to_json({"errors": [{"code": "TOOMANYREQUESTS", "message": words}]})
    registry.answer = lambda _: Said(429, body)
    with pytest.raises(Unavailable) as refused:
        await client.resolve(parse("alpine"), AMD64)
    assert str(refused.value) == f"toomanyrequests: {words}"
