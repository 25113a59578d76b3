"""The Docker events bus: a bounded history and any number of bounded listeners."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager

import structlog
import trio

from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.services.ledger import now_ns

_LOG = structlog.get_logger(__name__)
_HISTORY = 1024
_BACKLOG = 4096
"""Events a listener may be behind before it is let go: it would otherwise hold memory without end."""


class EventBus:
    """Tells what happened to whoever listens; emitting never waits."""

    def __init__(self) -> None:
        self._history: deque[EngineEvent] = deque(maxlen=_HISTORY)
        self._listeners: set[trio.MemorySendChannel[EngineEvent]] = set()

    def emit(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str], time_ns: int = 0
    ) -> None:
        """Tell one event; a listener that is too far behind is let go."""
        event = EngineEvent(
            type=kind, action=action, actor_id=actor_id, time_ns=time_ns or now_ns(), attributes=attributes
        )
        self._history.append(event)
        for listener in tuple(self._listeners):
            try:
                listener.send_nowait(event)
            except trio.WouldBlock:
                _LOG.warning("event_listener_dropped", backlog=_BACKLOG)
                self._listeners.discard(listener)
                listener.close()
            except trio.BrokenResourceError:
                self._listeners.discard(listener)

    @asynccontextmanager
    async def listen(
        self, *, since_ns: int, until_ns: int, wanted: Callable[[EngineEvent], bool]
    ) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        """History from `since_ns` (0 = none), then what comes until `until_ns` (0 = for ever)."""
        send, receive = trio.open_memory_channel[EngineEvent](_BACKLOG)
        self._listeners.add(send)
        old = [event for event in self._history if since_ns and event.time_ns >= since_ns]
        try:
            async with aclosing(_events(old, receive, until_ns, wanted)) as events:
                yield events
        finally:
            self._listeners.discard(send)
            send.close()
            receive.close()


async def _events(
    old: list[EngineEvent],
    receive: trio.MemoryReceiveChannel[EngineEvent],
    until_ns: int,
    wanted: Callable[[EngineEvent], bool],
) -> AsyncGenerator[EngineEvent, None]:
    for event in old:
        if (not until_ns or event.time_ns <= until_ns) and wanted(event):
            yield event
    while True:
        event_or_end = await _next(receive, until_ns)
        if event_or_end is None:
            return
        if wanted(event_or_end):
            yield event_or_end


async def _next(receive: trio.MemoryReceiveChannel[EngineEvent], until_ns: int) -> EngineEvent | None:
    left = (until_ns - now_ns()) / 1e9 if until_ns else float("inf")
    if left <= 0:
        return None
    with trio.move_on_after(left):
        try:
            return await receive.receive()
        except trio.EndOfChannel:
            return None
    return None
