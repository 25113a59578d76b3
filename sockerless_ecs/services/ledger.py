"""The daemon's memory of every record, written through to the store."""

from __future__ import annotations

import time
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Protocol, TypeVar

import structlog
import trio
from trio_util import AsyncValue

from sockerless_ecs.agent import AgentClient
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, StoreUnusable, Unavailable
from sockerless_ecs.model import lifecycle
from sockerless_ecs.model.cleanup import CleanupJob
from sockerless_ecs.model.container import Container, ContainerId, ExitStatus, Run, RunId
from sockerless_ecs.model.image import Image, ImageFile, ImageRef
from sockerless_ecs.services.execs import ExecTable
from sockerless_ecs.store.contract import Delete, Put, Snapshot, Store

_LOG = structlog.get_logger(__name__)
_AGAIN_SECONDS = 1.0
_REACH_SECONDS = 10.0
_STALLED_SECONDS = 5.0
"""How long a client may read nothing before the end of a container's output is kept for it no longer."""
_K = TypeVar("_K")
_V = TypeVar("_V")
_ENDINGS = (
    lifecycle.Event.EXITED,
    lifecycle.Event.EXITED_TO_RESTART,
    lifecycle.Event.STAY_DOWN,
    lifecycle.Event.LOST,
    lifecycle.Event.FAILED,
    lifecycle.Event.FAILED_AGAIN,
)


@dataclass(frozen=True, slots=True)
class Moment:
    """What waiters watch: a level, so that nobody can come too late for an edge."""

    starts: int = 0
    exits: int = 0
    status: ExitStatus = field(default_factory=lambda: ExitStatus(code=0))
    removed: bool = False
    drained: RunId | None = None
    """The last run whose output is whole, or will never be."""


class Live:
    """One container in memory: its record, its agent, and the levels that waiters watch."""

    def __init__(self, record: Container, changed: Callable[[], None] = lambda: None) -> None:
        self.record = replace(record, exec_ids=())  # execs live in memory only
        self.moment = AsyncValue(Moment(status=ExitStatus(code=record.exit_code)))
        self._agent: AgentClient | None = None
        self._changed = changed
        self._change = AsyncValue(0)
        self.attached: set[Attached] = set()
        """Who is at its process's streams, or waits to be."""
        self.exit_pending = False
        """It has ended, and that is not yet safe in the store: nobody is told so far."""
        self.kept = False
        """Somebody restarts it: the exit that comes of that does not remove it, `AutoRemove` or not."""
        self.leaving = False
        """It is being removed: it starts no more, and nothing about it is stored again."""

    @property
    def id(self) -> ContainerId:
        """The container's id."""
        return self.record.id

    @property
    def agent(self) -> AgentClient | None:
        """The agent of its task, while it can be reached."""
        return self._agent

    @agent.setter
    def agent(self, agent: AgentClient | None) -> None:
        self._agent = agent
        self.touch()

    def touch(self) -> None:
        """Have everybody in `until` look again."""
        self._change.value += 1

    async def until(self, reached: Callable[[], bool]) -> None:
        """Return once this is true of the container, its agent or its moment as they are."""
        await self._change.wait_value(lambda _: reached())

    async def heard(self) -> None:
        """Return once who is at its streams has all of the output, or has taken none of it for a while."""
        while listening := [attached.taken for attached in self.attached if attached.taken is not None]:
            with trio.move_on_after(_STALLED_SECONDS) as patience:
                await self.until(lambda: all(attached.taken is None for attached in self.attached))
            taken = [attached.taken for attached in self.attached if attached.taken is not None]
            if patience.cancelled_caught and sorted(taken) == sorted(listening):
                return

    async def reach(self) -> AgentClient:
        """Its agent, which may be about to be reached again; raises `Unavailable` when it takes too long."""
        with trio.move_on_after(_REACH_SECONDS):
            await self.until(
                lambda: self.agent is not None or not self.record.state.alive or self.moment.value.removed
            )
        if self.agent is None:
            raise Unavailable(f"the agent of container {self.id} does not answer now: try again")
        return self.agent

    def become(self, event: lifecycle.Event | None = None, **changes: Any) -> Container:
        """Change the record, at once and only in memory; raises `Conflict` for what cannot happen."""
        if event is not None:
            changes["state"] = lifecycle.after(self.record.state, event)
            self.exit_pending = event in _ENDINGS
        self.record = replace(self.record, **changes)
        self._changed()
        self.touch()
        return self.record

    def announce_start(self) -> None:
        """Resolve the waits for a start."""
        self.moment.value = replace(self.moment.value, starts=self.moment.value.starts + 1)
        self.touch()

    def announce_exit(self, status: ExitStatus) -> None:
        """Resolve the waits for an exit; called once what ended is safe in the store."""
        self.exit_pending = False
        self.moment.value = replace(self.moment.value, exits=self.moment.value.exits + 1, status=status)
        self.touch()

    def announce_drained(self, run_id: RunId) -> None:
        """Resolve the waits for the end of a run's output."""
        self.moment.value = replace(self.moment.value, drained=run_id)
        self.touch()

    def announce_removal(self) -> None:
        """Resolve every wait: nothing more will come."""
        self.moment.value = replace(self.moment.value, removed=True)
        self.touch()
        for attached in tuple(self.attached):
            attached.end()


class Ledger:
    """All records. Reading is from memory; what changes is saved by `save`, in one transaction."""

    def __init__(self, store: Store, snapshot: Snapshot) -> None:
        self._store = store
        self.revision = 0
        """Rises at every change of what inspect or a list shows."""
        self.departures = AsyncValue(0)
        """Rises when a container or an image's name has gone or changed: it may have been a last user."""
        self.execs = ExecTable(self._show_execs)
        self._live = {record.id: Live(record, self._changed) for record in snapshot.containers.values()}
        self._names = {live.record.name: live.id for live in self._live.values()}
        self._coming: dict[ContainerId, str] = {}
        """The images of containers that are being made."""
        self.runs: dict[RunId, Run] = dict(snapshot.runs)
        self.images = _Watched[ImageRef, Image](self.tell_departure, snapshot.images)
        self.jobs: dict[str, CleanupJob] = dict(snapshot.cleanup_jobs)
        self.definitions: dict[str, str] = {known.hash: known.arn for known in snapshot.definitions.values()}

    async def save(self, *changes: Put | Delete) -> None:
        """Make these changes durable, all or none. A cancellation does not undo what was begun.

        What was removed stays removed: whoever still held its record cannot bring it back.
        """
        await self._store.commit(*(change for change in changes if not self._is_removed(change)))

    async def image_file(self, image_id: str) -> bytes | None:
        """An image's configuration file, if it is kept."""
        kept = await self._store.get(ImageFile, image_id)
        return kept.text.encode() if kept else None

    async def insist(self, *changes: Put | Delete) -> None:
        """Make durable what has already happened and cannot be undone; tries until the store takes it."""
        while True:
            try:
                return await self.save(*changes)
            except StoreUnusable as error:
                _LOG.error("store_refuses", error=str(error), again_in_seconds=_AGAIN_SECONDS)
                await trio.sleep(_AGAIN_SECONDS)
                changes = tuple(self._newest(change) for change in changes)

    def _is_removed(self, change: Put | Delete) -> bool:
        match change:
            case Put(Container() as record):
                live = self._live.get(record.id)
                if live is None:  # a container that is being created has its name, if nothing else
                    return self._names.get(record.name) != record.id
                return live.leaving
            case Put(Run() as run):
                live = self._live.get(run.container_id)
                return live is None or live.leaving
        return False

    def _newest(self, change: Put | Delete) -> Put | Delete:
        """The record as it is now: a late try must not undo what others stored meanwhile."""
        match change:
            case Put(Container(id=container_id)) if live := self._live.get(container_id):
                return Put(live.record)
            case Put(Run(id=run_id)) if run := self.runs.get(run_id):
                return Put(run)
        return change

    def __iter__(self) -> Iterator[Live]:
        """Every container, in no order; safe against changes while iterating."""
        return iter(tuple(self._live.values()))

    def find(self, ref: str) -> Live:
        """By id, name (with or without a slash) or unambiguous prefix of the id."""
        wanted = ref.removeprefix("/")
        if live := self._live.get(ContainerId(wanted)):
            return live
        if (owner := self._names.get(wanted)) and owner in self._live:
            return self._live[owner]
        matches = [live for key, live in self._live.items() if wanted and key.startswith(wanted)]
        if len(matches) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {wanted}")
        if not matches:
            raise NotFound(f"No such container: {ref}")
        return matches[0]

    def get(self, container_id: ContainerId) -> Live | None:
        """The container of exactly that id, while it is not removed."""
        return self._live.get(container_id)

    @property
    def used_images(self) -> frozenset[str]:
        """The ids of the images of all containers, and of those that are being made."""
        return frozenset((*(live.record.image_id for live in self._live.values()), *self._coming.values()))

    def reserve(self, name: str, container_id: ContainerId, image_id: str = "") -> None:
        """Take a name, for a new container its image too; Conflict when another container has the name.

        Given back by `release`.
        """
        owner = self._names.setdefault(name, container_id)
        if owner != container_id:
            raise Conflict(
                f'Conflict. The container name "/{name}" is already in use by container "{owner}". '
                "You have to remove (or rename) that container to be able to reuse that name."
            )
        if image_id:
            self._coming[container_id] = image_id

    def release(self, name: str, container_id: ContainerId) -> None:
        """Give a name back, if it is this container's."""
        self._coming.pop(container_id, None)
        if self._names.get(name) == container_id:
            del self._names[name]

    def add(self, record: Container) -> Live:
        """Show a new container."""
        live = self._live[record.id] = Live(record, self._changed)
        self._coming.pop(record.id, None)
        self._changed()
        return live

    def forget(self, live: Live) -> None:
        """Take a container and its runs out of memory."""
        self._live.pop(live.id, None)
        self.tell_departure()
        self.execs.forget(live.id)
        self.release(live.record.name, live.id)
        for run in self.runs_of(live.id):
            del self.runs[run.id]

    def runs_of(self, container_id: ContainerId) -> list[Run]:
        """A container's runs, oldest first."""
        mine = [run for run in self.runs.values() if run.container_id == container_id]
        return sorted(mine, key=lambda run: run.number)

    def tell_departure(self) -> None:
        """Have everybody look again who waits for the last user of something to go."""
        self._changed()
        self.departures.value += 1

    def _changed(self) -> None:
        self.revision += 1

    def _show_execs(self, container_id: ContainerId, exec_ids: tuple[str, ...]) -> None:
        if live := self._live.get(container_id):
            live.become(exec_ids=exec_ids)


class Attached(Protocol):
    """Somebody at a container's streams."""

    @property
    def taken(self) -> int | None:
        """How many bytes it has had so far of a run; None when it has all, or waits for a run to come."""

    async def prepare(self, agent: AgentClient, run_id: RunId) -> None:
        """A run is about to start there: connect to it, or leave it for later."""

    def end(self) -> None:
        """Nothing more comes."""


class _Watched(UserDict[_K, _V], Generic[_K, _V]):
    """A mapping that tells when it changes."""

    def __init__(self, changed: Callable[[], None], known: Mapping[_K, _V]) -> None:
        self._changed: Callable[[], None] = lambda: None
        super().__init__(known)
        self._changed = changed

    def __setitem__(self, key: _K, item: _V) -> None:
        super().__setitem__(key, item)
        self._changed()

    def __delitem__(self, key: _K) -> None:
        super().__delitem__(key)
        self._changed()


def now_ns() -> int:
    """The time of day in nanoseconds since the epoch."""
    return time.time_ns()
