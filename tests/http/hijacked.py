"""A connection that was taken over, as a test holds it."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from tests.http.conftest import Served
from tests.http.wire import Head, Wire

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


def frames(raw: bytes) -> list[tuple[int, bytes]]:
    """Docker's frames taken apart."""
    found = []
    while raw:
        stream, size = struct.unpack(">BxxxL", raw[:8])
        found.append((stream, raw[8 : 8 + size]))
        raw = raw[8 + size :]
    return found


@asynccontextmanager
async def hijack(
    served: Served, target: str, body: object = b"", *headers: str
) -> AsyncIterator[tuple[Head, Wire]]:
    """Ask for an upgrade unless other headers are given; the head of the answer, and the connection."""
    async with await served.wire() as wire:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        await wire.send("POST", target, raw, *(headers or UPGRADE))
        yield await wire.head(), wire


async def half_close(wire: Wire) -> None:
    """No more input."""
    assert isinstance(wire.stream, trio.SocketStream)
    await wire.stream.send_eof()
