"""A run's output as CloudWatch Logs has it: complete, but seconds late."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import structlog
import trio

from sockerless_ecs.agent import AwslogsParser
from sockerless_ecs.aws import CloudEvent, LogPage, Logs
from sockerless_ecs.errors import NotFound
from sockerless_ecs.model.container import Run
from sockerless_ecs.model.log import STDOUT, LogLine
from sockerless_ecs.services.ledger import now_ns

_LOG = structlog.get_logger(__name__)
_LATE_SECONDS = 30.0
"""How long the log driver may take to bring the end of an ended run (it flushes every 5 s)."""
_AGAIN_SECONDS = 0.5
_FLUSHED_NS = 8 * 10**9
_NS_PER_MS = 10**6


class Archive:
    """Reads runs back from their log streams."""

    def __init__(self, logs: Logs, group: str) -> None:
        self._logs = logs
        self._group = group

    def lines(self, run: Run, first: int, last: int | None) -> AsyncGenerator[Sequence[LogLine], None]:
        """Batches of the lines `first` to `last` (None = to the end of the run).

        Waits a bounded time for lines that CloudWatch does not have yet; what it never gets is logged as
        missing and left out.
        """
        read = self._plain_lines if run.agentless else self._numbered_lines
        return read(run, first, last)

    async def _numbered_lines(
        self, run: Run, first: int, last: int | None
    ) -> AsyncGenerator[Sequence[LogLine], None]:
        """What our agent has written, which says where a run begins and ends and what is missing."""
        parser = AwslogsParser(run.id)
        token: str | None = None
        deadline = trio.current_time() + _LATE_SECONDS
        reached = first - 1
        while parser.final is None and (last is None or reached < last):
            page = await self._page(run, token)
            lines: list[LogLine] = []
            if page is not None:
                token, lines = page.next_token, parser.feed(page.events)
            if lines:
                deadline = trio.current_time() + _LATE_SECONDS
            if batch := [line for line in lines if first <= line.number <= (last or line.number)]:
                _tell_gaps(run, reached, batch)
                reached = batch[-1].number
                yield batch
            if last is not None and lines and lines[-1].number >= last:
                break
            if page is None or page.last:
                if last is None and run.exit_code is None:
                    return  # that is all that there is by now
                if trio.current_time() > deadline:
                    break
                await trio.sleep(_AGAIN_SECONDS)
        end = parser.final.lines if parser.final and last is None else last
        if end is None or reached < end:
            _tell_missing(run, reached + 1, end)

    async def _plain_lines(
        self, run: Run, first: int, last: int | None
    ) -> AsyncGenerator[Sequence[LogLine], None]:
        """A stream with nothing of ours in it: nobody has counted its lines, nothing marks their end."""
        token: str | None = None
        number = 0
        while last is None or number < last:
            page = await self._page(run, token)
            events = page.events if page else ()
            numbered = [_line(at, event) for at, event in enumerate(events, number + 1)]
            if batch := [line for line in numbered if first <= line.number <= (last or line.number)]:
                yield batch
            number += len(numbered)
            if page is not None:
                token = page.next_token
            if page is None or page.last:
                flushed = now_ns() > run.finished_ns + _FLUSHED_NS
                if run.exit_code is None or flushed:
                    return
                await trio.sleep(_AGAIN_SECONDS)

    async def _page(self, run: Run, token: str | None) -> LogPage | None:
        try:
            return await self._logs.events(self._group, run.log_stream, token=token)
        except NotFound:
            return None


def _line(number: int, event: CloudEvent) -> LogLine:
    return LogLine(number, event.time_ms * _NS_PER_MS, STDOUT, event.message.encode() + b"\n")


def _tell_gaps(run: Run, reached: int, lines: Sequence[LogLine]) -> None:
    """What the log driver dropped, or what did not fit the agent's spool."""
    if lines[-1].number - reached == len(lines):
        return
    for line in lines:
        if line.number > reached + 1:
            _tell_missing(run, reached + 1, line.number - 1)
        reached = line.number


def _tell_missing(run: Run, first: int, last: int | None) -> None:
    _LOG.warning("log_lines_missing", run_id=run.id, first=first, last=last)
