"""Output as bytes on the wire: Docker's 8-byte frames, or the plain bytes of a terminal."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from urllib.parse import quote_plus

from sockerless_ecs.http.times import SECOND_NS, rfc3339
from sockerless_ecs.model.log import STDOUT, LogLine

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"

Encoder = Callable[[Sequence[LogLine]], bytes]

_HEADER = struct.Struct(">BxxxL")
_MULTIPLEXED_SINCE = (1, 42)


def content_type(version: tuple[int, int], *, tty: bool) -> str:
    """Docker's name for a stream of this kind; clients of before 1.42 know the one for everything."""
    old = (0, 0) < version < _MULTIPLEXED_SINCE
    return RAW if tty or old else MULTIPLEXED


def encoder(*, tty: bool, timestamps: bool, details: Mapping[str, str] | None) -> Encoder:
    """How to turn a batch of lines into one send; `details`, even if there are none, come before each."""
    pairs = sorted((details or {}).items())
    prefix = ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode() + b" "

    def encode(lines: Sequence[LogLine]) -> bytes:
        shown = lines if details is None else [line._replace(data=prefix + line.data) for line in lines]
        shown = list(_stamped(shown)) if timestamps else shown
        return b"".join(line.data for line in shown) if tty else _framed(shown)

    return encode


class Unframer:
    """Frames taken apart again, wherever the pieces in which they come were cut."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._head = b""
        self._stream = STDOUT
        self._left = 0

    def pieces(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Each stream's bytes in what came; a terminal has but standard output."""
        if self._tty:
            yield STDOUT, data
            return
        view = memoryview(data)
        while view:
            if not self._left:
                wanted = _HEADER.size - len(self._head)
                self._head, view = self._head + bytes(view[:wanted]), view[wanted:]
                if len(self._head) < _HEADER.size:
                    return
                (self._stream, self._left), self._head = _HEADER.unpack(self._head), b""
                continue
            piece, view = bytes(view[: self._left]), view[self._left :]
            self._left -= len(piece)
            yield self._stream, piece


def _framed(lines: Iterable[LogLine]) -> bytes:
    pack = _HEADER.pack
    return b"".join(chain.from_iterable((pack(stream, len(data)), data) for _, _, stream, data in lines))


def _stamped(lines: Iterable[LogLine]) -> Iterable[LogLine]:
    """Lines after their times; a second is put into words once, as lines of one mostly share it."""
    second, words = -1, ""
    for number, time_ns, stream, data in lines:
        seconds, nanos = divmod(time_ns, SECOND_NS)
        if seconds != second:
            second, words = seconds, rfc3339(seconds * SECOND_NS).removesuffix("Z")
        yield LogLine(number, time_ns, stream, f"{words}.{nanos:09d}Z ".encode() + data)
