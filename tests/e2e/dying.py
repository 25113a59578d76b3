"""A daemon that kills itself at one step: `python -m tests.e2e.dying STEP NUMBER before|after --config FILE`.

STEP is `commit` (a transaction of the store) or `run_task` (the call to ECS); NUMBER counts from 1.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, Literal

import trio

from sockerless_ecs import aws
from sockerless_ecs.config import load
from sockerless_ecs.daemon import serve
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.model.taskdef import RunTaskRequest
from sockerless_ecs.store import Delete, Put, open_store


class Death:
    """Comes at the given step."""

    def __init__(self, step: str, number: int, when: str) -> None:
        self._step, self._number, self._when = step, number, when
        self._seen = {"commit": 0, "run_task": 0}

    def begin(self, step: str) -> bool:
        """Count a step; die before it, or say whether to die after it."""
        self._seen[step] += 1
        meant = step == self._step and self._seen[step] == self._number
        if meant and self._when == "before":
            self.come()
        return meant

    def come(self) -> None:
        """SIGKILL: nothing is cleaned up."""
        os.kill(os.getpid(), signal.SIGKILL)


class DyingStore:
    """A store in front of death."""

    def __init__(self, store: Any, death: Death) -> None:
        self._store, self._death = store, death

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, *changes: Put | Delete) -> None:
        """Commit, and die if it is time."""
        meant = self._death.begin("commit")
        await self._store.commit(*changes)
        if meant:
            self._death.come()


class DyingEcs(aws.Ecs):
    """ECS in front of death."""

    death: Death

    async def run_task(self, request: RunTaskRequest) -> TaskSnapshot:
        """Run the task, and die if it is time."""
        meant = self.death.begin("run_task")
        snapshot = await super().run_task(request)
        if meant:
            self.death.come()
        return snapshot


def main() -> None:
    """See the module's docstring."""
    step, number, when, _, config = sys.argv[1:]
    death = Death(step, int(number), when)
    settings = load({}, os.environ, Path(config)).settings

    async def open_state(where: Path | Literal["memory"]) -> DyingStore:
        return DyingStore(await open_store(where), death)

    def open_ecs(calls: aws.Calls, cluster: str) -> DyingEcs:
        ecs = DyingEcs(calls, cluster)
        ecs.death = death
        return ecs

    async def run() -> None:
        await serve(settings, open_state=open_state, open_ecs=open_ecs)

    trio.run(run)


if __name__ == "__main__":
    main()
