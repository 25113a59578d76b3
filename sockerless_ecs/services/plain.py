"""Starts without our agent (label `sockerless.agent=off`): ECS runs the process, and says when it does."""

from __future__ import annotations

from sockerless_ecs.errors import NotFound, Unavailable
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.model.taskdef import MAIN_CONTAINER
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.meeting import stopped_early
from sockerless_ecs.services.placing import Placing
from sockerless_ecs.services.pull_secrets import PullSecrets
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.services.watcher import TaskWatcher


class Plain:
    """Every start is a task of its own; the supervisor waits for its end by asking ECS."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        watcher: TaskWatcher,
        supervisor: Supervisor,
        placing: Placing,
        pull_secrets: PullSecrets,
    ) -> None:
        self._ledger = ledger
        self._watcher = watcher
        self._supervisor = supervisor
        self._placing = placing
        self._pull_secrets = pull_secrets

    async def bring_up(self, live: Live) -> None:
        """Returns once ECS says that the process runs, or has run; raises why it never did."""
        task = await self._placing.task(live)
        run_id = live.record.run_id
        assert task.arn is not None
        assert run_id is not None
        try:
            snapshot = await self._watcher.wait_for(task.arn, _has_begun)
        except NotFound as error:
            raise Unavailable(f"the task was lost: {error}") from error
        if not _ran(snapshot):
            raise stopped_early(snapshot, self._pull_secrets.advice(live.record))
        if changed := self._supervisor.mark_started(live, run_id, now_ns()):
            await self._ledger.insist(*changed)
        self._supervisor.follow(live)


def _has_begun(snapshot: TaskSnapshot) -> bool:
    return snapshot.stopped or _ran(snapshot)


def _ran(snapshot: TaskSnapshot) -> bool:
    """Whether the process runs; one that has an exit code did."""
    main = snapshot.container(MAIN_CONTAINER)
    if main is None:
        return False
    return main.exit_code is not None or (main.last_status == "RUNNING" and not snapshot.stopped)
