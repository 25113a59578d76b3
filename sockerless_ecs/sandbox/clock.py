"""Things that happen after a while: one thread, one heap."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable

import structlog

_log = structlog.get_logger()


class Clock:
    """Calls functions later, in order, in its own thread. What it calls must be quick."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._open = True
        self._thread = threading.Thread(target=self._tick, name="clock", daemon=True)
        self._thread.start()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` in `seconds`; at once, by the caller, when that is no time at all."""
        if seconds <= 0:
            action()
            return
        with self._changed:
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._numbers), action))
            self._changed.notify()

    def close(self) -> None:
        """Forget what is still to come."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _tick(self) -> None:
        while (action := self._next()) is not None:
            try:
                action()
            except Exception:  # noqa: BLE001 - a thread's edge: logged, and it goes on
                _log.exception("sandbox_timer_failed")

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            while self._open:
                wait = self._heap[0][0] - time.monotonic() if self._heap else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(wait)
        return None
