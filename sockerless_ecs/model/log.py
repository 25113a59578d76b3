"""One line of a container's output, and what a reader of logs asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

STDOUT, STDERR = 1, 2


class LogLine(NamedTuple):
    """A line (its newline included, if it had one); `number` counts from 1 within a run."""

    number: int
    time_ns: int
    stream: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """Which lines a reader wants; `tail` None = all, times in nanoseconds since the epoch, 0 = unbounded."""

    stdout: bool = True
    stderr: bool = True
    follow: bool = False
    awaits_start: bool = False
    """Whether a follower of a container that was only created waits for its start; Docker's does not."""
    tail: int | None = None
    since_ns: int = 0
    until_ns: int = 0
