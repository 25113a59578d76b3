"""The log-follow task group: one reader for each followed run feeds any number of followers."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import structlog
import trio

from sockerless_ecs.agent import AgentClient
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model.container import RunId
from sockerless_ecs.model.log import LogLine

_LOG = structlog.get_logger(__name__)
_KEPT_LINES = 10_000
_FAREWELL_SECONDS = 5.0
"""How long an ended run's followers may take to fetch the end of its output before the task goes."""
_KEPT_RUNS = 256


class Lagged(Exception):
    """The lines asked for have left the ring."""


class Tail:
    """A bounded ring of a run's newest lines. Writing never waits for a reader."""

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self._batches: deque[Sequence[LogLine]] = deque()
        self._bytes = 0
        self._changed = trio.Event()
        self.followers = 0
        self.furthest = 0
        """The last line that the fastest follower has taken."""
        self.newest = 0
        self.closed = False
        self.whole = False
        """Closed because the output has ended and everything was read."""

    @property
    def oldest(self) -> int:
        """The number of the first line in the ring; one past the newest when it is empty."""
        return self._batches[0][0].number if self._batches else self.newest + 1

    def append(self, batch: Sequence[LogLine]) -> None:
        """Add lines; the oldest leave when it is full."""
        self._batches.append(batch)
        self._bytes += _size(batch)
        self.newest = batch[-1].number
        while self._bytes > self._keep_bytes and len(self._batches) > 1:
            self._bytes -= _size(self._batches.popleft())
        self._ring()

    def close(self, *, whole: bool) -> None:
        """Nothing more will be added."""
        self.closed, self.whole = True, whole
        self._ring()

    def after(self, number: int) -> list[Sequence[LogLine]]:
        """All batches with lines past `number`, the first one cut to fit; raises `Lagged`."""
        if number + 1 < self.oldest:
            raise Lagged
        firsts = [batch[0].number for batch in self._batches]
        index = max(0, bisect_right(firsts, number + 1) - 1)
        found = list(self._batches)[index:]
        if found and found[0][0].number <= number:
            found[0] = [line for line in found[0] if line.number > number]
        return [batch for batch in found if batch]

    async def wait_past(self, number: int) -> None:
        """Return when there are lines past `number`, or there never will be."""
        while self.newest <= number and not self.closed:
            await self._changed.wait()

    async def wait_room(self) -> None:
        """Return when some follower has had half of what the ring keeps."""
        while self.followers and not self.closed and self._ahead() > self._keep_bytes // 2:
            await self._changed.wait()

    async def wait_followed(self) -> None:
        """Return when nobody follows any more."""
        while self.followers:
            await self._changed.wait()

    def taken(self, number: int) -> None:
        """A follower has everything up to `number`."""
        if number > self.furthest:
            self.furthest = number
            self._ring()

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Count as a follower."""
        self.followers += 1
        try:
            yield
        finally:
            self.followers -= 1
            self._ring()

    def _ahead(self) -> int:
        return sum(_size(batch) for batch in self._batches if batch[0].number > self.furthest)

    def _ring(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Tails:
    """Owns the readers."""

    def __init__(self, nursery: trio.Nursery, keep_bytes: int) -> None:
        self._nursery = nursery
        self._keep_bytes = keep_bytes
        self._tails: dict[RunId, Tail] = {}

    def get(self, run_id: RunId) -> Tail | None:
        """The tail of a run, live or ended, while it is kept."""
        return self._tails.get(run_id)

    def open(self, agent: AgentClient, run_id: RunId, after: int) -> Tail:
        """The tail of a run that is followed; the first follower's position starts its reader."""
        tail = self._tails.get(run_id)
        if tail is None or (tail.closed and not tail.whole):
            tail = self._tails[run_id] = Tail(self._keep_bytes)
            tail.newest = tail.furthest = after
            self._nursery.start_soon(self._read, agent, run_id, tail, name=f"tail {run_id[:12]}")
        return tail

    async def keep(self, agent: AgentClient, run_id: RunId, lines: int) -> None:
        """Keep the end of an ended run's output: the task may go, and CloudWatch Logs is late."""
        tail = self._tails.get(run_id)
        if tail is not None and not tail.closed:
            with trio.move_on_after(_FAREWELL_SECONDS):
                await tail.wait_past(lines)  # closes when the reader has the end
        if tail is None or not tail.whole:
            tail = await self._capture(agent, run_id, lines)
        self._keep(run_id, tail)

    async def farewell(self, run_id: RunId) -> None:
        """Give the followers of an ended run a moment to have all of it; whoever stalls is left."""
        if tail := self._tails.get(run_id):
            with trio.move_on_after(_FAREWELL_SECONDS):
                await tail.wait_followed()

    def forget(self, run_id: RunId) -> None:
        """Drop a removed container's output; who follows it keeps what it holds."""
        self._tails.pop(run_id, None)

    async def _capture(self, agent: AgentClient, run_id: RunId, lines: int) -> Tail:
        tail = Tail(self._keep_bytes)
        try:
            if lines:
                async with agent.logs(run_id, tail=_KEPT_LINES) as batches:
                    async for batch in batches:
                        tail.append(batch)
            tail.newest = max(tail.newest, lines)
            tail.close(whole=True)
        except SockerlessError as error:
            _LOG.warning("tail_not_kept", run_id=run_id, error=str(error))
            tail.close(whole=False)
        return tail

    def _keep(self, run_id: RunId, tail: Tail) -> None:
        self._tails.pop(run_id, None)
        self._tails[run_id] = tail
        ended = [key for key, kept in self._tails.items() if kept.closed and not kept.followers]
        for key in ended[: max(0, len(ended) - _KEPT_RUNS)]:
            del self._tails[key]

    async def _read(self, agent: AgentClient, run_id: RunId, tail: Tail) -> None:
        """Read for as long as somebody follows; at the output's end the ring stays as the run's tail."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_until_unfollowed, tail, nursery.cancel_scope)
                async with agent.logs(run_id, after=tail.newest, follow=True) as batches:
                    async for batch in batches:
                        tail.append(batch)
                        await tail.wait_room()
                tail.close(whole=True)
                nursery.cancel_scope.cancel()
        except* SockerlessError:
            pass  # followers go to the source, which says what is wrong
        finally:
            if not tail.whole:
                tail.close(whole=False)
                if self._tails.get(run_id) is tail:
                    del self._tails[run_id]


async def _until_unfollowed(tail: Tail, scope: trio.CancelScope) -> None:
    await trio.lowlevel.checkpoint()
    await tail.wait_followed()
    scope.cancel()


def _size(batch: Sequence[LogLine]) -> int:
    return sum(len(line.data) + 64 for line in batch)
