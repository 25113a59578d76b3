"""Every line exactly once and in order, or named as missing: whatever each source has, wherever it is cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from trio.testing import MockClock

from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDERR, STDOUT, LogLine, LogOptions
from sockerless_ecs.services.ledger import Live
from tests.services.world import Outside, World, daemon

T = TypeVar("T")
MOST = 40
numbers = st.integers(1, MOST)


def named(logs: Sequence[Mapping[str, Any]]) -> set[int]:
    found: set[int] = set()
    for log in logs:
        if log["event"] == "log_lines_missing":
            found.update(range(log["first"], (log["last"] or MOST * 10) + 1))
    return found


def play(scenario: Callable[[], Awaitable[T]]) -> T:
    return trio.run(scenario, clock=MockClock(autojump_threshold=0))


async def read(world: World, live: Live, **options: Any) -> list[LogLine]:
    async with world.containers.logs(live.id, LogOptions(**options)) as batches:
        return [line async for batch in batches for line in batch]


def content(lines: Sequence[LogLine]) -> list[tuple[int, int, bytes]]:
    return [(line.number, line.stream, line.data) for line in lines]


@dataclass(frozen=True)
class Sources:
    """What each of them still has of an ended run."""

    lines: int
    chunk: int
    page: int
    overwritten: int
    holes: frozenset[int]
    dropped: frozenset[int]
    cuts: tuple[int, ...]
    tail_bytes: int
    agent: str
    """`lingers`, `ended` (the kept tail and the archive remain) or `daemon died` as well."""
    tail: int | None


sources = st.builds(
    Sources,
    lines=st.integers(0, MOST),
    chunk=st.integers(1, MOST),
    page=st.integers(1, MOST),
    overwritten=st.integers(0, MOST),
    holes=st.frozensets(numbers, max_size=6),
    dropped=st.frozensets(numbers, max_size=6),
    cuts=st.lists(st.integers(0, MOST), max_size=4).map(tuple),
    tail_bytes=st.sampled_from([70, 200, 700, 1 << 20]),
    agent=st.sampled_from(["lingers", "ended", "daemon died"]),
    tail=st.none() | st.integers(0, MOST + 5),
)


@settings(max_examples=150, deadline=None)
@given(there=sources)
def test_ended_run_is_read_from_whatever_is_left(there: Sources) -> None:
    async def scenario() -> None:
        outside = Outside(tail_bytes=there.tail_bytes)
        outside.cloud.page = there.page
        async with daemon(outside) as world:
            live = await world.run()
            agent = world.agent
            agent.chunk = there.chunk
            for number in range(1, there.lines + 1):
                agent.print(f"line {number}", stream=STDERR if number % 3 == 0 else STDOUT)
            [ended] = world.ledger.runs_of(live.id)
            output = agent.runs[ended.id]
            outside.cloud.copy(ended.log_stream, ended.id, output.lines, dropped=there.dropped)
            output.overwritten, output.holes = min(there.overwritten, there.lines), set(there.holes)
            at_agent = set(range(output.overwritten + 1, there.lines + 1)) - there.holes
            agent.exit()
            await world.ended(live)
            kept = world.tails.get(ended.id)
            assert kept is not None
            kept_lines = {line.number for batch in kept.after(kept.oldest - 1) for line in batch}
            if there.agent != "lingers":
                agent.end()
                await world.idle()
            if there.agent != "daemon died":
                agent.log_cuts.extend(there.cuts)
                await check(world, live, output.lines, at_agent if there.agent == "lingers" else kept_lines)
                return
        async with daemon(outside) as world:
            world.reconciler.begin()
            await world.reconciler.settle()
            await check(world, world.ledger.find(live.id), output.lines, set())

    async def check(world: World, live: Live, lines: Sequence[LogLine], elsewhere: set[int]) -> None:
        first = 1 if there.tail is None else max(1, len(lines) - there.tail + 1)
        lost = {n for n in range(first, len(lines) + 1) if n in there.dropped and n not in elsewhere}
        with capture_logs() as logs:
            got = await read(world, live, tail=there.tail)
        assert content(got) == content([line for line in lines[first - 1 :] if line.number not in lost])
        assert named(logs) & set(range(first, len(lines) + 1)) == lost

    play(scenario)


@dataclass(frozen=True)
class Print:
    count: int
    dropped: bool


@dataclass(frozen=True)
class Overwrite:
    """The agent's ring loses everything up to this line, but never the newest."""

    up_to: int


@dataclass(frozen=True)
class CutLog:
    """The next connection to the log breaks after so many lines."""

    after: int


@dataclass(frozen=True)
class CutAgent:
    """Every connection breaks, and for a time nobody answers."""

    seconds: float


@dataclass(frozen=True)
class Pass:
    seconds: float


Step = Print | Overwrite | CutLog | CutAgent | Pass
steps = st.lists(
    st.builds(Print, st.integers(1, 6), st.booleans())
    | st.builds(Print, st.integers(1, 6), st.just(False))
    | st.builds(Overwrite, numbers)
    | st.builds(CutLog, st.integers(0, 10))
    | st.builds(CutAgent, st.sampled_from([0.0, 3.0]))
    | st.builds(Pass, st.sampled_from([0.0, 0.2, 5.0])),
    max_size=15,
)


@dataclass(frozen=True)
class Course:
    """What happens to a run, and to who follows it."""

    steps: Sequence[Step]
    before: bool
    """The first follower comes before the start."""
    pause: float
    """How long the second one takes for each batch."""
    tail_bytes: int
    chunk: int
    page: int
    end: str


courses = st.builds(
    Course,
    steps=steps,
    before=st.booleans(),
    pause=st.sampled_from([0.0, 0.05]),
    tail_bytes=st.sampled_from([70, 300, 1 << 20]),
    chunk=st.integers(1, 10),
    page=st.integers(1, 10),
    end=st.sampled_from(["drained", "drained late", "task lost"]),
)


class Container:
    """A container whose output goes to its agent and, line for line, to the archive."""

    def __init__(self, world: World, live: Live) -> None:
        self.world, self.live, self.agent = world, live, world.agent
        [self.run] = world.ledger.runs_of(live.id)
        self.output = self.agent.runs[self.run.id]
        self.dropped: set[int] = set()
        world.cloud.write(self.run.log_stream, f"[sockerless] started run={self.run.id}")

    def print(self, *, dropped: bool = False) -> None:
        number = len(self.output.lines) + 1
        self.agent.print(f"line {number}", run=self.run.id)
        if dropped:
            self.dropped.add(number)
        stream, line = self.run.log_stream, self.output.lines[-1]
        self.world.cloud.copy_line(stream, self.run.id, line, dropped=dropped)

    async def take(self, step: Step) -> None:
        match step:
            case Print():
                for _ in range(step.count):
                    self.print(dropped=step.dropped)
            case Overwrite():
                up_to = min(step.up_to, len(self.output.lines) - 1)
                self.output.overwritten = max(self.output.overwritten, up_to)
            case CutLog():
                self.agent.log_cuts.append(step.after)
            case CutAgent():
                self.agent.reachable = False
                self.agent.cut()
                await trio.sleep(step.seconds)
                self.agent.reachable = True
            case Pass():
                await trio.sleep(step.seconds)

    async def end(self, how: str) -> None:
        if how == "task lost":
            return self.world.ecs.stops(self.world.ecs.arn, code=1)
        self.agent.exit(drain=how == "drained")
        if how == "drained late":
            await self.world.until(self.live, State.EXITED)
            await trio.sleep(3)
            self.print()
            self.agent.drain(self.run.id)
        self.world.cloud.end(self.run.log_stream, self.run.id, len(self.output.lines))
        return None


@settings(max_examples=80, deadline=None)
@given(course=courses)
def test_followers_get_it_all_while_it_happens(course: Course) -> None:
    """Two of them, one from before the start and one that is slow: both end when the output has."""
    got: list[list[LogLine]] = [[], []]

    async def scenario() -> Container:
        outside = Outside(tail_bytes=course.tail_bytes)
        outside.cloud.page = course.page
        async with daemon(outside) as world:
            live = await world.create()
            async with trio.open_nursery() as followers:
                if course.before:
                    followers.start_soon(follow, world, live, got[0], 0.0)
                    await world.idle()
                await world.containers.start(live.id)
                if not course.before:
                    followers.start_soon(follow, world, live, got[0], 0.0)
                followers.start_soon(follow, world, live, got[1], course.pause)
                container = Container(world, live)
                container.agent.chunk = course.chunk
                for step in course.steps:
                    await container.take(step)
                await container.end(course.end)
        return container

    async def follow(world: World, live: Live, lines: list[LogLine], pause: float) -> None:
        async with world.containers.logs(live.id, LogOptions(follow=True, awaits_start=True)) as batches:
            async for batch in batches:
                lines.extend(batch)
                await trio.sleep(pause)

    with capture_logs() as logs:
        container = play(scenario)
    written = container.output.lines
    everything = set(range(1, len(written) + 1))
    for lines in got:
        seen = [line.number for line in lines]
        assert seen == sorted(set(seen))
        assert set(seen) | named(logs) >= everything
        assert set(seen) >= everything - container.dropped
        assert content(lines) == content([written[number - 1] for number in seen])
