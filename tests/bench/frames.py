"""Docker's frames around output: eight bytes that say which stream and how much, then that much."""

from __future__ import annotations

_HEADER = 8


class Frames:
    """Takes them off, wherever the bytes were cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """The contents of the frames that are whole now, both streams together."""
        data, position, parts = self._rest + data, 0, []
        while len(data) >= position + _HEADER:
            after = position + _HEADER + int.from_bytes(data[position + 4 : position + _HEADER])
            if after > len(data):
                break
            parts.append(data[position + _HEADER : after])
            position = after
        self._rest = data[position:]
        return b"".join(parts)
