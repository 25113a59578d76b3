"""After a restart: every container is taken up where the daemon before us left it."""

from __future__ import annotations

import structlog
import trio

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model import restart
from sockerless_ecs.model.container import Task, TaskArn
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.services.janitor import Janitor
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.remover import Remover
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.supervisor import Supervisor

_LOG = structlog.get_logger(__name__)
_TOKEN_SECONDS = 600
"""How long a client token is young enough for its RunTask to be repeated."""
_AGAIN_SECONDS = 2.0


class Reconciler:
    """Runs once, after the store was read."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        launcher: Launcher,
        supervisor: Supervisor,
        remover: Remover,
        janitor: Janitor,
        restarts: Restarts,
    ) -> None:
        self._ledger = ledger
        self._launcher = launcher
        self._supervisor = supervisor
        self._remover = remover
        self._janitor = janitor
        self._restarts = restarts
        self._doubtful: list[Live] = []
        self._leftovers: list[Live] = []
        self._unplaced: list[Live] = []

    def begin(self) -> None:
        """Take up what needs nothing from AWS, at once: nobody sees a container that no one looks after."""
        for live in self._ledger:
            record = live.record
            placed = record.task is not None and record.task.arn is not None
            match record.state:
                case State.STARTING if record.task is not None and not placed:
                    self._launcher.expect(live)
                    self._doubtful.append(live)
                case State.STARTING:
                    self._launcher.resume(live)
                case State.RUNNING | State.PAUSED:
                    self._supervisor.follow(live)
                case State.RESTARTING:
                    self._take_up_restart(live, placed=placed)
                case State.CREATED:
                    self._take_up_created(live, placed=placed)
                case State.EXITED | State.DEAD:
                    self._take_up_ended(live, placed=placed)

    def _take_up_created(self, live: Live, *, placed: bool) -> None:
        record = live.record
        if placed:
            self._launcher.resume_preparing(live)
        elif record.task is not None:
            self._unplaced.append(live)
        elif record.host.auto_remove and record.error:
            self._leftovers.append(live)  # its start failed

    def _take_up_ended(self, live: Live, *, placed: bool) -> None:
        record = live.record
        if record.started_ns and restart.wanted_at_boot(record):
            self._restarts.want_up(live)
            self._take_up_restart(live, placed=placed)
        elif placed:
            self._supervisor.follow(live)
        elif record.host.auto_remove:
            self._leftovers.append(live)

    def _take_up_restart(self, live: Live, *, placed: bool) -> None:
        if placed:  # the end of its output may still be to come, and its task may serve the restart
            self._supervisor.follow(live)
        self._restarts.schedule(live)

    async def settle(self) -> None:
        """Then what takes time: removals that were promised, and the starts whose RunTask is in doubt."""
        for live in self._leftovers:
            if live.record.state in (State.CREATED, State.EXITED, State.DEAD):  # else it was started
                await self._remover.insist(live)
        for live in self._unplaced:
            await self._launcher.forget_preparing(live)
        if self._doubtful:
            await self._settle(self._doubtful)
        _LOG.info("reconciled", in_doubt=len(self._doubtful), removed=len(self._leftovers))

    async def _settle(self, doubtful: list[Live]) -> None:
        """Match tasks that exist to requests that were persisted; repeat only what is young and unmatched."""
        tasks = await self._tasks()
        for live in doubtful:
            task = live.record.task
            if task is None or live.record.state is not State.STARTING:
                continue
            found = tasks.get(task.request.client_token)
            if found is not None:
                try:
                    await self._launcher.adopt(live, task, TaskArn(found.arn))
                except SockerlessError as error:  # memory has it: the start goes on, or fails and cleans up
                    _LOG.warning("adoption_not_stored", container_id=live.id, error=str(error))
            elif not _young(task):
                # Whatever it made has ended by itself: an agent that nobody speaks to does not stay.
                live.become(task=None)
            self._launcher.resume(live)

    async def _tasks(self) -> dict[str, TaskSnapshot]:
        """Every task of this instance, running or stopped, by the launch that made it."""
        while True:
            try:
                found = [*await self._janitor.owned(), *await self._janitor.owned(stopped=True)]
            except SockerlessError as error:
                _LOG.warning("reconcile_waits", error=str(error), aws_request_ids=error.request_ids)
                await trio.sleep(_AGAIN_SECONDS)
                continue
            return {snapshot.launch: snapshot for snapshot in found if snapshot.launch}


def _young(task: Task) -> bool:
    return now_ns() - task.requested_ns < _TOKEN_SECONDS * 1_000_000_000
