"""Connections to real registries break in the middle, and what was to move arrives whole."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
import trio

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.reference import Reference, parse
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.registry.copying import Copied, copy_blob
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.upload import CHUNK_BYTES
from sockerless_ecs.sandbox.registry import Registry
from tests.conftest import not_run_here
from tests.images import ANY_LOGIN
from tests.peers import NoPeer, distribution
from tests.registry.conftest import QUICK, no_login
from tests.registry.cutting import Cut, Wire, breaking_wire

DATA = random.Random(3).randbytes(3 * CHUNK_BYTES + 12_345)
BLOB = Descriptor(digest=digest_of(DATA), size=len(DATA))


@pytest.fixture
def to_sandbox(tmp_path: Path) -> Iterator[Wire]:
    """To the sandbox's registry, which keeps what came of a request that breaks, as ECR does."""
    registry = Registry(tmp_path)
    with breaking_wire(registry.serve()) as made:
        yield made
    registry.close()


@pytest.fixture
def to_distribution() -> Iterator[Wire]:
    """To Debian's, which then wants a new upload."""
    try:
        with distribution() as peer, breaking_wire(int(peer.host.partition(":")[2])) as made:
            yield made
    except NoPeer as reason:
        not_run_here(str(reason))


@pytest.fixture(params=["to_sandbox", "to_distribution"])
def wire(request: pytest.FixtureRequest) -> Wire:
    """To each of them."""
    found: Wire = request.getfixturevalue(request.param)
    return found


@pytest.fixture
async def client() -> AsyncIterator[RegistryClient]:
    async with RegistryClient({}, (), no_login, retries=QUICK) as made:
        yield made


def at(wire: Wire) -> Reference:
    return parse(f"{wire.host}/x:1")


async def uploaded(client: RegistryClient, reference: Reference) -> None:
    """In chunks."""
    upload = await client.repository(reference, ANY_LOGIN).upload()
    for start in range(0, len(DATA), CHUNK_BYTES):
        await upload.send(DATA[start : start + CHUNK_BYTES])
    await upload.finish(BLOB.digest)


async def downloaded(client: RegistryClient, reference: Reference) -> bytes:
    async with client.open_blob(reference, BLOB.digest) as pieces:
        return b"".join([piece async for piece in pieces])


@asynccontextmanager
async def source() -> AsyncIterator[AsyncIterator[bytes]]:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(DATA), 100_000):
            await trio.lowlevel.checkpoint()
            yield DATA[start : start + 100_000]

    async with aclosing(pieces()) as reading:
        yield reading


async def ignored(_done: int) -> None:
    await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(
    "cuts",
    [
        [Cut(sent=1000)],
        [Cut(sent=CHUNK_BYTES // 2)],
        [Cut(sent=CHUNK_BYTES + 5000), Cut(sent=CHUNK_BYTES // 3)],
        [Cut(received=400)],
    ],
)
async def test_chunks_arrive_once_each(client: RegistryClient, to_sandbox: Wire, cuts: list[Cut]) -> None:
    to_sandbox.cuts.extend(cuts)
    await uploaded(client, at(to_sandbox))
    assert not to_sandbox.cuts
    assert await downloaded(client, at(to_sandbox)) == DATA


async def test_a_registry_that_loses_broken_uploads_is_told_of_and_nothing_is_stored(
    client: RegistryClient, to_distribution: Wire
) -> None:
    to_distribution.cuts.append(Cut(sent=CHUNK_BYTES // 2))
    with pytest.raises(Unavailable, match="it forgot the upload"):
        await uploaded(client, at(to_distribution))
    assert not await client.repository(at(to_distribution), ANY_LOGIN).has_blob(BLOB.digest)


async def pushed(client: RegistryClient, wire: Wire, places: list[int]) -> None:
    wire.cuts.extend(Cut(sent=place) for place in places)
    target = client.repository(at(wire), ANY_LOGIN)
    assert await copy_blob(source, target, BLOB, ignored) is Copied.PUSHED
    assert not wire.cuts
    assert await downloaded(client, at(wire)) == DATA


@pytest.mark.parametrize("places", [[1000], [CHUNK_BYTES], [len(DATA) // 2, 3_000_000]])
async def test_a_stream_that_breaks_arrives_all_the_same(
    client: RegistryClient, wire: Wire, places: list[int]
) -> None:
    await pushed(client, wire, places)


async def test_a_stream_goes_on_as_long_as_it_gets_further(client: RegistryClient, to_sandbox: Wire) -> None:
    await pushed(client, to_sandbox, [2_000_000] * 7)


async def test_a_download_goes_on_where_it_broke(client: RegistryClient, wire: Wire) -> None:
    await uploaded(client, at(wire))
    wire.cuts.extend(Cut(received=2_000_000) for _ in range(6))
    assert await downloaded(client, at(wire)) == DATA
    assert not wire.cuts


async def test_a_wire_that_never_holds_is_given_up(client: RegistryClient, wire: Wire) -> None:
    wire.cuts.extend(Cut(sent=50) for _ in range(100))
    with pytest.raises(Unavailable, match="cannot be reached"):
        await uploaded(client, at(wire))
    wire.cuts.clear()
    assert not await client.repository(at(wire), ANY_LOGIN).has_blob(BLOB.digest)
