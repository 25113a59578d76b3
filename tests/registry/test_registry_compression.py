"""What is compressed is known by how it begins, and unpacked within bounds."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import pytest
import trio

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.registry.compression import Unpacked

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compress = Callable[[bytes], bytes]
CODECS: dict[str, Compress] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}
every_codec = pytest.mark.parametrize("compress", CODECS.values(), ids=CODECS.keys())
CONTENT = b"".join(bytes([n % 251]) * (n % 700) for n in range(9000))
CONTENT += random.Random(1).randbytes(100_000)


async def cut(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        await trio.lowlevel.checkpoint()
        yield data[start : start + size]


async def unpacked(data: bytes, *, size: int = 70_000, limit: int = 1 << 40) -> bytes:
    return b"".join([piece async for piece in Unpacked(cut(data, size), limit)])


@every_codec
@pytest.mark.parametrize("size", [1, 7, 70_000, 1 << 30])
async def test_compressed_body_is_unpacked_however_it_is_cut(compress: Compress, size: int) -> None:
    content = CONTENT if size > 7 else CONTENT[:3000]
    assert await unpacked(compress(content), size=size) == content


@every_codec
async def test_several_streams_and_zeros_after_them_are_one_body(compress: Compress) -> None:
    body = compress(b"one ") + compress(b"") + compress(b"two") + bytes(1000)
    for size in (1, 5, 10_000):
        assert await unpacked(body, size=size) == b"one two"


async def test_frame_of_zstd_that_is_to_be_skipped_is_skipped() -> None:
    assert await unpacked(b"\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz" + zstd.compress(b"content")) == b"content"


@pytest.mark.parametrize("body", [b"", b"a", b"plain as it is", bytes(5000), CONTENT])
async def test_what_is_not_compressed_passes_unchanged(body: bytes) -> None:
    assert await unpacked(body, size=997) == body


async def test_what_is_not_compressed_is_not_copied() -> None:
    pieces = [os.urandom(100_000) for _ in range(3)]

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    got = [piece async for piece in Unpacked(body(), 1 << 20)]
    assert all(one is other for one, other in zip(got, pieces, strict=True))


@every_codec
async def test_body_that_is_cut_short_anywhere_is_refused(compress: Compress) -> None:
    body = compress(CONTENT)
    for end in [7, 20, len(body) // 2, len(body) - 1]:
        with pytest.raises(InvalidParameter, match=r"cut short|corrupt"):
            await unpacked(body[:end])


@every_codec
async def test_body_that_is_corrupt_never_gives_the_content(compress: Compress) -> None:
    body = bytearray(compress(CONTENT))
    chance = random.Random(7)
    for _ in range(20):
        at = chance.randrange(8, len(body) - 30)
        body[at] ^= 0x55
        with suppress(InvalidParameter):
            assert await unpacked(bytes(body)) != CONTENT
        body[at] ^= 0x55


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, zstd.compress])
async def test_bomb_is_refused_at_the_limit_within_bounded_memory(compress: Compress) -> None:
    bomb = compress(bytes(64 << 20))
    tracemalloc.start()
    with pytest.raises(InvalidParameter, match="larger than the 32 MiB"):
        async for _ in Unpacked(cut(bomb, 1 << 20), 32 << 20):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


async def test_what_grows_beyond_reason_is_refused_before_the_limit() -> None:
    bomb = zstd.compress(bytes(300 << 20))
    assert len(bomb) * 2000 < 300 << 20
    with pytest.raises(InvalidParameter, match="2000 times its size"):
        async for _ in Unpacked(cut(bomb, 1 << 20), 1 << 40):
            pass


async def test_plain_body_may_be_of_any_size_below_the_limit() -> None:
    """It unpacks to what it is, however little of it came first."""
    piece = bytes(1 << 20)

    async def body() -> AsyncIterator[bytes]:
        yield b"a"
        for _ in range(300):
            await trio.lowlevel.checkpoint()
            yield piece

    size = sum([len(piece) async for piece in Unpacked(body(), 1 << 30)])
    assert size == 1 + (300 << 20)
    with pytest.raises(InvalidParameter, match="larger than the 200 MiB"):
        async for _ in Unpacked(body(), 200 << 20):
            pass
