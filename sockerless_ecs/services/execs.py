"""Execs as long as somebody may ask for them: in memory only, bounded, each with the level of its end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import trio

from sockerless_ecs.errors import Conflict, NotFound
from sockerless_ecs.model.container import ContainerId
from sockerless_ecs.model.exec import Exec

KEPT_SECONDS = 300.0
"""How long an exec that has ended can be inspected, as in Docker."""
KEPT_EXECS = 4096
"""How many that have ended, and how many that nobody has started; the oldest go first."""
KILLED = 137


class _Entry:
    """One exec."""

    def __init__(self, instance: Exec) -> None:
        self.instance = instance
        self.settled = trio.Event()
        """It runs, or has ended."""
        self.over = trio.Event()
        self.over_at = 0.0


class ExecTable:
    """Every exec that is remembered. `show` is told which of a container's are not over."""

    def __init__(self, show: Callable[[ContainerId, tuple[str, ...]], None]) -> None:
        self._show = show
        self._all: dict[str, _Entry] = {}
        self._waiting: dict[str, _Entry] = {}
        self._ended: dict[str, _Entry] = {}
        self._of: dict[ContainerId, dict[str, _Entry]] = defaultdict(dict)
        """Those that are not over."""

    def add(self, instance: Exec) -> None:
        """Remember one more."""
        self._purge()
        entry = self._all[instance.id] = self._waiting[instance.id] = _Entry(instance)
        self._of[instance.container_id][instance.id] = entry
        self._tell(instance.container_id)

    def get(self, exec_id: str) -> Exec:
        """Its record; raises NotFound."""
        return self._entry(exec_id).instance

    def claim(self, exec_id: str) -> Exec:
        """It is being started, by the caller and nobody else; raises Conflict when it was before."""
        entry = self._entry(exec_id)
        if entry.instance.started:
            state = "is already running" if entry.instance.running else "has already run"
            raise Conflict(f"Error: Exec command {exec_id} {state}")
        self._waiting.pop(exec_id, None)
        entry.instance = replace(entry.instance, started=True)
        return entry.instance

    def begin(self, exec_id: str, pid: int) -> None:
        """Its process runs; it may have ended already."""
        if entry := self._all.get(exec_id):
            entry.instance = replace(entry.instance, pid=pid)
            entry.settled.set()

    def end(self, exec_id: str, code: int, pid: int = 0) -> Exec | None:
        """It is over; its record when that is news, else None. The last word is the agent's."""
        entry = self._all.get(exec_id)
        if entry is None:
            return None
        known = entry.instance
        entry.instance = replace(known, started=True, exit_code=code, pid=pid or known.pid)
        if known.exit_code is not None:
            return None
        entry.over_at = trio.current_time()
        self._waiting.pop(exec_id, None)
        self._ended[exec_id] = entry
        self._no_more(entry)
        self._tell(known.container_id)
        return entry.instance

    async def wait_settled(self, exec_id: str) -> Exec:
        """Its record once it runs or is over; raises NotFound."""
        entry = self._entry(exec_id)
        await entry.settled.wait()
        return entry.instance

    async def wait_over(self, exec_id: str) -> None:
        """Return once its exit code is known, or nobody remembers it."""
        if entry := self._all.get(exec_id):
            await entry.over.wait()

    def give_up_waiting(self, container_id: ContainerId) -> None:
        """The container ended: what was not started never will be, and is forgotten, as in Docker."""
        waiting = [entry for entry in self._of[container_id].values() if not entry.instance.started]
        for entry in waiting:
            self._drop(entry)
        if waiting:
            self._tell(container_id)

    def lose(self, container_id: ContainerId) -> list[Exec]:
        """The container's task is gone, and what ran in it was killed: those that ended by this."""
        self.give_up_waiting(container_id)
        ended = [self.end(exec_id, KILLED) for exec_id in list(self._of[container_id])]
        return [instance for instance in ended if instance is not None]

    def forget(self, container_id: ContainerId) -> None:
        """The container was removed."""
        for entry in [e for e in self._all.values() if e.instance.container_id == container_id]:
            self._drop(entry)
        self._of.pop(container_id, None)

    def _entry(self, exec_id: str) -> _Entry:
        self._purge()
        if exec_id not in self._all:
            raise NotFound(f"No such exec instance: {exec_id}")
        return self._all[exec_id]

    def _drop(self, entry: _Entry) -> None:
        for table in (self._all, self._waiting, self._ended):
            table.pop(entry.instance.id, None)
        self._no_more(entry)

    def _no_more(self, entry: _Entry) -> None:
        self._of[entry.instance.container_id].pop(entry.instance.id, None)
        entry.settled.set()
        entry.over.set()

    def _tell(self, container_id: ContainerId) -> None:
        self._show(container_id, tuple(self._of[container_id]))

    def _purge(self) -> None:
        """Forget what ended long ago, and the oldest of too many."""
        oldest = trio.current_time() - KEPT_SECONDS
        while self._ended:
            entry = next(iter(self._ended.values()))
            if entry.over_at >= oldest and len(self._ended) <= KEPT_EXECS:
                break
            self._drop(entry)
        while len(self._waiting) > KEPT_EXECS:
            entry = next(iter(self._waiting.values()))
            self._drop(entry)
            self._tell(entry.instance.container_id)
