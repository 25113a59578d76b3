"""What an application is told: a few messages ahead of it, and the end without waiting."""

from __future__ import annotations

import math
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
        self._messages: list[Message] = []  # never more than a few
        self._news: trio.Event | None = None
        self._room: trio.Event | None = None
        self._left = False

    async def put(self, message: Message) -> None:
        """Add a message; waits for room, but never with the end."""
        ahead = math.inf if message["type"].endswith(".disconnect") else _AHEAD
        while len(self._messages) >= ahead and not self._left:
            self._room = trio.Event()
            await self._room.wait()
        if not self._left:
            self._messages.append(message)
            _tell(self._news)

    async def receive(self) -> Message:
        """The next message."""
        while not self._messages:
            self._news = trio.Event()
            await self._news.wait()
        _tell(self._room)
        return self._messages.pop(0)

    def leave(self) -> None:
        """Nobody receives any more: what still comes is dropped."""
        self._left = True
        self._messages.clear()
        _tell(self._room)


def _tell(waiting: trio.Event | None) -> None:
    if waiting is not None:
        waiting.set()


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
