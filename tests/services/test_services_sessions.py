"""Sessions lose nothing: before the start, over cuts, and at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent import AgentLost, AgentUnreachable, StartRefused
from sockerless_ecs.errors import InvalidParameter, Unavailable
from sockerless_ecs.services.ledger import Live
from sockerless_ecs.services.sessions import Session
from tests.services.fake_agent import FakeAgent
from tests.services.fake_streams import frame
from tests.services.world import World


@asynccontextmanager
async def session(live: Live, *, after: int | None = 0, pending: bool = False) -> AsyncIterator[Session]:
    one = Session(live, run_id=None if pending else live.record.run_id, after=after)
    try:
        await one.connect()
        yield one
    finally:
        await one.aclose()


async def everything(one: Session) -> bytes:
    """Until its end."""
    data = b""
    while piece := await one.receive():
        data += piece
    return data


async def test_who_waits_is_connected_before_the_process_starts(
    world: World, autojump_clock: MockClock
) -> None:
    """What a process writes and ends with at once is there."""
    live = await world.create()
    async with session(live, pending=True) as first, session(live, pending=True) as second:
        world.ecs.hold["run_task"] = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.containers.start, live.id)
            await world.idle()
            world.ecs.hold["run_task"].set()
        run = live.record.run_id
        assert world.agent.attaches == [(run, 0), (run, 0)]
        assert run is not None
        world.agent.print("hello")
        world.agent.exit(0)
        assert await everything(first) == frame(b"hello\n")
        assert await everything(second) == frame(b"hello\n")
    await world.ended(live)
    assert (world.agent.open_streams, live.attached) == (0, set())


async def test_what_is_typed_before_the_start_waits_for_the_process(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create(config={"open_stdin": True, "stdin_once": True})
    async with session(live, pending=True) as one, trio.open_nursery() as nursery:

        async def type_() -> None:
            await one.send(b"script")
            await one.send_eof()

        nursery.start_soon(type_)
        await world.idle()
        await world.containers.start(live.id)
    [run] = world.agent.runs.values()
    assert (bytes(run.pipes.typed), run.pipes.input_ends) == (b"script", 1)


@pytest.mark.parametrize("cuts", [1, 5])
async def test_cut_is_mended_at_the_very_byte(world: World, autojump_clock: MockClock, cuts: int) -> None:
    """Frames may be half delivered: nothing is missing, nothing comes twice."""
    live = await world.run()
    world.agent.stream_chunk = 7
    for number in range(20):
        world.agent.print(f"line {number}")
    wanted = bytes(world.agent.runs[world.agent.live].pipes.output)
    async with session(live) as one:
        got = b""
        for _ in range(cuts):
            got += await one.receive() + await one.receive()
            world.agent.cut()
        await world.idle()
        world.agent.exit(0)
        got += await everything(one)
    assert got == wanted
    assert [after for _, after in world.agent.attaches] == [14 * n for n in range(cuts + 1)]


async def test_from_now_on_a_cut_is_mended_too(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.print("before")
    async with session(live, after=None) as one:
        world.agent.print("after")
        assert await one.receive() == frame(b"after\n")
        world.agent.cut()
        world.agent.print("later")
        assert await one.receive() == frame(b"later\n")


async def test_output_that_was_overwritten_meanwhile_is_told(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.print("one")
    async with session(live) as one:
        await one.receive()
        world.agent.print("two", "three")
        world.agent.runs[world.agent.live].pipes.lost = 30
        world.agent.cut()
        with pytest.raises(Unavailable, match="was lost while it was out of reach"):
            await one.receive()


async def test_input_goes_on_after_a_cut_and_never_arrives_twice(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(config={"open_stdin": True, "stdin_once": True})
    pipes = world.agent.runs[world.agent.live].pipes
    async with session(live) as one, trio.open_nursery() as nursery:
        nursery.start_soon(everything, one)
        await one.send(b"a")
        world.agent.cut()
        await one.send(b"b")  # in the connection that was cut: it may be lost
        await one.send(b"c")
        await one.send_eof()
        assert bytes(pipes.typed) in (b"ac", b"abc")
        assert pipes.input_ends == 1
        world.agent.cut()
        await world.idle()
        await trio.sleep(2)
        assert pipes.input_ends == 2  # an end may be told twice: it is the same end
        world.agent.exit(0)


async def test_session_ends_with_its_run_and_not_with_the_next(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    async with session(live) as one:
        world.agent.exit(3)
        assert await everything(one) == b""
        await world.ended(live)
        await world.containers.start(live.id)
        assert await one.receive() == b""


async def test_a_start_that_fails_ends_who_waited(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    fail_at_first(world, "start", StartRefused("not_found", "there is no such command"))
    async with session(live, pending=True) as one, trio.open_nursery() as nursery:
        nursery.start_soon(told_nothing, one)
        await world.idle()
        with pytest.raises(InvalidParameter):
            await world.containers.start(live.id)


async def told_nothing(one: Session) -> None:
    assert await one.receive() == b""
    await one.send(b"nobody reads it")
    await one.send_eof()


def fail_at_first(world: World, call: str, *faults: Exception) -> None:
    """The agents of tasks to come fail a call so often."""

    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.faults[call].extend(faults)
        return agent

    world.ecs.make_agent = make


async def test_removal_ends_everybody_even_if_the_agent_hangs(
    world: World, autojump_clock: MockClock
) -> None:
    created, running = await world.create(), await world.run()
    async with (
        session(created, pending=True) as one,
        session(running) as two,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(told_nothing, one)
        nursery.start_soon(told_nothing, two)
        await world.idle()
        world.agent.dies_of = ()
        await world.containers.remove(created.id)
        await world.containers.remove(running.id, force=True)
    assert world.agent.open_streams == 0


async def test_agent_that_is_lost_with_its_task_is_told(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    async with session(live) as one:
        world.ecs.stops(world.ecs.arn)
        with pytest.raises(Unavailable, match="its output is not whole"):
            await one.receive()


async def test_late_session_gets_the_first_byte_all_the_same(world: World, autojump_clock: MockClock) -> None:
    """An agent that does not let it in before the start does so afterwards."""
    live = await world.create()
    fail_at_first(world, "attach", AgentUnreachable("no"), AgentLost("cut"))
    async with session(live, pending=True) as one:
        await world.containers.start(live.id)
        world.agent.print("first")
        assert await one.receive() == frame(b"first\n")


async def test_unreachable_agent_is_said_before_anything_is_answered(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.reachable = False
    world.agent.cut()
    await world.idle()
    with pytest.raises(Unavailable, match="does not answer now"):
        async with session(live):
            pass
    assert live.attached == set()


@pytest.mark.parametrize("checkpoints", range(12))
async def test_client_that_leaves_at_any_moment_leaves_nothing(
    world: World, autojump_clock: MockClock, checkpoints: int
) -> None:
    live = await world.run()
    async with trio.open_nursery() as nursery:

        async def come() -> None:
            async with session(live) as one:
                await everything(one)

        nursery.start_soon(come)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert (world.agent.open_streams, live.attached) == (0, set())
