"""The binary records of a log stream, parsed in batches: followers are paid by the line."""

from __future__ import annotations

import struct

from sockerless_ecs.model.log import LogLine

_HEAD = struct.Struct(">QQB3xI")


class RecordParser:
    """Turns what arrives, cut anywhere, into whole lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that are complete now."""
        if self._rest:
            data = self._rest + data
        head, size, end = _HEAD.unpack_from, _HEAD.size, len(data)
        new, kind = tuple.__new__, LogLine
        lines: list[LogLine] = []
        add = lines.append
        at = 0
        while at + size <= end:
            number, time_ns, stream, length = head(data, at)
            after = at + size + length
            if after > end:
                break
            add(new(kind, (number, time_ns, stream, data[at + size : after])))
            at = after
        self._rest = data[at:]
        return lines
