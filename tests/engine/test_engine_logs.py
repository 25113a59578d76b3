"""Which lines a reader of logs gets, and when it ends."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent import AgentLost
from sockerless_ecs.errors import (
    InvalidParameter,
    NotFound,
    Unavailable,
)
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDERR, LogLine, LogOptions
from tests.services.world import World


async def read(world: World, ref: str, **options: object) -> list[LogLine]:
    async with world.containers.logs(ref, LogOptions(**options)) as batches:  # type: ignore[arg-type]
        return [line async for batch in batches for line in batch]


def text(lines: list[LogLine]) -> str:
    return b"".join(line.data for line in lines).decode().replace("\n", " ").strip()


async def test_tail_counts_over_several_runs(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    for run in range(3):
        if run:
            await world.containers.start(live.id)
        world.agent.print(*(f"{run}{line}" for line in range(3)))
        world.agent.exit()
        await world.ended(live)
    for tail, expected in {
        None: "00 01 02 10 11 12 20 21 22",
        0: "",
        2: "21 22",
        3: "20 21 22",
        4: "12 20 21 22",
        8: "01 02 10 11 12 20 21 22",
        100: "00 01 02 10 11 12 20 21 22",
    }.items():
        assert text(await read(world, live.id, tail=tail)) == expected


@pytest.mark.parametrize("source", ["agent", "archive"])
async def test_tail_of_a_running_container_counts_what_there_is(
    world: World, autojump_clock: MockClock, source: str
) -> None:
    live = await world.run()
    world.agent.print("1", "2", "3")
    [run] = world.ledger.runs_of(live.id)
    if source == "archive":
        world.cloud.copy(run.log_stream, run.id, world.agent.runs[run.id].lines, end=False)
        world.agent.faults["logs"].append(AgentLost("cut"))
    assert text(await read(world, live.id, tail=2)) == "2 3"


async def test_docker_s_follower_of_a_container_that_has_not_started_ends_at_once(world: World) -> None:
    live = await world.create()
    assert await read(world, live.id, follow=True) == []


async def test_follower_of_a_container_that_has_not_started_waits_for_its_first_line(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True, awaits_start=True))

        nursery.start_soon(follow)
        await trio.sleep(5)
        await world.containers.start(live.id)
        world.agent.print("first")
        await trio.sleep(5)
        world.agent.print("last")
        world.agent.exit()
    assert text(got) == "first last"


async def test_follower_ends_when_the_start_fails_or_the_container_goes(
    world: World, autojump_clock: MockClock
) -> None:
    lives = [await world.create(), await world.create()]
    world.ecs.faults["run_task"].append(Unavailable("no capacity"))
    async with trio.open_nursery() as nursery:
        for live in lives:
            nursery.start_soon(lambda ref: read(world, ref, follow=True), live.id)
        await world.idle()
        with pytest.raises(Unavailable):
            await world.containers.start(lives[0].id)
        await world.containers.remove(lives[1].id)


async def test_follower_comes_for_one_run_only(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True))

        nursery.start_soon(follow)
        await world.idle()
        world.agent.print("one")
        await world.containers.restart(live.id)
        world.agent.print("two")
        await world.idle()
    assert text(got) == "one"


async def test_streams_and_times_are_chosen(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.print("a", "b")
    world.agent.print("err", stream=STDERR)
    world.agent.print("c")
    times = [line.time_ns for line in await read(world, live.id)]
    assert text(await read(world, live.id, stderr=False)) == "a b c"
    assert text(await read(world, live.id, stdout=False)) == "err"
    assert text(await read(world, live.id, since_ns=times[1])) == "b err c"
    assert text(await read(world, live.id, until_ns=times[1])) == "a b"
    assert text(await read(world, live.id, since_ns=times[1], until_ns=times[2], stdout=False)) == "err"
    with pytest.raises(InvalidParameter, match="you must choose at least one stream"):
        await read(world, live.id, stdout=False, stderr=False)
    with pytest.raises(NotFound):
        await read(world, "nobody")


async def test_who_asks_right_after_the_exit_gets_the_last_line_too(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.exit(drain=False)
    await world.until(live, State.EXITED)
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            got.extend(await read(world, live.id))

        nursery.start_soon(ask)
        await trio.sleep(2)
        world.agent.print("late", run=str(live.record.run_id))
        world.agent.drain(str(live.record.run_id))
    assert text(got) == "late"


async def test_run_that_the_agent_has_forgotten_comes_from_the_archive(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.print("one", "two")
    world.agent.exit()
    await world.ended(live)
    [run] = world.ledger.runs_of(live.id)
    world.cloud.copy(run.log_stream, run.id, world.agent.runs.pop(run.id).lines)
    world.tails.forget(run.id)
    assert text(await read(world, live.id)) == "one two"


async def test_follower_while_the_agent_is_away_reads_the_archive_without_haste(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    [run] = world.ledger.runs_of(live.id)
    world.cloud.copy(run.log_stream, run.id, [], end=False)
    world.agent.reachable = False
    world.agent.cut()
    await trio.sleep(1)
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True))

        nursery.start_soon(follow)
        await trio.sleep(30)
        assert world.cloud.reads < 150
        world.cloud.write(run.log_stream, "written meanwhile")
        await trio.sleep(2)
        world.agent.runs[run.id].lines.append(LogLine(1, 1, 1, b"written meanwhile\n"))
        world.agent.reachable = True
        await trio.sleep(2)
        world.agent.print("then")
        world.agent.exit()
    assert text(got) == "written meanwhile then"


async def test_reader_that_leaves_half_way_leaves_nothing_behind(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.chunk = 1
    world.agent.print("1", "2", "3")
    for follow in (False, True):
        async with world.containers.logs(live.id, LogOptions(follow=follow)) as batches:
            assert [line.data for line in await anext(aiter(batches))] == [b"1\n"]
    await world.idle()
    assert world.tails.get(world.ledger.runs_of(live.id)[0].id) is None


async def test_follower_that_is_ahead_of_the_reader_is_not_waited_for(
    world: World, autojump_clock: MockClock
) -> None:
    """Another one stalls at the beginning: the reader goes on for the sake of who wants only the end."""
    live = await world.run()
    world.agent.chunk = 1
    world.agent.print(*["x" * 1000] * 3000)
    [run] = world.ledger.runs_of(live.id)
    assert live.agent is not None
    stalled = world.tails.open(live.agent, run.id, 0)
    got: list[LogLine] = []
    with stalled.followed():
        await world.idle()
        assert 0 < stalled.newest < 3000

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True, tail=0))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await trio.sleep(1)
            world.agent.print("end")
            world.agent.exit()
    assert text(got) == "end"
