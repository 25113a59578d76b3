"""The tasks' resolver on gateway:53: answers the names it was told; all others do not exist."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any, Final

PORT: Final = 53
_HEADER = struct.Struct(">HHHHHH")
_ANSWER = struct.Struct(">HHHIH4s")
_RESPONSE, _RECURSION_WANTED, _RECURSION_AVAILABLE, _AUTHORITATIVE = 0x8000, 0x0100, 0x0080, 0x0400
_NOT_UNDERSTOOD, _NO_SUCH_NAME = 1, 3
_A, _INTERNET = 1, 1
_POINTER_TO_QUESTION = 0xC00C
_TTL_SECONDS = 5
_LABEL_MAX = 63


class Names(asyncio.DatagramProtocol):
    """A table of names, asked over UDP."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, ...]] = {}
        self._transport: Any = None

    def tell(self, name: str, addresses: tuple[str, ...]) -> None:
        """Let a name have these addresses; none is none."""
        if addresses:
            self._known[_canonical(name)] = addresses
        else:
            self._known.pop(_canonical(name), None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Answer one question."""
        if len(data) >= _HEADER.size and not data[2] & 0x80:
            self._transport.sendto(self.answer(data), addr)

    def answer(self, query: bytes) -> bytes:
        """The response to a query."""
        number, flags, questions, *_ = _HEADER.unpack_from(query)
        flags = _RESPONSE | _AUTHORITATIVE | _RECURSION_AVAILABLE | (flags & _RECURSION_WANTED)
        try:
            name, end = _read_name(query, _HEADER.size)
            kind, space = struct.unpack_from(">HH", query, end)
        except (IndexError, struct.error, UnicodeDecodeError):
            questions = 0
        if questions != 1:
            return _HEADER.pack(number, flags | _NOT_UNDERSTOOD, 0, 0, 0, 0)
        question = query[_HEADER.size : end + 4]
        addresses = self._known.get(_canonical(name))
        if addresses is None:
            return _HEADER.pack(number, flags | _NO_SUCH_NAME, 1, 0, 0, 0) + question
        wanted = addresses if (kind, space) == (_A, _INTERNET) else ()
        records = [
            _ANSWER.pack(_POINTER_TO_QUESTION, _A, _INTERNET, _TTL_SECONDS, 4, socket.inet_aton(address))
            for address in wanted
        ]
        return _HEADER.pack(number, flags, 1, len(records), 0, 0) + question + b"".join(records)


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := data[at]:
        if length > _LABEL_MAX:
            raise IndexError("a compressed name in a question")
        labels.append(data[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels), at + 1
