"""A wait that a test settles, and the task that every fake container runs in."""

from __future__ import annotations

from collections.abc import Callable

import trio

from sockerless_ecs.model.container import ExitStatus, Task
from sockerless_ecs.model.taskdef import RunTaskRequest

TASK = Task(
    request=RunTaskRequest(
        cluster="c",
        definition_arn="arn:definition",
        client_token="t",
        started_by="s",
        subnets=("subnet-1",),
        security_groups=("sg-1",),
        assign_public_ip=False,
        capacity_provider="FARGATE",
        platform_version="LATEST",
        cpu_units=256,
        memory_mib=512,
        storage_gib=None,
    ),
    agent_token="secret-token",
    requested_ns=1,
    agent_address="10.0.0.7:9111",
)


class FakeWaiting:
    """A wait that a test settles."""

    def __init__(self, forget: Callable[[FakeWaiting], None]) -> None:
        self._forget = forget
        self._done = trio.Event()
        self.status = ExitStatus(code=0)

    def settle(self, status: ExitStatus) -> None:
        self.status = status
        self._done.set()

    @property
    def settled(self) -> bool:
        return self._done.is_set()

    async def outcome(self) -> ExitStatus:
        try:
            await self._done.wait()
        finally:
            self._forget(self)
        return self.status
