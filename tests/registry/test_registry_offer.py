"""What a registry has under a name is told for all platforms, without a layer being asked for."""

from __future__ import annotations

import pytest

from sockerless_ecs.errors import InvalidParameter, NotFound, Unauthorized, Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.offers import OfferedPlatform
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.registry import manifest as media
from tests.registry.content import CONFIG, Content, index, sha256, to_json
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

ME = Login(username="me", password="hush")


@pytest.fixture
def content(registry: ScriptedRegistry) -> Content:
    content = Content()
    registry.answer = content
    return content


@pytest.mark.parametrize("media_type", [media.OCI_INDEX, media.DOCKER_LIST])
async def test_an_index_tells_its_platforms(
    client: RegistryClient, content: Content, registry: ScriptedRegistry, media_type: str
) -> None:
    document = index(
        ("sha256:" + "1" * 64, {"os": "linux", "architecture": "amd64"}),
        ("sha256:" + "2" * 64, {"os": "linux", "architecture": "arm64", "variant": "v8"}),
        ("sha256:" + "3" * 64, {"os": "windows", "architecture": "amd64", "os.version": "10.0.1"}),
        ("sha256:" + "4" * 64, None),
    )
    digest = content.manifest(document, media_type, "3")
    offer = await client.offer(parse("alpine:3"))
    size = len(to_json(document))
    assert offer.descriptor == Descriptor(digest=digest, size=size, media_type=media_type)
    assert offer.platforms == (
        OfferedPlatform(architecture="amd64", os="linux"),
        OfferedPlatform(architecture="arm64", os="linux", variant="v8"),
        OfferedPlatform(architecture="amd64", os="windows", os_version="10.0.1"),
    )
    assert registry.paths() == ["/v2/library/alpine/manifests/3"]
    assert (await client.offer(parse(f"alpine@{digest}"))).descriptor.digest == digest


@pytest.mark.parametrize("media_type", [media.OCI_MANIFEST, media.DOCKER_MANIFEST])
async def test_a_single_manifest_tells_the_platform_of_its_configuration(
    client: RegistryClient, content: Content, registry: ScriptedRegistry, media_type: str
) -> None:
    digest = content.image({**CONFIG, "variant": "v3"}, media_type=media_type, tag="latest")
    offer = await client.offer(parse("alpine"))
    assert (offer.descriptor.digest, offer.descriptor.media_type) == (digest, media_type)
    assert offer.platforms == (OfferedPlatform(architecture="amd64", os="linux", variant="v3"),)
    assert len(registry.asked) == 2


async def test_a_configuration_that_is_known_is_not_asked_for(
    client: RegistryClient, content: Content, registry: ScriptedRegistry
) -> None:
    content.image(tag="latest")

    async def kept(digest: str) -> bytes | None:
        return to_json(CONFIG) if digest == sha256(to_json(CONFIG)) else None

    assert (await client.offer(parse("alpine"), kept=kept)).platforms[0].os == "linux"
    assert len(registry.asked) == 1


@pytest.mark.parametrize("config", [{}, {"os": None, "architecture": None}])
async def test_a_configuration_that_names_no_platform_tells_none(
    client: RegistryClient, content: Content, config: object
) -> None:
    content.image(config, tag="latest")
    assert (await client.offer(parse("alpine"))).platforms == ()


async def test_what_the_registry_has_not_is_told_in_docker_s_words(
    client: RegistryClient, content: Content, registry: ScriptedRegistry
) -> None:
    with pytest.raises(NotFound, match="manifest for alpine:2 not found: manifest unknown"):
        await client.offer(parse("alpine:2"))
    registry.answer = lambda _: Said(404, b'{"errors":[{"code":"NAME_UNKNOWN"}]}')
    with pytest.raises(NotFound, match="repository nosuch not found: name unknown"):
        await client.offer(parse("nosuch"))
    registry.answer = lambda _: Said(500)
    with pytest.raises(Unavailable, match="HTTP 500"):
        await client.offer(parse("alpine"))


async def test_a_login_is_used_and_a_wrong_one_refused(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    content = Content()
    content.image(tag="latest")

    def answer(asked: Asked) -> Said:
        if asked.headers.get("Authorization") != ME.basic:
            return Said(401, headers={"WWW-Authenticate": "Basic"})
        return content(asked)

    registry.answer = answer
    assert (await client.offer(parse("alpine"), ME)).platforms
    with pytest.raises(Unauthorized, match="unauthorized: authentication required"):
        await client.offer(parse("alpine"), Login(username="me", password="wrong"))
    with pytest.raises(NotFound, match="pull access denied for alpine"):
        await client.offer(parse("alpine"))


async def test_what_is_no_image_is_refused(client: RegistryClient, content: Content) -> None:
    chart = {"mediaType": "application/helm+json", "digest": "sha256:" + "1" * 64, "size": 1}
    content.manifest({"schemaVersion": 2, "config": chart, "layers": []}, media.OCI_MANIFEST, "latest")
    with pytest.raises(InvalidParameter, match="is not a container image but application/helm"):
        await client.offer(parse("chart"))
