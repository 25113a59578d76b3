"""A request's body, as a stream, whichever way HTTP/1.1 frames it."""

from __future__ import annotations

from collections.abc import Iterator
from email.message import Message
from typing import BinaryIO

_CHUNK = 1 << 18
_LONGEST_LINE = 4096
_MOST_TRAILERS = 100


class BadBody(Exception):
    """Not HTTP, or cut short."""


class Body:
    """Reads one request's body once. `finished` tells whether the connection can go on to the next one."""

    def __init__(self, stream: BinaryIO, headers: Message) -> None:
        self._stream = stream
        encoding = (headers.get("Transfer-Encoding") or "").strip().lower()
        length = (headers.get("Content-Length") or "0").strip()
        if encoding not in ("", "identity", "chunked") or not (length.isascii() and length.isdecimal()):
            raise BadBody
        self._chunked = encoding == "chunked"
        self._left = 0 if self._chunked else int(length)
        self._begun = False
        self.finished = not self._chunked and self._left == 0

    def chunks(self) -> Iterator[bytes]:
        """The body piece by piece; raises `BadBody` when it ends too early."""
        if self.finished:
            return
        self._begun = True
        if self._chunked:
            yield from self._chunked_pieces()
        else:
            yield from self._pieces(self._left)
        self.finished = True

    def read(self, limit: int) -> bytes | None:
        """All of it, or None when it is larger than `limit`."""
        pieces, size = [], 0
        for piece in self.chunks():
            size += len(piece)
            if size > limit:
                return None
            pieces.append(piece)
        return b"".join(pieces)

    def drain(self, limit: int) -> None:
        """Read a body that nobody wanted, if it is small: the client can then read the answer."""
        if not self._begun:
            self.read(limit)

    def _pieces(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._stream.read(min(left, _CHUNK))
            if not piece:
                raise BadBody
            left -= len(piece)
            yield piece

    def _chunked_pieces(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._pieces(size)
            if self._line():
                raise BadBody
        for _ in range(_MOST_TRAILERS):
            if not self._line():
                return
        raise BadBody

    def _chunk_size(self) -> int:
        digits = self._line().partition(b";")[0].strip()
        try:
            return int(digits, 16) if digits.isalnum() else self._bad()
        except ValueError:
            return self._bad()

    def _line(self) -> bytes:
        line = self._stream.readline(_LONGEST_LINE)
        if not line.endswith(b"\n"):
            raise BadBody
        return line.rstrip(b"\r\n")

    @staticmethod
    def _bad() -> int:
        raise BadBody
