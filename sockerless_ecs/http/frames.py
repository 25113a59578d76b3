"""Log lines as bytes on the wire: Docker's 8-byte frames, or the plain bytes of a terminal."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import chain

from sockerless_ecs.http.times import rfc3339_fixed
from sockerless_ecs.model.log import LogLine

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"

Encoder = Callable[[Sequence[LogLine]], bytes]

_HEADER = struct.Struct(">BxxxL")


def encoder(*, tty: bool, timestamps: bool, details: bool) -> Encoder:
    """How to turn a batch of lines into one send."""

    def encode(lines: Sequence[LogLine]) -> bytes:
        shown = [_prefixed(line, timestamps, details) for line in lines] if prefixed else lines
        return b"".join(line.data for line in shown) if tty else _framed(shown)

    prefixed = timestamps or details
    return encode


def _framed(lines: Iterable[LogLine]) -> bytes:
    pack = _HEADER.pack
    return b"".join(chain.from_iterable((pack(stream, len(data)), data) for _, _, stream, data in lines))


def _prefixed(line: LogLine, timestamps: bool, details: bool) -> LogLine:
    """A line with its time, and the space that stands before details even when there are none."""
    stamp = f"{rfc3339_fixed(line.time_ns)} ".encode() if timestamps else b""
    return line._replace(data=stamp + (b" " if details else b"") + line.data)
