"""Large blobs go in chunks, each of them once, whatever breaks on the way."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import RegistryClient, RepositoryTarget
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.upload import CHUNK_BYTES
from sockerless_ecs.sandbox.registry import Registry
from tests.images import ANY_LOGIN
from tests.registry.conftest import QUICK, no_login
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

CHUNKS = (b"a" * CHUNK_BYTES, b"b" * CHUNK_BYTES, b"c")
WHOLE = b"".join(CHUNKS)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    registry = Registry(tmp_path)
    yield registry.serve()
    registry.close()


@pytest.fixture
async def stored(port: int) -> AsyncIterator[RepositoryTarget]:
    async with RegistryClient({}, (), no_login, retries=QUICK) as client:
        yield client.repository(parse(f"127.0.0.1:{port}/x"), ANY_LOGIN)


@pytest.fixture
def target(client: RegistryClient) -> RepositoryTarget:
    return client.repository(parse("me/x"), ANY_LOGIN)


async def send(target: RepositoryTarget) -> None:
    upload = await target.upload()
    for chunk in CHUNKS:
        await upload.send(chunk)
    await upload.finish(digest_of(WHOLE))


async def test_chunks_become_a_blob(stored: RepositoryTarget) -> None:
    assert not await stored.has_blob(digest_of(WHOLE))
    await send(stored)
    assert await stored.has_blob(digest_of(WHOLE))


async def test_a_wrong_digest_makes_no_blob(stored: RepositoryTarget) -> None:
    upload = await stored.upload()
    await upload.send(b"x")
    with pytest.raises(Exception, match="provided digest did not match"):
        await upload.finish(digest_of(b"y"))
    assert not await stored.has_blob(digest_of(b"y"))


class Uploads:
    """A registry that appends chunks; `breaks` may answer in its stead, before or after the work."""

    def __init__(self) -> None:
        self.data = b""
        self.before: Callable[[Asked], Said | None] = lambda _: None
        self.after: Callable[[Asked], Said | None] = lambda _: None

    def __call__(self, asked: Asked) -> Said:
        return self.before(asked) or self._do(asked)

    def _do(self, asked: Asked) -> Said:
        location = {"Location": f"/v2/me/x/blobs/uploads/{len(self.data)}?state=a"}
        match asked.method:
            case "POST":
                return Said(202, b"", location)
            case "PATCH":
                found = re.fullmatch(r"([0-9]+)-([0-9]+)", asked.headers["Content-Range"])
                assert found
                if int(found[1]) != len(self.data):
                    return Said(416, b"", {"Range": f"0-{len(self.data) - 1}"})
                self.data += asked.body
                location["Location"] = f"/v2/me/x/blobs/uploads/{len(self.data)}?state=a"
                return self.after(asked) or Said(202, b"", location)
        return Said(201)


def once(answer: Said) -> Callable[[Asked], Said | None]:
    """One bad answer to a chunk."""
    left = [answer]
    return lambda asked: left.pop() if left and asked.method == "PATCH" else None


async def test_each_chunk_says_where_it_belongs_and_goes_where_the_last_answer_said(
    registry: ScriptedRegistry, target: RepositoryTarget
) -> None:
    registry.answer = uploads = Uploads()
    await send(target)
    assert uploads.data == WHOLE
    ranges = [asked.headers["Content-Range"] for asked in registry.asked if asked.method == "PATCH"]
    ends = [CHUNK_BYTES, 2 * CHUNK_BYTES, len(WHOLE)]
    starts = [0, *ends]
    assert ranges == [f"{start}-{end - 1}" for start, end in zip(starts, ends, strict=False)]
    assert registry.paths("PATCH") == [f"/v2/me/x/blobs/uploads/{start}?state=a" for start in starts[:3]]
    [last] = registry.paths("PUT")
    assert last.startswith(f"/v2/me/x/blobs/uploads/{len(WHOLE)}?state=a&digest=sha256")


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_a_chunk_whose_answer_was_lost_is_there_once(
    registry: ScriptedRegistry, target: RepositoryTarget, moment: str
) -> None:
    registry.answer = uploads = Uploads()
    setattr(uploads, moment, once(Said(503)))
    await send(target)
    assert uploads.data == WHOLE
    assert len(registry.paths("PATCH")) == 4


async def test_an_upload_that_was_forgotten_is_unavailable(
    registry: ScriptedRegistry, target: RepositoryTarget
) -> None:
    registry.answer = uploads = Uploads()
    uploads.before = lambda asked: Said(404) if asked.method == "PATCH" else None
    with pytest.raises(Unavailable, match="it forgot the upload"):
        await send(target)
