"""A run's output as CloudWatch Logs has it: complete, but seconds late."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import structlog
import trio

from sockerless_ecs.agent import AwslogsParser
from sockerless_ecs.aws import Logs
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
            try:
                page = await self._logs.events(self._group, run.log_stream, token=token)
            except NotFound:
                page = None
            batch: list[LogLine] = []
            if page is not None:
                token = page.next_token
                batch = [
                    line
                    for line in parser.feed(page.events)
                    if line.number >= first and (last is None or line.number <= last)
                ]
            if batch:
                reached = batch[-1].number
                deadline = trio.current_time() + _LATE_SECONDS
                yield batch
            if page is None or page.last:
                if trio.current_time() > deadline or (last is None and run.exit_code is None):
                    _LOG.warning("log_lines_missing", run_id=run.id, after=reached, last=last)
                    return
                await trio.sleep(_AGAIN_SECONDS)
