"""What is pushed arrives whole, once, and only where it was meant to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sockerless_ecs.agent.image import agent_image, publish
from sockerless_ecs.errors import InvalidParameter, NotFound, Unauthorized, Unavailable
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import Login, RegistryClient, RepositoryTarget
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_INDEX
from sockerless_ecs.sandbox.registry import Registry
from tests.images import ANY_LOGIN, image, push
from tests.registry.conftest import QUICK, no_login
from tests.registry.content import AMD64, ARM64
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

EMPTY_INDEX = b'{"schemaVersion":2,"manifests":[]}'


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    registry = Registry(tmp_path)
    yield registry.serve()
    registry.close()


@pytest.fixture
async def sandbox(port: int) -> AsyncIterator[RegistryClient]:
    mirrors = dict.fromkeys(("docker.io", "ecr.example"), f"http://127.0.0.1:{port}")
    async with RegistryClient(mirrors, (), no_login, retries=QUICK) as client:
        yield client


@pytest.fixture
def target(client: RegistryClient) -> RepositoryTarget:
    """A repository of the scripted registry."""
    return client.repository(parse("me/x"), ANY_LOGIN)


async def test_pushed_image_is_resolved_as_it_was(sandbox: RegistryClient) -> None:
    built = image({"/bin/x": b"x"}, {"Cmd": ["/bin/x"], "Labels": {"a": "b"}})
    digest = await push(sandbox, "ecr.example/tools/x:1", built)
    for platform in (AMD64, ARM64):
        found = (await sandbox.resolve(parse("ecr.example/tools/x:1"), platform)).image
        assert found.digest == digest
        assert found.manifest_digest in built.manifests
        assert found.config.cmd == ("/bin/x",)
        assert found.architecture == platform.architecture


async def test_manifest_is_there_after_the_push_by_tag_and_digest(sandbox: RegistryClient) -> None:
    target = sandbox.repository(parse("ecr.example/x"), ANY_LOGIN)
    assert await target.has_manifest("1") is None
    await target.push_manifest("1", OCI_INDEX, EMPTY_INDEX)
    digest = digest_of(EMPTY_INDEX)
    assert await target.has_manifest("1") == digest
    assert await target.has_manifest(digest) == digest


async def test_agents_image_is_published_once(sandbox: RegistryClient, tmp_path: Path) -> None:
    """A repository is what the agent's publisher writes to."""
    for architecture in ("amd64", "arm64"):
        (tmp_path / f"sockerless-agent-linux-{architecture}").write_bytes(architecture.encode() * 1000)
    built = agent_image(tmp_path, "1.2.3")
    reference = parse("ecr.example/sockerless-agent:1.2.3")
    target = sandbox.repository(reference, ANY_LOGIN)
    assert await publish(built, target) == built.digest
    assert await publish(built, target) == built.digest
    found = (await sandbox.resolve(reference, ARM64)).image
    assert (found.digest, found.config.entrypoint) == (built.digest, ("/sockerless-agent",))


async def test_push_without_a_login_is_denied(sandbox: RegistryClient) -> None:
    target = sandbox.repository(parse("ecr.example/x"))
    with pytest.raises(Unauthorized, match="is denied"):
        await target.push_blob(digest_of(b"x"), b"x")


async def test_manifest_of_missing_blobs_is_refused(sandbox: RegistryClient) -> None:
    built = image({"/x": b""})
    target = sandbox.repository(parse("ecr.example/x"), ANY_LOGIN)
    with pytest.raises(InvalidParameter, match="manifest blob unknown"):
        await target.push_manifest("1", OCI_INDEX, built.index)


async def test_blob_that_is_there_is_not_sent_again(
    target: RepositoryTarget, registry: ScriptedRegistry
) -> None:
    registry.answer = lambda _asked: Said(200)
    await target.push_blob(digest_of(b"x"), b"x")
    assert registry.paths() == [f"/v2/me/x/blobs/{digest_of(b'x')}"]
    assert registry.paths("POST") == []


async def test_blob_that_is_not_its_digest_is_never_sent(
    target: RepositoryTarget, registry: ScriptedRegistry
) -> None:
    with pytest.raises(InvalidParameter):
        await target.push_blob(digest_of(b"x"), b"y")
    assert registry.asked == []


class Uploads:
    """Takes one blob; every second step fails in the way it is told to."""

    def __init__(self, failure: Said, location: str) -> None:
        self.failure = failure
        self.location = location
        self.failed = False
        self.received = b""

    def __call__(self, asked: Asked) -> Said:
        match asked.method:
            case "HEAD":
                return Said(404)
            case "POST":
                return Said(202, headers={"Location": self.location})
        if not self.failed:
            self.failed = True
            return self.failure
        self.received = asked.body
        return Said(201)


@pytest.mark.parametrize("status", [404, 429, 500, 503])
@pytest.mark.parametrize("location", ["/v2/me/x/blobs/uploads/1?state=a%3Db", "1?state=a%3Db"])
async def test_upload_that_breaks_off_is_begun_anew(
    target: RepositoryTarget, registry: ScriptedRegistry, status: int, location: str
) -> None:
    registry.answer = uploads = Uploads(Said(status), location)
    await target.push_blob(digest_of(b"data"), b"data")
    assert uploads.received == b"data"
    assert len(registry.paths("POST")) == 2
    assert registry.paths("PUT")[-1].startswith("/v2/me/x/blobs/uploads/1?state=a%3Db&digest=sha256%3A")


@pytest.mark.parametrize(
    ("status", "failure"),
    [(401, Unauthorized), (403, Unauthorized), (404, NotFound), (413, InvalidParameter), (500, Unavailable)],
)
async def test_refusals_have_their_kind_and_name_the_place(
    target: RepositoryTarget, registry: ScriptedRegistry, status: int, failure: type[Exception]
) -> None:
    registry.answer = lambda _asked: Said(status, b'{"errors":[{"code":"DENIED","message":"no"}]}')
    with pytest.raises(failure, match="denied: no"):
        await target.push_manifest("1", OCI_INDEX, EMPTY_INDEX)


async def test_registry_that_stored_something_else_is_found_out(
    target: RepositoryTarget, registry: ScriptedRegistry
) -> None:
    registry.answer = lambda _asked: Said(201, headers={"Docker-Content-Digest": digest_of(b"other")})
    with pytest.raises(Unavailable, match="does not match"):
        await target.push_manifest("1", OCI_INDEX, EMPTY_INDEX)


async def test_digest_is_computed_where_the_registry_does_not_tell_it(
    target: RepositoryTarget, registry: ScriptedRegistry
) -> None:
    registry.answer = lambda _asked: Said(200, EMPTY_INDEX)
    assert await target.has_manifest("1") == digest_of(EMPTY_INDEX)


async def test_login_is_not_sent_to_an_upload_elsewhere(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    """Some registries take uploads at another address, whose URL is its own proof."""
    elsewhere: list[Asked] = []

    def answer(asked: Asked) -> Said:
        if asked.path.startswith("/store"):
            elsewhere.append(asked)
            return Said(201)
        if "Authorization" not in asked.headers:
            return Said(401, headers={"WWW-Authenticate": "Basic"})
        if asked.method == "HEAD":
            return Said(404)
        return Said(202, headers={"Location": registry.url.replace("127.0.0.1", "127.1") + "/store?x=y"})

    registry.answer = answer
    target = client.repository(parse("me/x"), Login(username="me", password="hush"))
    await target.push_blob(digest_of(b"x"), b"x")
    assert [one.body for one in elsewhere] == [b"x"]
    assert "Authorization" not in elsewhere[0].headers
