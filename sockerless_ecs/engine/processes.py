"""What runs in a container, and what it uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from sockerless_ecs.agent import AgentClient, AgentLost, AgentUnreachable, WrongAgent, sights
from sockerless_ecs.engine.attaching import not_running
from sockerless_ecs.engine.ps import process_table, wanted_columns
from sockerless_ecs.errors import Conflict
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.usage import ProcessTable, Usage
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.supervisor import attributes

_T = TypeVar("_T")
_TRIES = 3


class Watching:
    """Asks the agents; one that is about to be reached again is waited for."""

    def __init__(self, *, ledger: Ledger, bus: EventBus) -> None:
        self._ledger = ledger
        self._bus = bus

    async def top(self, ref: str, ps_args: str = "") -> ProcessTable:
        """Its processes; Conflict when not running, InvalidParameter for arguments that are not known."""
        live = self._ledger.find(ref)
        if live.record.status == "restarting":
            raise Conflict(f"Container {live.id} is restarting, wait until the container is running")
        if not live.record.state.alive:
            raise not_running(live)
        wanted_columns(ps_args)
        processes = await _ask(live, sights.processes)
        if processes is None:
            raise not_running(live)
        task = live.record.task
        table = process_table(
            processes,
            ps_args,
            now_ns=now_ns(),
            memory_kib=task.request.memory_mib * 1024 if task else 0,
        )
        self._bus.emit("container", "top", live.id, attributes(live.record))
        return table

    async def usage(self, ref: str) -> Usage | None:
        """One sample; None when it does not run. Raises Unavailable when its agent does not answer."""
        live = self._ledger.find(ref)
        return await _ask(live, sights.usage) if live.record.state in (State.RUNNING, State.PAUSED) else None


async def _ask(live: Live, question: Callable[[AgentClient], Awaitable[_T]]) -> _T | None:
    """The agent's answer, asked again if the connection is cut; None when the process has ended meanwhile."""
    for tries_left in reversed(range(_TRIES)):
        if not live.record.state.alive:
            return None
        agent = await live.reach()
        try:
            return await question(agent)
        except (AgentLost, AgentUnreachable, WrongAgent):
            if not tries_left:
                raise
    return None
