"""What the machine itself does: how steady it is, and what a process costs it."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figure import Figure

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOP, _LOOPS = 200_000, 40


@dataclass(frozen=True, slots=True)
class Memory:
    """A process's, in MB."""

    rss: float
    pss: float


def memory(pid: int) -> Memory:
    """What a process holds now; its proportional share needs the right to look."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size, *_ = line.split()
        fields[name.rstrip(":")] = int(size) / 1000
    return Memory(rss=fields["Rss"], pss=fields["Pss"])


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and kernel."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def steadiness(when: str) -> Figure:
    """How long a fixed loop takes, again and again: its spread is what other figures cannot beat."""
    samples = []
    for _ in range(_LOOPS):
        began = time.perf_counter()
        total = 0
        for number in range(_LOOP):
            total += number
        samples.append((time.perf_counter() - began) * 1000)
    return Figure(
        name=f"noise: a fixed loop, {when}",
        unit="ms",
        samples=tuple(samples),
        note=f"load {Path('/proc/loadavg').read_text().split()[0]}",
    )


def description() -> str:
    """Which machine this is."""
    system = f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}"
    return f"{system}, Python {platform.python_version()}"
