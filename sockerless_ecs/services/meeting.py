"""Meeting the agent of a new task: an address first, then the agent behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import trio

from sockerless_ecs.agent import AgentClient
from sockerless_ecs.errors import NotFound, Unavailable
from sockerless_ecs.model.container import Task
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.model.taskdef import INIT_CONTAINER
from sockerless_ecs.services.ledger import Live
from sockerless_ecs.services.pull_secrets import PullSecrets
from sockerless_ecs.services.reach import reach_unless
from sockerless_ecs.services.requests import Place
from sockerless_ecs.services.watcher import TaskWatcher

_HEAD_START_SECONDS = 0.25
"""How long an agent has to answer before ECS is asked what became of it: most have answered by then."""
_NOT_PULLED = ("CannotPullContainerError", "unable to pull secrets or registry auth")


class Meeting:
    """Does not wait for ECS to say RUNNING: the agent is asked as soon as it has an address."""

    def __init__(
        self,
        *,
        watcher: TaskWatcher,
        connect: Callable[[Task], AgentClient],
        place: Place,
        pull_secrets: PullSecrets,
    ) -> None:
        self._watcher = watcher
        self._connect = connect
        self._place = place
        self._pull_secrets = pull_secrets

    async def meet(self, live: Live, task: Task) -> AgentClient:
        """Wait for an address and for the agent behind it; raises what to check when it never answers."""
        assert task.arn is not None
        if task.agent_address is None:
            snapshot = await self._snapshot(task.arn, lambda s: s.address is not None or s.stopped)
            if snapshot.stopped:
                raise stopped_early(snapshot, self._pull_secrets.advice(live.record))
            task = replace(task, agent_address=snapshot.address)
            live.become(task=task)
        reasons: list[Unavailable] = []

        async def given_up() -> None:
            await trio.sleep(_HEAD_START_SECONDS)
            reasons.append(await self._reason_to_give_up(live, task))

        agent = await reach_unless(lambda: self._connect(task), given_up)
        if agent is None:
            raise reasons[0]
        return agent

    async def _reason_to_give_up(self, live: Live, task: Task) -> Unavailable:
        """Returns when ECS says that the task ended, or that it runs while its agent stays silent."""
        assert task.arn is not None
        try:
            snapshot = await self._snapshot(task.arn, lambda s: s.stopped or s.last_status == "RUNNING")
            with trio.move_on_after(self._place.reach_seconds):
                snapshot = await self._snapshot(task.arn, lambda s: s.stopped)
        except Unavailable as lost:
            return lost
        if snapshot.stopped:
            return stopped_early(snapshot, self._pull_secrets.advice(live.record))
        groups = ", ".join(self._place.security_groups)
        return Unavailable(
            f"the agent at {task.agent_address}:{self._place.agent_port} did not answer although the task "
            f"{task.arn} runs: check that a security group of the task ({groups}) admits TCP port "
            f"{self._place.agent_port} from this daemon, and that there is a route to the task's subnet"
        )

    async def _snapshot(self, arn: str, reached: Callable[[TaskSnapshot], bool]) -> TaskSnapshot:
        try:
            return await self._watcher.wait_for(arn, reached)
        except NotFound as error:
            raise Unavailable(f"the task was lost: {error}") from error


def stopped_early(snapshot: TaskSnapshot, pull_advice: str) -> Unavailable:
    """What to say of a task whose process never ran; `pull_advice` is for an image that it did not get."""
    reasons = [f"{c.name}: {c.reason}" for c in snapshot.containers if c.reason]
    codes = [f"{c.name} exited with {c.exit_code}" for c in snapshot.containers if c.exit_code is not None]
    what = "; ".join([snapshot.stopped_reason or snapshot.stop_code or "no reason given", *reasons, *codes])
    init = snapshot.container(INIT_CONTAINER)
    ours = init is not None and bool(init.reason)  # the agent's image: the user's has nothing to do with it
    advice = f". {pull_advice}" if not ours and any(word in what for word in _NOT_PULLED) else ""
    return Unavailable(
        f"the task {snapshot.arn} stopped before its agent answered: {what.rstrip('.') if advice else what}"
        + advice
    )
