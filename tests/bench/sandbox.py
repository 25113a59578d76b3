"""The sandbox itself: from its command to the first answer, and from RunTask to a process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from typing import Any

import boto3
import httpx
import trio

from sockerless_ecs.sandbox.launch import credentials
from tests.bench.figure import Figure
from tests.bench.world import World
from tests.e2e.world import Cloud, eventually

_SOCKET_LINE = b"internal API"
_MOST_TASKS = 10
"""RunTask takes no more at once."""
_BURST = 100
_REFILL_SECONDS = 5
"""What it takes until ECS gives a burst of RunTask and StopTask again."""


async def readiness(world: World) -> list[Figure]:
    """`sandbox --provision-seconds 0`, to the first request that its daemon answers."""
    samples = [await trio.to_thread.run_sync(_ready_seconds) for _ in range(world.scale.ready_runs)]
    return [Figure(name="sandbox ready", unit="s", samples=tuple(samples), target="<= 5")]


def _ready_seconds() -> float:
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "sockerless_ecs", "sandbox", "--provision-seconds", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        line = next(line for line in process.stdout if line.startswith(_SOCKET_LINE))
        transport = httpx.HTTPTransport(uds=line.removeprefix(_SOCKET_LINE).strip().decode())
        with httpx.Client(transport=transport, base_url="http://daemon/internal/v1") as client:
            client.get("/info").raise_for_status()
        return time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()


async def tasks(world: World) -> list[Figure]:
    """RunTask as any program would call it, to the moment at which the container's process runs."""
    return await _Ecs(world).measured(world.scale.tasks, world.scale.task_bursts)


class _Ecs:
    """A client of the sandbox's ECS and a definition that sleeps."""

    def __init__(self, world: World) -> None:
        self._cloud: Cloud = world.cloud
        info = world.cloud.info
        access = credentials(info)
        self._client: Any = boto3.client(
            "ecs",
            endpoint_url=info.endpoint_url,
            region_name=info.region,
            aws_access_key_id=access["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=access["AWS_SECRET_ACCESS_KEY"],
        )
        definition = self._client.register_task_definition(
            family="bench",
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=info.execution_role_arn,
            containerDefinitions=[
                {"name": "main", "image": world.image, "command": ["sleep", "3600"], "stopTimeout": 2}
            ],
        )
        vpc = {"subnets": list(info.subnets), "securityGroups": list(info.security_groups)}
        self._request = {
            "cluster": info.cluster,
            "taskDefinition": definition["taskDefinition"]["taskDefinitionArn"],
            "launchType": "FARGATE",
            "startedBy": "bench",
            "networkConfiguration": {"awsvpcConfiguration": vpc},
        }

    async def measured(self, singles: int, bursts: int) -> list[Figure]:
        """One at a time, then a hundred at once."""
        await self._started(1)  # the layer is unpacked once
        alone = [seconds * 1000 for _ in range(singles) for seconds in [await self._started(1)]]
        crowds = []
        for _ in range(bursts):
            await trio.sleep(_REFILL_SECONDS)
            crowds.append(await self._started(_BURST))
        return [
            Figure(name="RunTask -> process", unit="ms", samples=tuple(alone), target="<= 50"),
            Figure(name=f"{_BURST} RunTasks at once", unit="s", samples=tuple(crowds), target="<= 4"),
        ]

    async def _started(self, count: int) -> float:
        """Seconds until the last of `count` tasks has its process; they are gone afterwards."""
        began = time.time()
        arns: list[str] = []

        def run(number: int) -> None:
            answer = self._client.run_task(**self._request, count=number)
            arns.extend(task["taskArn"] for task in answer["tasks"])

        async with trio.open_nursery() as nursery:
            for first in range(0, count, _MOST_TASKS):
                nursery.start_soon(trio.to_thread.run_sync, run, min(_MOST_TASKS, count - first))
        assert len(arns) == count
        found = await eventually(lambda: self._with_time(arns, "startedAt"), 60)
        async with trio.open_nursery() as nursery:
            for arn in arns:
                nursery.start_soon(trio.to_thread.run_sync, self._stop, arn)
        await eventually(lambda: self._with_time(arns, "stoppedAt"), 60)
        return float(max(found)) - began

    def _stop(self, arn: str) -> None:
        self._client.stop_task(cluster=self._request["cluster"], task=arn)

    def _with_time(self, arns: list[str], moment: str) -> list[float] | None:
        mine = [task for task in self._cloud.tasks("bench") if task["taskArn"] in arns]
        times = [float(task[moment]) for task in mine if moment in task]
        return times if len(times) == len(arns) else None
