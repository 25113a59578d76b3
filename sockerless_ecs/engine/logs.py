"""A container's output over all its runs, from whichever source has it, joined by line number."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import NamedTuple

import trio

from sockerless_ecs.agent import AgentClient, AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model.container import Run, RunId
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDERR, STDOUT, LogLine, LogOptions
from sockerless_ecs.services.archive import Archive
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.tails import Lagged, Tail, Tails

Batches = AsyncGenerator[Sequence[LogLine], None]
_AGAIN_SECONDS = 0.5
_DRAIN_SECONDS = 10.0


@dataclass(slots=True)
class _Position:
    """How far a reader of one run has come."""

    done: int
    """Everything up to this line is behind it."""
    forgotten: bool = False
    """Its agent has had so many runs since that it does not keep this one's output any more."""
    catching_up: bool = False
    """It fell off the ring and has to read from the source until it is level again."""


class _Source(NamedTuple):
    """Where the next lines come from; `last`: all up to this line is done when it ends; `final`: all is."""

    batches: Batches
    last: int = 0
    final: bool = True
    archived: bool = False
    """What is missing in it is missing for good."""


class Logs:
    """Reads and follows. Nothing here is buffered beyond one batch."""

    def __init__(self, *, ledger: Ledger, tails: Tails, archive: Archive) -> None:
        self._ledger = ledger
        self._tails = tails
        self._archive = archive

    @asynccontextmanager
    async def read(
        self, ref: str, options: LogOptions, *, of_runs: Collection[RunId] | None = None
    ) -> AsyncIterator[AsyncIterator[Sequence[LogLine]]]:
        """Batches of lines, `of_runs` or of all; entering raises what is wrong with the request.

        A follower of a container that starts, or has not started if it `awaits_start`, waits for its first
        line, so that nothing is lost between asking and starting; it ends when the output of the run that it
        came for is drained.
        """
        live = self._ledger.find(ref)
        if not (options.stdout or options.stderr):
            raise InvalidParameter("Bad parameters: you must choose at least one stream")
        async with (
            aclosing(self._lines(live, options, of_runs)) as batches,
            aclosing(_filtered(batches, options)) as filtered,
        ):
            yield filtered

    async def _lines(self, live: Live, options: LogOptions, of_runs: Collection[RunId] | None) -> Batches:
        state = live.record.state
        if options.follow and (state is State.STARTING or (state is State.CREATED and options.awaits_start)):
            before = live.moment.value
            await live.moment.wait_value(
                lambda now: now.starts > before.starts or now.exits > before.exits or now.removed
            )
        await self._drained(live)
        started = [run for run in self._ledger.runs_of(live.id) if run.started_ns]
        runs = [run for run in started if of_runs is None or run.id in of_runs]
        for run, done in await self._starts(live, runs, options.tail):
            follow = options.follow and run.id == live.record.run_id
            async with aclosing(self._run(live, run, _Position(done), follow=follow)) as batches:
                async for batch in batches:
                    yield batch

    async def _drained(self, live: Live) -> None:
        """An ended process's last lines may still be on their way: who asks after the exit gets them too."""
        run = self._ledger.runs.get(live.record.run_id) if live.record.run_id else None
        ended = not live.record.state.alive and live.record.state is not State.STARTING
        if run is None or not ended or run.lines is not None or self._agent(live, run) is None:
            return
        with trio.move_on_after(_DRAIN_SECONDS):
            await live.moment.wait_value(lambda now: now.removed or now.drained == run.id)

    async def _starts(self, live: Live, runs: Sequence[Run], tail: int | None) -> Sequence[tuple[Run, int]]:
        """Where to begin in each run, so that the last `tail` lines of all of them come."""
        if tail is None:
            return [(run, 0) for run in runs]
        wanted, starts = tail, []
        for run in reversed(runs):
            count = await self._count(live, run)
            starts.append((run, max(0, count - wanted)))
            wanted -= min(wanted, count)
            if not wanted:
                break
        return starts[::-1]

    async def _count(self, live: Live, run: Run) -> int:
        """How many lines a run has written so far."""
        if run.lines is not None:
            return run.lines
        if (kept := self._tails.get(run.id)) and kept.whole:
            return kept.newest
        agent = self._agent(live, run)
        newest = agent.logs(run.id, tail=1) if agent else None
        if newest is not None:
            try:
                async with newest as batches:
                    return max([batch[-1].number async for batch in batches], default=0)
            except (AgentLost, AgentUnreachable, WrongAgent, NotFound):
                pass
        count = 0
        async with aclosing(self._archive.lines(run, 1, None)) as archived:
            async for batch in archived:
                count = batch[-1].number
        return count

    async def _run(self, live: Live, run: Run, at: _Position, *, follow: bool) -> Batches:
        """One run from a position on, to its end (followed) or to what there is now."""
        while True:
            source, before = self._source(live, run, at, follow=follow), at.done
            try:
                async with aclosing(self._without_gaps(run, at, source)) as batches:
                    async for batch in batches:
                        yield batch
            except Lagged:
                at.catching_up = True
                continue
            except NotFound:
                at.forgotten = True
                continue
            except (AgentLost, AgentUnreachable, WrongAgent):
                await trio.sleep(_AGAIN_SECONDS)  # it comes back, or the run turns out to have ended
                continue
            at.done = max(at.done, source.last)
            at.catching_up = False
            if source.final:
                return
            if at.done == before:  # only the archive of a run whose agent is being reached again
                await trio.sleep(_AGAIN_SECONDS)

    def _source(self, live: Live, run: Run, at: _Position, *, follow: bool) -> _Source:
        """The ended run's tail, its agent, or the archive: whichever has the next line soonest."""
        kept = self._tails.get(run.id)
        agent = None if at.forgotten else self._agent(live, run)
        active = live.record.run_id == run.id and live.record.state.alive
        if kept is not None and kept.whole:
            if kept.oldest <= at.done + 1:
                return _Source(_ring(kept, at))
            if agent is None or at.catching_up:
                before = kept.oldest - 1
                archived = self._archive.lines(run, at.done + 1, before)
                return _Source(archived, last=before, final=False, archived=True)
        if agent is not None:
            if follow and not at.catching_up:  # ends by itself, also when the process has ended meanwhile
                return _Source(_followed(self._tails, agent, run, at))
            return _Source(_asked(agent, run, at), final=not follow)
        known = self._ledger.runs.get(run.id, run)
        archived = self._archive.lines(known, at.done + 1, known.lines)
        return _Source(archived, last=known.lines or 0, final=not (follow and active), archived=True)

    async def _without_gaps(self, run: Run, at: _Position, source: _Source) -> Batches:
        """Lines that the source no longer had come from the archive, in their place."""
        async with aclosing(source.batches) as batches:
            async for arrived in batches:
                for batch in [arrived] if source.archived else _unbroken(arrived):
                    if not source.archived:
                        async with aclosing(self._filling(run, at, batch[0].number - 1)) as missing:
                            async for found in missing:
                                yield found
                    at.done = batch[-1].number
                    yield batch
        known = self._ledger.runs.get(run.id, run)
        if source.final and not source.archived and known.lines is not None:
            async with aclosing(self._filling(run, at, known.lines)) as missing:
                async for found in missing:
                    yield found

    async def _filling(self, run: Run, at: _Position, last: int) -> Batches:
        """What is not there up to this line."""
        if last > at.done:
            async with aclosing(self._archive.lines(run, at.done + 1, last)) as missing:
                async for found in missing:
                    at.done = found[-1].number
                    yield found

    def _agent(self, live: Live, run: Run) -> AgentClient | None:
        """The agent that still has this run's output."""
        task = live.record.task
        return live.agent if task is not None and task.arn == run.task_arn else None


def _unbroken(batch: Sequence[LogLine]) -> Iterator[Sequence[LogLine]]:
    """The batch in pieces without a gap: what was overwritten may be missing in the middle of it."""
    start = 0
    if batch[-1].number - batch[0].number >= len(batch):
        for index in range(1, len(batch)):
            if batch[index].number != batch[index - 1].number + 1:
                yield batch[start:index]
                start = index
    yield batch[start:]


async def _ring(kept: Tail, at: _Position) -> Batches:
    for batch in kept.after(at.done):
        yield batch


async def _asked(agent: AgentClient, run: Run, at: _Position) -> Batches:
    """What the agent has now."""
    async with agent.logs(run.id, after=at.done) as batches:
        async for batch in batches:
            yield batch


async def _followed(tails: Tails, agent: AgentClient, run: Run, at: _Position) -> Batches:
    """What comes, through the run's one reader; raises Lagged when this follower is too slow for it."""
    tail = tails.open(agent, run.id, at.done)
    with tail.followed():
        tail.taken(at.done)  # who caught up elsewhere may be ahead of the reader, which must not wait for it
        while True:
            await tail.wait_past(at.done)
            for batch in tail.after(at.done):
                tail.taken(batch[-1].number)
                yield batch
            if tail.closed and tail.newest <= at.done:
                if not tail.whole:
                    raise AgentLost("the agent's connection ended before the output did")
                return


async def _filtered(batches: Batches, options: LogOptions) -> Batches:
    streams = {stream for stream, on in ((STDOUT, options.stdout), (STDERR, options.stderr)) if on}
    everything = options.stdout and options.stderr and not options.since_ns and not options.until_ns
    async for batch in batches:
        if everything:
            yield batch
            continue
        wanted = [
            line
            for line in batch
            if line.stream in streams
            and line.time_ns >= options.since_ns
            and (not options.until_ns or line.time_ns <= options.until_ns)
        ]
        if wanted:
            yield wanted
        if options.until_ns and batch[-1].time_ns > options.until_ns:
            return
