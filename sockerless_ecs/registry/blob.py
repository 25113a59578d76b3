"""A blob on its way from a registry, in pieces, as it comes."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from sockerless_ecs.errors import SockerlessError, Unavailable
from sockerless_ecs.registry.digest import is_digest

Sink = Callable[[bytes], Awaitable[None]]
_AHEAD = 4
"""Pieces that are held for a reader that is slower than the registry."""


@asynccontextmanager
async def streamed(
    fetch: Callable[[Sink], Awaitable[None]], digest: str, what: str
) -> AsyncGenerator[AsyncIterator[bytes]]:
    """What `fetch` gives to its sink. Who reads to the end has what the digest names, or an exception.

    `fetch` is cancelled when this is left before.
    """
    send, receive = trio.open_memory_channel[bytes](_AHEAD)
    blob = _Blob(receive, digest, what)

    async def run() -> None:
        try:
            await fetch(send.send)
        except SockerlessError as error:
            blob.error = error
        finally:
            send.close()

    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        try:
            yield blob
        except Exception as error:  # noqa: BLE001 - taken past the nursery, which would wrap it
            failure = error
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Blob:
    """The pieces, verified at their end."""

    def __init__(self, pieces: trio.MemoryReceiveChannel[bytes], digest: str, what: str) -> None:
        self._pieces = pieces
        self._digest = digest
        self._hash = hashlib.new(digest.partition(":")[0] if is_digest(digest) else "sha256")
        self._what = what
        self.error: SockerlessError | None = None

    def __aiter__(self) -> _Blob:
        return self

    async def __anext__(self) -> bytes:
        try:
            piece = await self._pieces.receive()
        except trio.EndOfChannel:
            if self.error is not None:
                raise self.error from None
            if self._digest.partition(":")[2] != self._hash.hexdigest():
                raise Unavailable(
                    f"{self._what}: the registry sent content that does not match {self._digest}"
                ) from None
            raise StopAsyncIteration from None
        self._hash.update(piece)
        return piece
