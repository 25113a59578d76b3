"""A connection that an answer took over: raw bytes both ways until it ends."""

from __future__ import annotations

import fcntl
import struct
import termios
from collections.abc import Awaitable, Callable
from typing import Any

import trio

_PIECE_BYTES = 256 * 1024
_HEAD_SECONDS = 0.1
"""How long the first bytes may wait for the client to take the head."""

TakeOver = Callable[[bytes], Awaitable["TakenOver"]]
"""Sends a head and gives the connection away; BrokenPipeError when the client is gone."""

TAKE_OVER = "sockerless.take_over"
"""The ASGI extension that does it."""


def switching_head(upgrade: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and head before a raw stream: Docker's 101 if an upgrade was asked for, else its 200."""
    status, first = (101, "101 UPGRADED") if upgrade else (200, "200 OK")
    if upgrade:
        headers = {**headers, "Connection": "Upgrade", "Upgrade": upgrade}
    lines = [f"HTTP/1.1 {first}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return status, "\r\n".join(lines).encode("latin1")


class TakenOver:
    """The `Duplex` over one stream. `early` came with the request; `gone` returns when the client is gone."""

    def __init__(
        self, stream: Any, transport: Any, early: bytes, gone: Callable[[], Awaitable[None]]
    ) -> None:
        self.received_bytes = self.sent_bytes = 0
        self._stream = stream
        self._transport = transport
        self._early = early
        self._gone = gone
        self._head_taken = self._ended = False

    async def receive(self) -> bytes:
        """Some bytes; `b""` at the half-close, or when the client is gone."""
        data, self._early = self._early, b""
        if data:
            await trio.lowlevel.checkpoint()
        elif not self._ended:
            try:
                data = await self._stream.receive_some(_PIECE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            self._ended = not data
        self.received_bytes += len(data)
        return bytes(data)

    async def send(self, data: bytes) -> None:
        """Send all of it; BrokenPipeError when the client is gone. Cancelling may leave part of it sent."""
        if not self._head_taken:
            await self._let_the_head_be_taken()
        whole = memoryview(data)
        try:
            for start in range(0, len(whole), _PIECE_BYTES):
                piece = whole[start : start + _PIECE_BYTES]
                await self._stream.send_all(piece)
                self.sent_bytes += len(piece)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise BrokenPipeError("the client is gone") from error

    async def gone(self) -> None:
        """Return when the client is gone altogether."""
        await self._gone()

    async def _let_the_head_be_taken(self) -> None:
        """Some clients lose what arrives in one piece with the head: wait until it has left our queue."""
        self._head_taken = True
        with trio.move_on_after(_HEAD_SECONDS):
            while _queued_bytes(self._transport):  # noqa: ASYNC110 (no event tells of it)
                await trio.sleep(0.0005)


def _queued_bytes(transport: Any) -> int:
    answer = fcntl.ioctl(transport.fileno(), termios.TIOCOUTQ, bytes(4))
    return int(struct.unpack("i", answer)[0])
