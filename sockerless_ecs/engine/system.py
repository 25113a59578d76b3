"""The engine itself: what it is, how much it holds, what happens in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import sockerless_ecs
from sockerless_ecs.engine.contract import Credentials, Filters, SystemInfo
from sockerless_ecs.engine.unbuilt import not_built
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.sizing import MOST_CPU_UNITS, MOST_MEMORY_MIB
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger

_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}


class EngineSystem:
    """Counts, from memory; and the events."""

    def __init__(
        self, *, ledger: Ledger, bus: EventBus, instance_id: str, name: str, architecture: str
    ) -> None:
        self._ledger = ledger
        self._bus = bus
        self._instance_id = instance_id
        self._name = name
        self._architecture = architecture

    async def info(self) -> SystemInfo:
        """Counts and sizes, from memory."""
        states = [live.record.state for live in self._ledger]
        running, paused = states.count(State.RUNNING), states.count(State.PAUSED)
        return SystemInfo(
            id=self._instance_id,
            name=self._name,
            version=sockerless_ecs.__version__,
            containers=len(states),
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=len({image.id for image in self._ledger.images.values()}),
            architecture=_MACHINES.get(self._architecture, self._architecture),
            cpus=MOST_CPU_UNITS // 1024,
            memory_bytes=MOST_MEMORY_MIB * 1024 * 1024,
        )

    async def auth(self, credentials: Credentials) -> str:
        """Not built: registries with credentials come with the images."""
        not_built("auth check")

    async def ping(self) -> None:
        """It serves."""

    async def disk_usage(self) -> None:
        """Not built."""
        not_built("disk usage")

    def events(
        self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters
    ) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """History since `since_ns`, then what comes until `until_ns`; InvalidParameter: unknown filter."""
        filtering.check(filters, filtering.EVENT)
        return self._bus.listen(
            since_ns=since_ns,
            until_ns=until_ns,
            wanted=lambda event: filtering.match_event(event, filters),
        )
