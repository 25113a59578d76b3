"""A paused container: nothing of it runs, the agent does."""

from __future__ import annotations

import pytest
import trio

from sockerless_ecs.agent import ExecRequest, StartRequest
from sockerless_ecs.errors import Conflict
from tests.agent.conftest import AgentTask, StartAgent
from tests.agent.streams import event, received_until

TICKING = """
tick() { while :; do echo $1; sleep 0.02; done; }
tick a & (setsid sh -c 'while :; do echo b; sleep 0.02; done') & tick c
"""


async def ticks_for(task: AgentTask, seconds: float) -> set[bytes]:
    """Whose ticks come within a time."""
    seen = b""
    async with task.client.attach("r1", after=None) as streams:
        with trio.move_on_after(seconds):
            while True:
                seen += await streams.receive()
    return {tick for tick in (b"a", b"b", b"c") if tick in seen}


async def test_every_process_stops_and_goes_on(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sh", "-c", TICKING)))
        async with task.client.attach("r1", after=0) as streams:
            for tick in (b"a\n", b"b\n", b"c\n"):
                await received_until(streams, tick)
        await task.client.pause("r1")
        assert await ticks_for(task, 0.3) == set()
        assert (await task.client.health()).run == "r1"
        with pytest.raises(Conflict, match="already paused"):
            await task.client.pause("r1")
        with pytest.raises(Conflict, match="is paused"):
            await task.client.exec_detached(ExecRequest(id="e1", run="r1", argv=("true",)))
        await task.client.unpause("r1")
        assert await ticks_for(task, 0.5) == {b"a", b"b", b"c"}
        with pytest.raises(Conflict, match="is not paused"):
            await task.client.unpause("r1")
        await task.client.exec_detached(ExecRequest(id="e1", run="r1", argv=("true",)))


async def test_kill_ends_a_paused_one_and_the_next_run_is_not_paused(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sh", "-c", "sleep 1000 & exec sleep 1000")))
        await task.client.pause("r1")
        await task.client.signal("r1", "KILL")
        assert (await task.drained())[1].code == 137
        for call in (task.client.pause("r1"), task.client.unpause("r1")):
            with pytest.raises(Conflict, match="not running"):
                await call
        assert (await task.run("true", run="r2"))[1].code == 0


async def test_processes_that_fork_without_end_are_stopped_too(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(
            StartRequest(run="r1", argv=("sh", "-c", "while :; do (true; echo tick; true) & wait; done"))
        )
        for _ in range(5):
            async with task.client.attach("r1", after=0) as streams:
                await received_until(streams, b"tick\n")
            await task.client.pause("r1")
            async with task.client.attach("r1", after=None) as streams:
                with trio.move_on_after(0.15) as standing:
                    assert await streams.receive() == b"", "it still runs"
            assert standing.cancelled_caught
            await task.client.unpause("r1")


async def test_signals_wait_in_a_paused_one(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        await task.client.pause("r1")
        await task.client.signal("r1", "TERM")
        assert (await task.client.health()).run == "r1"
        await task.client.unpause("r1")
        assert (await event(task, "exited")).code == 143
