"""One line of a container's output, and what a reader of logs asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def attributes(options: Mapping[str, str], labels: Mapping[str, str], env: Iterable[str]) -> dict[str, str]:
    """The labels and variables that a log driver's options choose: the details of each line."""
    variables = dict(variable.partition("=")[::2] for variable in env if "=" in variable)
    return {**_chosen(options, "labels", labels), **_chosen(options, "env", variables)}


def _chosen(options: Mapping[str, str], kind: str, among: Mapping[str, str]) -> dict[str, str]:
    return {name: among[name] for name in options.get(kind, "").split(",") if name in among}
