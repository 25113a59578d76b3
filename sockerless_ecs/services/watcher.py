"""One DescribeTasks loop that every waiter shares."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
import trio
from trio_util import AsyncValue

from sockerless_ecs.errors import NotFound, SockerlessError
from sockerless_ecs.model.container import TaskArn
from sockerless_ecs.model.task import TaskSnapshot

_LOG = structlog.get_logger(__name__)

Describe = Callable[[Sequence[str]], Awaitable[Mapping[TaskArn, TaskSnapshot]]]

BATCH = 100
"""DescribeTasks takes at most 100 tasks (ECS API reference)."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.02, 1.0
_MISSING_SECONDS = 60.0
"""ECS is eventually consistent: a task just run can be missing for a moment; for this long it is gone."""


class _Gone:
    """ECS does not know the task any more."""


_GONE = _Gone()


@dataclass(slots=True)
class _Watched:
    """A task that somebody waits on."""

    since: float
    due: float
    waiters: int = 0
    last_seen: float = field(default=-math.inf)
    latest: AsyncValue[TaskSnapshot | _Gone | None] = field(default_factory=lambda: AsyncValue(None))


class TaskWatcher:
    """Keeps the newest snapshot of every task that somebody waits on, and asks for nothing else.

    How often it asks follows what it has learned: a task's first answer is expected after as long as the
    last ones took, so that a place that is ready in milliseconds is seen in milliseconds and one that
    takes ten seconds does not cost a hundred calls.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._watched: dict[str, _Watched] = {}
        self._wake = trio.Event()
        self._typical_seconds = 0.2

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Poll for as long as anyone waits; sleep for free otherwise."""
        task_status.started()
        while True:
            self._wake = trio.Event()
            due = min((watched.due for watched in self._watched.values()), default=math.inf)
            with trio.move_on_at(due):
                await self._wake.wait()
                continue
            await self._poll()

    async def wait_for(self, arn: str, reached: Callable[[TaskSnapshot], bool]) -> TaskSnapshot:
        """The first snapshot of `arn` for which `reached` is true; NotFound when ECS no longer knows it."""
        with self._interest(arn) as watched:
            found = await watched.latest.wait_value(
                lambda latest: latest is _GONE or (isinstance(latest, TaskSnapshot) and reached(latest))
            )
            if not isinstance(found, TaskSnapshot):
                raise NotFound(f"ECS does not know the task {arn} any more")
            if not found.stopped:  # how long a task lived says nothing about how long the next takes to come
                self._typical_seconds += 0.3 * (trio.current_time() - watched.since - self._typical_seconds)
            return found

    @contextmanager
    def _interest(self, arn: str) -> Iterator[_Watched]:
        now = trio.current_time()
        watched = self._watched.get(arn)
        if watched is None:
            watched = self._watched[arn] = _Watched(since=now, due=now + min(5.0, self._typical_seconds / 2))
        watched.waiters += 1
        self._wake.set()
        try:
            yield watched
        finally:
            watched.waiters -= 1
            if not watched.waiters:
                del self._watched[arn]

    async def _poll(self) -> None:
        """Ask for everything watched that is due, and fill the batches with what is due soonest after it."""
        now = trio.current_time()
        ordered = sorted(self._watched, key=lambda arn: self._watched[arn].due)
        due = sum(1 for arn in ordered if self._watched[arn].due <= now)
        wanted = ordered[: math.ceil(due / BATCH) * BATCH]
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            try:
                found = await self._describe(batch)
            except SockerlessError as error:
                _LOG.warning("describe_failed", tasks=len(batch), error=str(error), aws=error.request_ids)
                found = None
            self._take(batch, found)

    def _take(self, batch: Sequence[str], found: Mapping[TaskArn, TaskSnapshot] | None) -> None:
        now = trio.current_time()
        pause = min(_LONGEST_SECONDS, max(_SHORTEST_SECONDS, self._typical_seconds / 8))
        for arn in batch:
            watched = self._watched.get(arn)
            if watched is None:
                continue
            # A task that keeps everybody waiting is asked for less and less often.
            watched.due = now + min(_LONGEST_SECONDS, max(pause, (now - watched.since) / 8))
            if found is None:
                watched.due = now + _LONGEST_SECONDS
                continue
            snapshot = found.get(TaskArn(arn))
            if snapshot is not None:
                watched.last_seen = now
                newest = watched.latest.value
                if not isinstance(newest, TaskSnapshot) or snapshot.version >= newest.version:
                    watched.latest.value = snapshot
            elif now - max(watched.since, watched.last_seen) > _MISSING_SECONDS:
                watched.latest.value = _GONE
