"""Who notices that a client is gone altogether, which the end of what it sends does not tell."""

from __future__ import annotations

import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio


class HangUps:
    """One epoll of its own for all connections: it hears of hang-ups only, so that waiting costs nothing.

    A Unix socket hangs up when its peer closes; TCP when it is reset, for a peer's close looks like its
    half-close until something is sent to it.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._waiting: dict[int, trio.Event] = {}

    @contextmanager
    def opened(self) -> Iterator[HangUps]:
        """Close it in the end."""
        with self._epoll:
            yield self

    async def watch(self) -> None:
        """Tell those who wait; runs until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self._epoll.fileno())
            for descriptor, _ in self._epoll.poll(0):
                if (event := self._waiting.get(descriptor)) is not None:
                    event.set()

    async def wait(self, descriptor: int) -> None:
        """Return when the peer of this socket has hung up, or it is closed already; one waits at a time."""
        if descriptor < 0:
            return
        event = trio.Event()
        self._epoll.register(descriptor, select.EPOLLONESHOT)
        if (closed := self._waiting.get(descriptor)) is not None:
            closed.set()  # else it were registered still: its number is a new socket's now
        self._waiting[descriptor] = event
        try:
            await event.wait()
        finally:
            if self._waiting.get(descriptor) is event:
                del self._waiting[descriptor]
                with suppress(OSError, ValueError):  # it was closed meanwhile
                    self._epoll.unregister(descriptor)
