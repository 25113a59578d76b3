"""A layer goes from one registry to another whole and once, whatever breaks on the way."""

from __future__ import annotations

import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest
import trio

from sockerless_ecs.errors import InvalidParameter, NotFound, Unauthorized, Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import Login, RegistryClient, RepositoryTarget
from sockerless_ecs.registry.copying import Copied, copy_blob
from sockerless_ecs.registry.digest import digest_of
from tests.images import ANY_LOGIN
from tests.registry.conftest import QUICK
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

DATA = random.Random(7).randbytes(1_500_000)
LAYER = Descriptor(digest=digest_of(DATA), size=len(DATA))


class Source:
    """A place that has the layer; counts how often it was read."""

    def __init__(self, data: bytes = DATA) -> None:
        self.data = data
        self.opened = 0

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[AsyncIterator[bytes]]:
        self.opened += 1

        async def pieces() -> AsyncGenerator[bytes, None]:
            for start in range(0, len(self.data), 100_000):
                await trio.lowlevel.checkpoint()
                yield self.data[start : start + 100_000]

        async with aclosing(pieces()) as reading:
            yield reading


class Uploads:
    """A registry that keeps what comes, even of a request that breaks; `wrong` may answer in its stead."""

    def __init__(self) -> None:
        self.data = b""
        self.session = 0
        self.wrong: Callable[[Asked], Said | None] = lambda _: None

    def __call__(self, asked: Asked) -> Said:
        return self.wrong(asked) or self.right(asked)

    def right(self, asked: Asked) -> Said:
        location = {"Location": f"/v2/me/x/blobs/uploads/{self.session}"}
        match asked.method:
            case "HEAD":
                return Said(404)
            case "POST":
                self.session += 1
                self.data = b""
                return Said(202, b"", {"Location": f"/v2/me/x/blobs/uploads/{self.session}"})
            case "GET":
                return Said(204, b"", {**location, "Range": f"0-{max(0, len(self.data) - 1)}"})
            case "PATCH":
                self.take(asked, len(asked.body))
                return Said(202, b"", location)
        assert f"digest={LAYER.digest.replace(':', '%3A')}" in asked.path
        return Said(201) if digest_of(self.data) == LAYER.digest else Said(400)

    def take(self, asked: Asked, size: int) -> None:
        first = re.match(r"[0-9]+", asked.headers.get("Content-Range", "0"))
        assert first is not None
        assert int(first[0]) == len(self.data)
        self.data += asked.body[:size]


@pytest.fixture
def uploads(registry: ScriptedRegistry) -> Uploads:
    registry.answer = uploads = Uploads()
    return uploads


@pytest.fixture
def target(client: RegistryClient) -> RepositoryTarget:
    return client.repository(parse("me/x"), ANY_LOGIN)


async def copied(source: Source, target: RepositoryTarget, **more: str) -> tuple[Copied, Sequence[int]]:
    """How it went, and what was told of it."""
    told: list[int] = []

    async def tell(done: int) -> None:
        await trio.lowlevel.checkpoint()
        told.append(done)

    return await copy_blob(source, target, LAYER, tell, **more), told


async def test_a_layer_goes_in_one_request_that_says_its_length(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget
) -> None:
    how, told = await copied(Source(), target)
    assert (how, uploads.data == DATA) == (Copied.PUSHED, True)
    [patch] = [asked for asked in registry.asked if asked.method == "PATCH"]
    assert patch.headers["Content-Length"] == str(len(DATA))
    assert "Content-Range" not in patch.headers
    assert (told[-1], told == sorted(told)) == (len(DATA), True)


async def test_what_is_there_is_neither_read_nor_sent(
    registry: ScriptedRegistry, target: RepositoryTarget
) -> None:
    registry.answer = lambda _: Said(200)
    source = Source()
    assert await copied(source, target) == (Copied.EXISTED, [])
    assert (source.opened, len(registry.asked)) == (0, 1)


async def test_another_repository_of_the_registry_gives_it(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget
) -> None:
    uploads.wrong = lambda asked: Said(201) if "mount=" in asked.path else None
    source = Source()
    assert await copied(source, target, mount_from="you/y") == (Copied.MOUNTED, [])
    assert source.opened == 0
    [post] = registry.paths("POST")
    assert post == f"/v2/me/x/blobs/uploads/?mount={LAYER.digest.replace(':', '%3A')}&from=you%2Fy"


async def test_what_cannot_be_mounted_is_sent_to_the_upload_that_was_offered(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget
) -> None:
    how, _ = await copied(Source(), target, mount_from="you/y")
    assert (how, uploads.data == DATA) == (Copied.PUSHED, True)
    assert len(registry.paths("POST")) == 1


@pytest.mark.parametrize("kept", [0, 1, 700_000, len(DATA)])
async def test_a_broken_upload_goes_on_from_where_the_registry_has_it(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget, kept: int
) -> None:
    left = [kept]

    def broken(asked: Asked) -> Said | None:
        if asked.method != "PATCH" or not left:
            return None
        uploads.take(asked, left.pop())
        return Said(503)

    uploads.wrong = broken
    source = Source()
    how, _ = await copied(source, target)
    assert (how, uploads.data == DATA) == (Copied.PUSHED, True)
    sizes = [int(asked.headers["Content-Length"]) for asked in registry.asked if asked.method == "PATCH"]
    is_known = kept > 1  # a registry says 0-0 of one byte, and of none
    again = len(DATA) - kept if is_known else len(DATA)
    assert sizes == ([len(DATA), again] if again else [len(DATA)])
    assert len(registry.paths("POST")) == (1 if is_known else 2)


@pytest.mark.parametrize("status", [404, 405, 200])
async def test_an_upload_that_was_forgotten_is_begun_anew(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget, status: int
) -> None:
    """Also where the registry cannot say what it has."""
    left = [Said(404)]

    def forgotten(asked: Asked) -> Said | None:
        if asked.method == "GET":
            return Said(status)
        return left.pop() if asked.method == "PATCH" and left else None

    uploads.wrong = forgotten
    source = Source()
    how, _ = await copied(source, target)
    assert (how, uploads.data == DATA) == (Copied.PUSHED, True)
    assert (source.opened, len(registry.paths("POST"))) == (2, 2)


async def test_a_login_that_expires_in_the_middle_is_renewed(
    registry: ScriptedRegistry, uploads: Uploads
) -> None:
    """A request that is a stream cannot be sent twice: the layer is begun anew, with a fresh login."""
    passwords = iter(["old", "new", "newer"])
    asked_with: list[str] = []

    async def login(_registry: str, refused: str) -> Login:
        await trio.lowlevel.checkpoint()
        asked_with.append(refused)
        return Login(username="AWS", password=next(passwords))

    old = Login(username="AWS", password="old").basic
    expired = False

    def wrong(asked: Asked) -> Said | None:
        nonlocal expired
        expired = expired or asked.method == "PATCH"
        known = asked.headers.get("Authorization")
        if known is None or (expired and known == old):
            return Said(401, b"", {"WWW-Authenticate": "Basic"})
        return None

    uploads.wrong = wrong
    async with RegistryClient({"docker.io": registry.url}, (), login, retries=QUICK) as client:
        how, _ = await copied(Source(), client.repository(parse("me/x")))
    assert (how, uploads.data == DATA) == (Copied.PUSHED, True)
    assert asked_with[0] == ""


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (403, Unauthorized),
        (413, InvalidParameter),
        (429, Unavailable),
        (500, Unavailable),
        (404, Unavailable),
    ],
)
async def test_a_registry_that_takes_it_never_is_told_of(
    uploads: Uploads, target: RepositoryTarget, status: int, failure: type[Exception]
) -> None:
    uploads.wrong = lambda asked: Said(status) if asked.method == "PATCH" else None
    with pytest.raises(failure):
        await copied(Source(), target)


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x"])
async def test_a_source_of_another_size_is_refused(
    uploads: Uploads, target: RepositoryTarget, data: bytes
) -> None:
    with pytest.raises(Unavailable, match=f"has not the {len(DATA)} bytes"):
        await copied(Source(data), target)


async def test_a_source_that_fails_ends_the_copy_with_its_failure(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget
) -> None:
    class Broken(Source):
        @asynccontextmanager
        async def __call__(self) -> AsyncIterator[AsyncIterator[bytes]]:
            async def pieces() -> AsyncIterator[bytes]:
                await trio.lowlevel.checkpoint()
                yield DATA[:100_000]
                raise NotFound("its layer is missing in the registry")

            yield pieces()

    with pytest.raises(NotFound, match="its layer is missing"):
        await copied(Broken(), target)
    assert registry.paths("PUT") == []


async def test_a_cancelled_copy_stores_nothing(
    registry: ScriptedRegistry, uploads: Uploads, target: RepositoryTarget
) -> None:
    with trio.CancelScope() as scope:

        async def stop(done: int) -> None:
            await trio.lowlevel.checkpoint()
            if done > 500_000:
                scope.cancel()

        await copy_blob(Source(), target, LAYER, stop)
    assert scope.cancelled_caught
    assert registry.paths("PUT") == []
