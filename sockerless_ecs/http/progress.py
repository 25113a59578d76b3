"""Answers that are written while something goes on: Docker's JSON lines, and how they end in an error."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from sockerless_ecs.engine.values import PullProgress
from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.http.route import Output
from sockerless_ecs.http.shapes.image import ProgressBar, ProgressErrorLine, ProgressLine, PushedView

_JSON = "application/json"


async def write_progress(
    output: Output, progress: AsyncIterator[PullProgress], *, at_once: bool, quiet: bool = False
) -> None:
    """Each line as it comes. An error after the head is the last line; before it, it is raised.

    `at_once` sends the head before the first line; `quiet` leaves out all but what is to be printed as it is.
    """
    begun = at_once
    if at_once:
        await output.begin(_JSON)
    try:
        async for line in progress:
            if quiet and not line.stream:
                continue
            if not begun:
                begun = True
                await output.begin(_JSON)
            await output.write(_encoded(progress_line(line)))
    except SockerlessError as error:
        if not begun:
            raise
        await output.write(_encoded(ProgressErrorLine.of(error.message)))
        return
    if not begun:
        await output.begin(_JSON)


def progress_line(line: PullProgress) -> ProgressLine:
    """One line as Docker's clients read it."""
    bar = ProgressBar(current=line.current_bytes, total=line.total_bytes)
    has_bar = line.step or line.total_bytes
    return ProgressLine(
        stream=line.stream,
        status=line.status,
        progress_detail=bar if has_bar else msgspec.UNSET,
        id=line.id,
        aux=_pushed(*line.pushed) if line.pushed else msgspec.UNSET,
    )


def _pushed(tag: str, digest: str, size: int) -> PushedView:
    return PushedView(tag=tag, digest=digest, size=size)


def _encoded(value: msgspec.Struct) -> bytes:
    return msgspec.json.encode(value) + b"\n"
