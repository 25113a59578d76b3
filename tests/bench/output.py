"""What a process writes, until a client has read it: how late, and how much at once."""

from __future__ import annotations

import time

from tests.bench.engine import Engine
from tests.bench.figure import Figure
from tests.bench.frames import Frames

_LINE = 50
"""Bytes of each line that the program writes, its newline among them."""


async def lateness(engine: Engine, lines: int) -> list[Figure]:
    """A line every 10 ms, each saying when it was written."""
    container = await engine.create("ticks", str(lines))
    await engine.start(container)
    samples = []
    async with engine.follow(container) as chunks:
        frames, rest = Frames(), b""
        async for chunk in chunks:
            now_ns = time.time_ns()
            *whole, rest = (rest + frames.feed(chunk)).split(b"\n")
            samples += [(now_ns - int(line)) / 1e6 for line in whole]
    await engine.remove(container)
    note = "" if len(samples) == lines else f"{len(samples)} OF {lines} LINES"
    name = "line written -> follower reads it"
    return [Figure(name=name, unit="ms", samples=tuple(samples), target="<= 5", note=note)]


async def throughput(engine: Engine, lines: int, runs: int) -> list[Figure]:
    """All at once: to a follower, and once more from the beginning after the exit."""
    followed, read, notes = [], [], set()
    for _ in range(runs):
        container = await engine.create("lines", str(lines))
        await engine.start(container)
        chunks, came_ns = [], 0
        async with engine.follow(container) as coming:
            async for chunk in coming:
                chunks.append(chunk)
                came_ns = time.time_ns()
        output = Frames().feed(b"".join(chunks))
        followed.append(lines / (came_ns - int(output.partition(b"\n")[0])) * 1e9)
        notes.add(f"followed {wholeness(output, lines)}")
        began = time.perf_counter()
        framed = await engine.framed_output(container)
        read.append(lines / (time.perf_counter() - began))
        notes.add(f"read {wholeness(Frames().feed(framed), lines)}")
        await engine.remove(container)
    target = f"{lines:,} lines of {_LINE} bytes, to one follower"
    return [
        Figure(
            name=target,
            unit="lines/s",
            samples=tuple(followed),
            target=">= 100,000",
            note=", ".join(sorted(notes)),
        ),
        Figure(name="  the same after the exit", unit="lines/s", samples=tuple(read)),
    ]


def wholeness(output: bytes, lines: int) -> str:
    """Whether the output of `lines` is all there and in order."""
    found = output.partition(b"\n")[2]
    padding = b"." * (_LINE - 9)
    if found == b"".join([b"%08d%s\n" % (number, padding) for number in range(lines)]):
        return "whole"
    count = found.count(b"\n")
    return f"{count:,} LINES"
