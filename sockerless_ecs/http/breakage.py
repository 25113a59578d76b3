"""What a stream says to its client when the rest of it does not come: an end alone would pass for success."""

from __future__ import annotations

import struct

_HEAD = struct.Struct(">BxxxL")
_SYSTEM_ERROR = 3
"""The frame in which Docker's daemon tells of its own failures; the CLI then fails with the text."""


class Breakage:
    """Follows frames, wherever the pieces in which they pass by are cut; a terminal has none."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._head = b""
        self._left = 0

    def follow(self, data: bytes) -> None:
        """This was sent."""
        if self._tty:
            return
        if len(data) <= self._left:
            self._left -= len(data)
            return
        at = self._left
        if self._head:
            data = self._head + data
        size = len(data)
        while at + _HEAD.size <= size:
            at += _HEAD.size + _HEAD.unpack_from(data, at)[1]
        self._left, self._head = max(at - size, 0), data[at:]

    def notice(self, reason: str) -> bytes:
        """What is to be sent last; a frame that was cut is filled up with zeros."""
        text = reason.encode()
        if self._tty:
            return b"\r\n" + text + b"\r\n"
        return self._filling() + _HEAD.pack(_SYSTEM_ERROR, len(text)) + text

    def _filling(self) -> bytes:
        if not self._head:
            return bytes(self._left)
        head = self._head.ljust(_HEAD.size, b"\0")
        return head[len(self._head) :] + bytes(_HEAD.unpack(head)[1])
