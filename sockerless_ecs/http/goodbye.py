"""How a connection ends without its last bytes being lost."""

from __future__ import annotations

import socket
from typing import Any

import trio

_UNREAD_BYTES = 1 << 16


async def say_goodbye(stream: Any, transport: trio.socket.SocketType, *, expect_more: bool) -> None:
    """Say that nothing more comes, drop what the client still sends if any is expected, and close.

    Closing with bytes unread resets the connection, which could overtake what was sent.
    """
    if not expect_more:
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
        await stream.aclose()
        return
    with transport.dup() as after:  # TLS says its farewell by closing; this keeps the connection open
        await stream.aclose()
        after.shutdown(socket.SHUT_WR)
        while await after.recv(_UNREAD_BYTES):
            pass
