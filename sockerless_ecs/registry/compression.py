"""Compressed streams, known by how they begin: unpacked in threads, within bounds."""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import trio

from sockerless_ecs.errors import InvalidParameter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_PIECE_BYTES = 1 << 20
_LONGEST_MAGIC = 6
_XZ_MEMORY_BYTES = 256 << 20
"""More than `xz -9` needs."""
_ZSTD_WINDOW_LOG = 27
"""128 MiB: what zstd itself takes unless it is told otherwise."""
_RATIO, _RATIO_FROM_BYTES = 2_000, 256 << 20
"""What grows more than so many times its size, and to so much, is not worth its work."""


class Codec(Protocol):
    """One compressed stream, as bz2, lzma and zstd have it."""

    @property
    def eof(self) -> bool:
        """Whether it has ended."""

    @property
    def needs_input(self) -> bool:
        """Whether there is nothing more in what was fed so far."""

    @property
    def unused_data(self) -> bytes:
        """What was fed beyond its end."""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Some of the content; raises one of `FAULTS`."""


class _Gzip:
    """zlib's, in the shape of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not (self._full or self._zlib.unconsumed_tail)

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)
        self._full = len(piece) == max_length
        return piece


_ZSTD_OPTIONS: Mapping[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}


def gzip_codec() -> Codec:
    """A stream of gzip."""
    return _Gzip()


def zstd_codec() -> Codec:
    """A stream of zstd."""
    return zstd.ZstdDecompressor(options=_ZSTD_OPTIONS)


_CODECS: Mapping[bytes, Callable[[], Codec]] = {
    b"\x1f\x8b\x08": gzip_codec,
    b"BZh": bz2.BZ2Decompressor,
    b"\xfd7zXZ\x00": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES),
    b"\x28\xb5\x2f\xfd": zstd_codec,
    # A frame of zstd that is to be skipped, which zstd itself does.
    **{bytes((n, 0x2A, 0x4D, 0x18)): zstd_codec for n in range(0x50, 0x60)},
}
"""By how they begin."""
FAULTS = (zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError, ValueError)
"""What a codec raises for what is corrupt."""


class Unpacked:
    """A body as it was before it was compressed with gzip, bzip2, xz or zstd, if it was.

    What is not compressed is passed through, piece by piece. Raises `InvalidParameter` for what is corrupt,
    cut short, or unpacks to more than the limit or beyond all reason. An iterator, not a generator: who
    leaves it half-way owes it nothing.
    """

    def __init__(self, body: AsyncIterator[bytes], limit_bytes: int) -> None:
        self._body = aiter(body)
        self._limit = limit_bytes
        self._codec: Callable[[], Codec] | None = None
        self._stream: Codec | None = None
        self._known = False
        self._over = False
        self._waiting = b""
        self._read = self._written = 0

    def __aiter__(self) -> Unpacked:
        return self

    async def __anext__(self) -> bytes:
        if not self._known:
            await self._recognise()
        if self._codec is None:
            return await self._plain()
        return await self._unpack()

    async def _recognise(self) -> None:
        while len(self._waiting) < _LONGEST_MAGIC and await self._more():
            pass
        self._known = True
        for magic, codec in _CODECS.items():
            if self._waiting.startswith(magic):
                self._codec = codec

    async def _more(self) -> bool:
        """Take in the next piece."""
        piece = await anext(self._body, None)
        if piece is None:
            self._over = True
            return False
        self._waiting = self._waiting + piece if self._waiting else piece
        self._read += len(piece)
        return True

    async def _plain(self) -> bytes:
        if not self._waiting and not await self._more():
            raise StopAsyncIteration
        piece, self._waiting = self._waiting, b""
        self._count(piece)
        return piece

    async def _unpack(self) -> bytes:
        while True:
            starved = self._stream is None or self._stream.needs_input
            while starved and len(self._waiting) < _PIECE_BYTES and not self._over:
                await self._more()
            piece = await trio.to_thread.run_sync(self._step)
            if piece:
                self._count(piece)
                return piece
            if self._over and self._stream is None and not self._waiting:
                raise StopAsyncIteration

    def _step(self) -> bytes:
        """Some of the content, in a thread; nothing when more of the body is needed first, or it is over."""
        if self._stream is None:
            self._waiting = self._waiting.lstrip(b"\x00")  # zeros may follow a stream, and another one
            if not self._waiting:
                return b""
            assert self._codec is not None
            self._stream = self._codec()
        starved = self._stream.needs_input
        data, self._waiting = (self._waiting, b"") if starved else (b"", self._waiting)
        try:
            piece = self._stream.decompress(data, _PIECE_BYTES)
        except FAULTS as error:
            raise InvalidParameter(f"the archive is corrupt: {error}") from error
        if self._stream.eof:
            self._waiting, self._stream = self._stream.unused_data + self._waiting, None
        elif starved and self._over and not (data or piece):
            raise InvalidParameter("the archive is cut short: unexpected EOF")
        return piece

    def _count(self, piece: bytes) -> None:
        self._written += len(piece)
        if self._written > self._limit:
            raise InvalidParameter(f"the archive is larger than the {self._limit >> 20} MiB that it may have")
        if self._written > max(_RATIO_FROM_BYTES, _RATIO * self._read):
            raise InvalidParameter(f"the archive unpacks to more than {_RATIO} times its size: refused")
