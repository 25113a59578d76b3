"""Log lines as bytes on the wire: Docker's 8-byte frames, or the plain bytes of a terminal."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from sockerless_ecs.http.times import SECOND_NS, rfc3339
from sockerless_ecs.model.log import LogLine

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"

Encoder = Callable[[Sequence[LogLine]], bytes]

_HEADER = struct.Struct(">BxxxL")


def encoder(*, tty: bool, timestamps: bool, details: bool) -> Encoder:
    """How to turn a batch of lines into one send."""

    def encode(lines: Sequence[LogLine]) -> bytes:
        shown = [line._replace(data=b" " + line.data) for line in lines] if details else lines
        shown = list(_stamped(shown)) if timestamps else shown
        return b"".join(line.data for line in shown) if tty else _framed(shown)

    return encode


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
