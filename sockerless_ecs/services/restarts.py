"""Restart policies: who is started again after an exit, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import structlog
import trio

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model import restart
from sockerless_ecs.model.container import ExitStatus
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Backoff:
    """Since somebody asked for a start: how long the next pause is, and whether it is called off."""

    pause_seconds: float = 0.0
    called_off: trio.Event = field(default_factory=trio.Event)
    waiting: bool = False


class Restarts:
    """Owns the pause before every restart. What is to be restarted is in the store: the next daemon goes on.

    `begin` starts a container without being asked by a person; it may raise what a start raises.
    """

    def __init__(self, *, nursery: trio.Nursery, ledger: Ledger, begin: Callable[[Live], object]) -> None:
        self._nursery = nursery
        self._ledger = ledger
        self._begin = begin
        self._backoffs: WeakKeyDictionary[Live, _Backoff] = WeakKeyDictionary()

    def decide(self, live: Live, code: int, lasted_seconds: float) -> bool:
        """Whether this exit leads to a restart; the next pause is set by how long the run lasted."""
        backoff = self._backoff(live)
        backoff.pause_seconds = restart.next_pause(backoff.pause_seconds, lasted_seconds)
        return not backoff.called_off.is_set() and restart.wants_restart(live.record, code)

    def goes_on(self, live: Live) -> bool:
        """Whether a restart that failed for a reason that may pass is tried again."""
        return not self._backoff(live).called_off.is_set() and restart.has_policy(live.record)

    def schedule(self, live: Live) -> None:
        """Start a container that is `restarting` once its pause is over."""
        backoff = self._backoff(live)
        if not backoff.waiting:
            backoff.waiting = True
            self._nursery.start_soon(self._start_later, live, backoff, name=f"restart {live.id[:12]}")

    def schedule_retry(self, live: Live) -> None:
        """The same after a restart that failed: with a longer pause."""
        backoff = self._backoff(live)
        backoff.pause_seconds = restart.next_pause(backoff.pause_seconds, 0)
        _LOG.warning("restart_failed", container_id=live.id, again_in_seconds=backoff.pause_seconds)
        self.schedule(live)

    def want_up(self, live: Live) -> None:
        """A daemon that begins finds a container down that its policy wants up: `schedule` comes next."""
        live.become(Event.WANTED_UP, by_policy=True, restart_count=0, stopped_by_user=False)

    def forget(self, live: Live) -> None:
        """Somebody starts the container: whatever was called off or awaited is over."""
        self._call_off(live)
        self._backoffs.pop(live, None)

    def call_off(self, live: Live) -> None:
        """Its next exit is its last, until somebody starts it again."""
        self._call_off(live)

    async def stay_down(self, live: Live) -> None:
        """A container that waits to be restarted is not: everybody who waits for its end is told."""
        self._call_off(live)
        if live.record.state is not State.RESTARTING:
            return
        record = live.become(Event.STAY_DOWN)
        await self._ledger.insist(Put(record))
        live.announce_exit(ExitStatus(code=record.exit_code, error=record.error or None))

    def _backoff(self, live: Live) -> _Backoff:
        return self._backoffs.setdefault(live, _Backoff())

    def _call_off(self, live: Live) -> None:
        self._backoff(live).called_off.set()

    async def _start_later(self, live: Live, backoff: _Backoff) -> None:
        with trio.move_on_after(backoff.pause_seconds):
            await backoff.called_off.wait()
        backoff.waiting = False
        gone = self._ledger.get(live.id) is not live or live.leaving
        if gone or backoff.called_off.is_set() or live.record.state is not State.RESTARTING:
            return
        try:
            self._begin(live)
        except SockerlessError as error:  # a daemon that shuts down starts nothing: the next one does
            _LOG.info("restart_left", container_id=live.id, reason=str(error))
