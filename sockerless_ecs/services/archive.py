"""A run's output as CloudWatch Logs has it: complete, but seconds late."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import structlog
import trio

from sockerless_ecs.agent import AwslogsParser
from sockerless_ecs.aws import LogPage, Logs
from sockerless_ecs.errors import NotFound
from sockerless_ecs.model.container import Run
from sockerless_ecs.model.log import LogLine

_LOG = structlog.get_logger(__name__)
_LATE_SECONDS = 30.0
"""How long the log driver may take to bring the end of an ended run (it flushes every 5 s)."""
_AGAIN_SECONDS = 0.5


class Archive:
    """Reads runs back from their log streams."""

    def __init__(self, logs: Logs, group: str) -> None:
        self._logs = logs
        self._group = group

    async def lines(self, run: Run, first: int, last: int | None) -> AsyncGenerator[Sequence[LogLine], None]:
        """Batches of the lines `first` to `last` (None = to the end of the run).

        Waits a bounded time for lines that CloudWatch does not have yet; what it never gets is logged as
        missing and left out.
        """
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

    async def _page(self, run: Run, token: str | None) -> LogPage | None:
        try:
            return await self._logs.events(self._group, run.log_stream, token=token)
        except NotFound:
            return None


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
