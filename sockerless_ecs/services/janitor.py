"""Persisted clean-up jobs, done until they are done, and the sweep for tasks that nobody owns."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable

import structlog
import trio

from sockerless_ecs.aws import Ecs
from sockerless_ecs.errors import NotFound, SockerlessError
from sockerless_ecs.model.cleanup import CleanupJob, CleanupKind
from sockerless_ecs.model.container import Task
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.services.ledger import Ledger, now_ns
from sockerless_ecs.services.watcher import BATCH
from sockerless_ecs.store.contract import Delete

_LOG = structlog.get_logger(__name__)
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 60.0
_SWEEP_SECONDS = 600.0
_AT_ONCE = 16


def new_job(kind: CleanupKind, target: str, reason: str) -> CleanupJob:
    """A job to be saved together with the change that makes it necessary, then given to `Janitor.add`."""
    return CleanupJob(
        id=secrets.token_hex(16), kind=kind, target=target, created_ns=now_ns(), reason=reason[:255]
    )


def clean_up_job(task: Task | None, reason: str) -> CleanupJob | None:
    """What has to be done about a task that is given up; None when there is none."""
    if task is None:
        return None
    if task.arn is not None:
        return new_job(CleanupKind.STOP_TASK, task.arn, reason)
    # RunTask was asked, its answer is not known: it may have made a task all the same.
    return new_job(CleanupKind.FIND_TASK, task.request.client_token, reason)


class Janitor:
    """Owns what is left to do in AWS after an answer was given."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        ecs: Ecs,
        started_by: str,
        drop_secret: Callable[[CleanupJob], Awaitable[None]],
    ) -> None:
        self._ledger = ledger
        self._ecs = ecs
        self._started_by = started_by
        self._drop_secret = drop_secret
        self._nursery: trio.Nursery | None = None
        self._limit = trio.CapacityLimiter(_AT_ONCE)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do the jobs that are left from before, those that are added, and sweep now and then."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            for job in tuple(self._ledger.jobs.values()):
                nursery.start_soon(self._finish, job, name=f"clean up {job.kind}")
            task_status.started()
            while True:
                await self._sweep()
                await trio.sleep(_SWEEP_SECONDS)

    def add(self, job: CleanupJob) -> None:
        """Take on a job that the store already holds. It is tried at once and until it succeeds."""
        self._ledger.jobs[job.id] = job
        if self._nursery is not None:
            self._nursery.start_soon(self._finish, job, name=f"clean up {job.kind}")

    async def _finish(self, job: CleanupJob) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            try:
                await self._do(job)
            except SockerlessError as error:
                _LOG.warning(
                    "cleanup_failed",
                    kind=job.kind,
                    target=job.target,
                    error=str(error),
                    aws_request_ids=error.request_ids,
                    again_in_seconds=pause,
                )
                await trio.sleep(pause)
                pause = min(_LONGEST_PAUSE_SECONDS, pause * 2)
                continue
            await self._ledger.insist(Delete(CleanupJob, job.id))
            self._ledger.jobs.pop(job.id, None)
            return

    async def _do(self, job: CleanupJob) -> None:
        match job.kind:
            case CleanupKind.STOP_TASK:
                async with self._limit:
                    await self._ecs.stop_task(job.target, job.reason or "removed")
            case CleanupKind.FIND_TASK:
                async with self._limit:
                    await self._stop_launched(job)
            case CleanupKind.DELETE_SECRET:  # waits for long, without a place among the few
                await self._drop_secret(job)

    async def _stop_launched(self, job: CleanupJob) -> None:
        for snapshot in await self.owned():
            if snapshot.launch == job.target and not snapshot.stopped:
                await self._ecs.stop_task(snapshot.arn, job.reason)

    async def owned(self, *, stopped: bool = False) -> list[TaskSnapshot]:
        """The tasks that this daemon's instance ever started, as far as ECS still shows them."""
        arns = await self._ecs.list_tasks(self._started_by, stopped=stopped)
        found: list[TaskSnapshot] = []
        for start in range(0, len(arns), BATCH):
            found.extend((await self._ecs.describe_tasks(arns[start : start + BATCH])).values())
        return found

    async def _sweep(self) -> None:
        """Stop tasks of ours that no container knows: what a lost database or a lost answer left behind."""
        try:
            for snapshot in self._orphans(await self.owned()):
                _LOG.warning("orphan_task", task_arn=snapshot.arn)
                await self._ecs.stop_task(snapshot.arn, "no container of this daemon owns it")
        except NotFound:
            return
        except SockerlessError as error:
            _LOG.warning("sweep_failed", error=str(error), aws_request_ids=error.request_ids)

    def _orphans(self, snapshots: Iterable[TaskSnapshot]) -> list[TaskSnapshot]:
        tasks = [live.record.task for live in self._ledger if live.record.task is not None]
        known = {task.arn for task in tasks} | {job.target for job in self._ledger.jobs.values()}
        launching = {task.request.client_token for task in tasks}
        return [
            snapshot
            for snapshot in snapshots
            if snapshot.arn not in known and snapshot.launch not in launching and not snapshot.stopped
        ]
