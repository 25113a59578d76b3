"""What an application is told: a few messages ahead of it, and the end without waiting."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from sockerless_ecs.telemetry import get_logger

_AHEAD = 4
"""Messages that may wait: the back-pressure of an upload."""

_LOG = get_logger(__name__)

Message = dict[str, Any]
_Send = Callable[[Message | None], Awaitable[None]]


class Inbox:
    """A bounded queue; once its reader has left nothing waits for room any more."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._news, self._room = trio.lowlevel.ParkingLot(), trio.lowlevel.ParkingLot()
        self._left = False

    async def put(self, message: Message) -> None:
        """Add a message; waits for room, but never with the end."""
        ahead = math.inf if message["type"].endswith(".disconnect") else _AHEAD
        while len(self._messages) >= ahead and not self._left:
            await self._room.park()
        if not self._left:
            self._messages.append(message)
            self._news.unpark()

    async def receive(self) -> Message:
        """The next message."""
        while not self._messages:
            await self._news.park()
        self._room.unpark()
        return self._messages.popleft()

    def leave(self) -> None:
        """Nobody receives any more: what still comes is dropped."""
        self._left = True
        self._messages.clear()
        self._room.unpark_all()


class Applications:
    """Runs the application, once a request; it stands where Hypercorn's task group would."""

    def __init__(self, spawn: Callable[..., None]) -> None:
        self.spawn = spawn

    async def spawn_app(
        self, app: Any, _config: object, scope: Any, send: _Send
    ) -> Callable[[Message], Awaitable[None]]:
        """Start it; what is returned tells it of what comes."""
        inbox = Inbox()
        self.spawn(_run, app, scope, inbox, send)
        return inbox.put


async def _run(app: Any, scope: Any, inbox: Inbox, send: _Send) -> None:
    try:
        await app(scope, inbox.receive, send)
    except Exception:  # noqa: BLE001 (the edge: the connection goes on)
        _LOG.exception("application failed")
    finally:
        inbox.leave()
    await send(None)
