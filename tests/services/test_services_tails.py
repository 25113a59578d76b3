"""The ring of a followed run, and the task group that fills it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sockerless_ecs.agent import AgentUnreachable, WrongAgent
from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.model.container import RunId
from sockerless_ecs.model.log import STDOUT, LogLine
from sockerless_ecs.services.tails import Lagged, Tail, Tails
from tests.services.fake_agent import FakeAgent, FakeClient, FakeRun

RUN = RunId("r" * 32)
LINE_BYTES = 64 + len(b"line\n")


def lines(first: int, last: int) -> list[LogLine]:
    return [LogLine(number, number, STDOUT, b"line\n") for number in range(first, last + 1)]


def numbers(batches: Sequence[Sequence[LogLine]]) -> list[int]:
    return [line.number for batch in batches for line in batch]


@pytest.fixture
def agent() -> FakeAgent:
    agent = FakeAgent()
    agent.runs[RUN] = FakeRun()
    agent.chunk = 1
    return agent


async def follow(tail: Tail, seen: list[int], after: int = 0, slow: float = 0) -> None:
    with tail.followed():
        while not tail.closed or tail.newest > after:
            await tail.wait_past(after)
            for batch in tail.after(after):
                after = batch[-1].number
                tail.taken(after)
                seen.extend(line.number for line in batch)
                if slow:
                    await trio.sleep(slow)


def test_ring_drops_its_oldest_batches_but_never_the_newest() -> None:
    tail = Tail(10 * LINE_BYTES)
    for start in range(1, 100, 5):
        tail.append(lines(start, start + 4))
    assert (tail.oldest, tail.newest) == (91, 100)
    tail.append(lines(101, 200))
    assert (tail.oldest, tail.newest) == (101, 200)


@pytest.mark.parametrize("after", range(90, 102))
def test_ring_gives_exactly_what_is_past_a_line(after: int) -> None:
    tail = Tail(10 * LINE_BYTES)
    for start in range(1, 100, 5):
        tail.append(lines(start, start + 4))
    assert numbers(tail.after(after)) == list(range(after + 1, 101))


def test_what_has_left_the_ring_is_lagged() -> None:
    tail = Tail(10 * LINE_BYTES)
    tail.append(lines(1, 5))
    tail.append(lines(6, 20))
    with pytest.raises(Lagged):
        tail.after(4)
    assert numbers(tail.after(5)) == list(range(6, 21))


def test_empty_ring_has_nothing_and_lacks_nothing() -> None:
    tail = Tail(100)
    assert (tail.oldest, tail.after(0)) == (1, [])


async def test_many_followers_share_one_reader_and_each_gets_every_line(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    tails, seen = Tails(nursery, 1 << 20), [list[int]() for _ in range(10)]
    client = FakeClient(agent)
    async with trio.open_nursery() as followers:
        for got in seen:
            followers.start_soon(follow, tails.open(client, RUN, 0), got)
        for _ in range(50):
            agent.print("line", run=RUN)
            await trio.sleep(0.01)
        agent.drain(RUN)
    assert seen == [list(range(1, 51))] * 10
    assert agent.log_reads == 1
    tail = tails.get(RUN)
    assert tail is not None
    assert (tail.closed, tail.whole) == (True, True)


async def test_follower_sets_the_pace_of_the_reader(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    """What nobody has taken yet is not more than half of the ring."""
    agent.print(*["line"] * 1000, run=RUN)
    agent.drain(RUN)
    tail, seen = Tails(nursery, 20 * LINE_BYTES).open(FakeClient(agent), RUN, 0), list[int]()
    async with trio.open_nursery() as followers:
        followers.start_soon(follow, tail, seen, 0, 0.1)
        await trio.sleep(5)
        assert tail.newest - len(seen) <= 12
    assert seen == list(range(1, 1001))


async def test_slow_follower_stalls_nobody(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    agent.print(*["line"] * 1000, run=RUN)
    agent.drain(RUN)
    tail, fast = Tails(nursery, 20 * LINE_BYTES).open(FakeClient(agent), RUN, 0), list[int]()
    lagged = False
    async with trio.open_nursery() as followers:

        async def stalls() -> None:
            nonlocal lagged
            try:
                await follow(tail, [], 0, 3600)
            except Lagged:
                lagged = True

        followers.start_soon(stalls)
        followers.start_soon(follow, tail, fast)
        with trio.fail_after(60):
            while not tail.closed:
                await tail.wait_past(tail.newest)
    assert fast == list(range(1, 1001))
    assert lagged


async def test_reader_stops_when_nobody_follows_any_more(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    tails = Tails(nursery, 1 << 20)
    agent.print("line", run=RUN)
    tail = tails.open(FakeClient(agent), RUN, 0)
    with trio.move_on_after(1):
        await follow(tail, [])
    await trio.testing.wait_all_tasks_blocked()
    assert (tail.closed, tail.whole, tails.get(RUN)) == (True, False, None)
    assert not nursery.child_tasks


async def test_follower_that_is_cancelled_leaves_the_others_theirs(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    tail, seen = Tails(nursery, 1 << 20).open(FakeClient(agent), RUN, 0), list[int]()
    async with trio.open_nursery() as followers:
        followers.start_soon(follow, tail, seen)
        with trio.move_on_after(1):
            await follow(tail, [])
        assert tail.followers == 1
        agent.print("line", run=RUN)
        agent.drain(RUN)
    assert seen == [1]


async def test_reader_that_is_cut_closes_the_ring_as_not_whole(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    tails, seen = Tails(nursery, 1 << 20), list[int]()
    agent.print("line", "line", run=RUN)
    agent.log_cuts.append(1)
    tail = tails.open(FakeClient(agent), RUN, 0)
    await follow(tail, seen)
    assert (seen, tail.whole, tails.get(RUN)) == ([1], False, None)
    assert tails.open(FakeClient(agent), RUN, 1) is not tail


@pytest.mark.parametrize(
    "fault",
    [AgentUnreachable("gone"), WrongAgent("another's now"), Unimplemented("an agent of its own mind")],
)
async def test_nothing_that_an_agent_answers_harms_the_task_group(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent, fault: Exception
) -> None:
    tails = Tails(nursery, 1 << 20)
    agent.faults["logs"].append(fault)
    tail = tails.open(FakeClient(agent), RUN, 0)
    await follow(tail, [])
    assert (tail.closed, tail.whole) == (True, False)
    agent.faults["logs"].append(fault)
    await tails.keep(FakeClient(agent), RUN, 5)
    kept = tails.get(RUN)
    assert kept is not None
    assert not kept.whole


async def test_end_of_a_run_that_nobody_followed_is_kept(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    agent.chunk = 1000
    agent.print(*["line"] * 12_000, run=RUN)
    agent.drain(RUN)
    tails = Tails(nursery, 1 << 20)
    await tails.keep(FakeClient(agent), RUN, 12_000)
    kept = tails.get(RUN)
    assert kept is not None
    assert (kept.whole, kept.oldest, kept.newest) == (True, 2001, 12_000)


async def test_run_without_output_is_kept_without_asking(nursery: trio.Nursery, agent: FakeAgent) -> None:
    tails = Tails(nursery, 1 << 20)
    await tails.keep(FakeClient(agent), RUN, 0)
    kept = tails.get(RUN)
    assert kept is not None
    assert (kept.whole, kept.after(0), agent.log_reads) == (True, [], 0)


async def test_ring_of_a_followed_run_stays_as_its_tail(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    tails, seen = Tails(nursery, 1 << 20), list[int]()
    tail = tails.open(FakeClient(agent), RUN, 0)
    async with trio.open_nursery() as followers:
        followers.start_soon(follow, tail, seen)
        agent.print("line", "line", run=RUN)
        agent.drain(RUN)
        await tails.keep(FakeClient(agent), RUN, 2)
    assert tails.get(RUN) is tail
    assert numbers(tail.after(0)) == seen == [1, 2]
    assert agent.log_reads == 1


async def test_stalled_follower_does_not_keep_the_end_from_being_kept(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    """Neither what is kept nor the task's end waits longer than a moment for it."""
    agent.print(*["line"] * 100, run=RUN)
    tails = Tails(nursery, 20 * LINE_BYTES)
    tail = tails.open(FakeClient(agent), RUN, 0)
    async with trio.open_nursery() as followers:

        async def stalls() -> None:
            with tail.followed():
                await trio.sleep_forever()

        followers.start_soon(stalls)
        await trio.sleep(0.1)
        agent.drain(RUN)
        began = trio.current_time()
        await tails.keep(FakeClient(agent), RUN, 100)
        kept = tails.get(RUN)
        assert kept is not None
        assert kept is not tail
        assert (kept.whole, kept.newest) == (True, 100)
        await tails.farewell(RUN)
        assert trio.current_time() - began < 11
        followers.cancel_scope.cancel()


async def test_farewell_ends_with_the_last_follower(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    tails, seen = Tails(nursery, 1 << 20), list[int]()
    agent.print(*["line"] * 20, run=RUN)
    agent.drain(RUN)
    async with trio.open_nursery() as followers:
        followers.start_soon(follow, tails.open(FakeClient(agent), RUN, 0), seen, 0, 0.1)
        await tails.keep(FakeClient(agent), RUN, 20)
        await tails.farewell(RUN)
        assert trio.current_time() == pytest.approx(2, abs=0.2)
    assert seen == list(range(1, 21))


async def test_forgotten_run_is_dropped(nursery: trio.Nursery, agent: FakeAgent) -> None:
    tails = Tails(nursery, 1 << 20)
    await tails.keep(FakeClient(agent), RUN, 0)
    tails.forget(RUN)
    tails.forget(RUN)
    assert tails.get(RUN) is None
    await tails.farewell(RUN)


async def test_only_the_newest_ended_runs_are_kept(nursery: trio.Nursery, agent: FakeAgent) -> None:
    tails = Tails(nursery, 1 << 20)
    runs = [RunId(f"{number:032}") for number in range(300)]
    for run in runs:
        await tails.keep(FakeClient(agent), run, 0)
    assert [run for run in runs if tails.get(run)] == runs[-256:]


async def test_lines_come_in_order_whatever_is_missing(
    autojump_clock: MockClock, nursery: trio.Nursery, agent: FakeAgent
) -> None:
    agent.print(*["line"] * 50, run=RUN)
    agent.runs[RUN].holes = {20, 21, 22}
    agent.drain(RUN)
    seen: list[int] = []
    await follow(Tails(nursery, 1 << 20).open(FakeClient(agent), RUN, 0), seen)
    assert all(one < next_one for one, next_one in pairwise(seen))
    assert set(seen) == set(range(1, 51)) - {20, 21, 22}
