"""A cancelled call leaves nothing open, wherever the cancellation falls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
import trio
import trio.testing

from sockerless_ecs.agent import AgentClient, ExecRequest, Names, StartRequest, files
from tests.agent.conftest import TOKEN, StartAgent
from tests.cancelling import CancelAt

Call = Callable[[AgentClient], Awaitable[None]]


async def follow_events(client: AgentClient) -> None:
    async with client.events() as events:
        async for _ in events:
            pass


async def follow_logs(client: AgentClient) -> None:
    async with client.logs("r1", follow=True) as batches:
        async for _ in batches:
            pass


async def start(client: AgentClient) -> None:
    await client.start(StartRequest(run="r1", argv=("sleep", "1000")))


async def set_names(client: AgentClient) -> None:
    await client.set_names(Names(hostname="box", address="10.0.0.9"))


async def attach(client: AgentClient) -> None:
    async with client.attach("r1", after=0) as streams:
        await streams.send(b"x")
        while await streams.receive():
            pass


async def run_exec(client: AgentClient) -> None:
    request = ExecRequest(id=uuid4().hex, run="r1", argv=("cat",), stdin=True)
    async with client.exec(request) as streams:
        await streams.send(b"x")
        while await streams.receive():
            pass


async def pack(client: AgentClient) -> None:
    async with files.pack(client, ["/etc/passwd"]) as tar:
        async for _ in tar:
            pass


CALLS: list[Call] = [
    AgentClient.connect,
    partial(AgentClient.signal, run="r1", signal="WINCH"),
    partial(AgentClient.ack, seq=1),
    set_names,
    start,
    follow_events,
    follow_logs,
    attach,
    run_exec,
    pack,
]


def sockets() -> list[str]:
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            target = str(descriptor.readlink())
            if target.startswith("socket:"):
                found.append(target)
    return sorted(found)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: getattr(call, "func", call).__name__)
async def test_cancelling_at_any_step_leaves_no_socket(start_agent: StartAgent, call: Call) -> None:
    async with start_agent() as task:
        await start(task.client)
        for step in range(1, 30):
            before = sockets()
            client = AgentClient("127.0.0.1", task.port, TOKEN, task.client._context)
            deadline = trio.current_time() + 0.3
            with trio.CancelScope(deadline=deadline) as scope, CancelAt(scope, step) as steps:
                await call(client)
            await client.aclose()
            assert sockets() == before, step
            if not scope.cancelled_caught or steps.left > 0:
                break  # it was done, or had nothing left but to wait
        assert step > 3
        assert (await task.client.health()).run == "r1"
