"""How a connection ends without its last bytes being lost."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any

import trio

_UNREAD_BYTES = 1 << 16


async def say_goodbye(stream: Any, transport: trio.SocketStream, *, expect_more: bool) -> None:
    """Say that nothing more comes, drop what the client still sends if any is expected, and close.

    Closing with bytes unread resets the connection, which could overtake what was sent.
    """
    if not expect_more:
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
        await stream.aclose()
        return
    if isinstance(stream, trio.SSLStream):
        with suppress(trio.BrokenResourceError):
            await stream.unwrap()  # sends close_notify; what the client still sends breaks it off
    transport.socket.shutdown(socket.SHUT_WR)
    while await transport.socket.recv(_UNREAD_BYTES):
        pass
    await transport.aclose()
