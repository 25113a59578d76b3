"""What a process writes, until a client has read it: how late, and how much at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from tests.bench.engine import Engine
from tests.bench.figure import Figure

_HEADER = 8
_LINE = 50
"""Bytes of each line that the program writes, its newline among them."""


async def lateness(engine: Engine, lines: int) -> list[Figure]:
    """A line every 10 ms, each saying when it was written."""
    container = await engine.create("ticks", str(lines))
    await engine.start(container)
    samples = []
    async with engine.follow(container) as chunks:
        rest = b""
        async for payload in _payloads(chunks):
            now_ns = time.time_ns()
            *whole, rest = (rest + payload).split(b"\n")
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
        got, came_ns = [], 0
        async with engine.follow(container) as chunks:
            async for payload in _payloads(chunks):
                got.append(payload)
                came_ns = time.time_ns()
        followed.append(lines / (came_ns - _began_ns(got)) * 1e9)
        notes.add(f"followed {wholeness(b''.join(got), lines)}")
        began = time.perf_counter()
        output = await engine.output(container)
        read.append(lines / (time.perf_counter() - began))
        notes.add(f"read {wholeness(output, lines)}")
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


async def _payloads(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The frames' contents, each as soon as it is whole."""
    rest = b""
    async for chunk in chunks:
        rest += chunk
        position, parts = 0, []
        while len(rest) >= position + _HEADER:
            after = position + _HEADER + int.from_bytes(rest[position + 4 : position + 8])
            if after > len(rest):
                break
            parts.append(rest[position + _HEADER : after])
            position = after
        rest = rest[position:]
        if parts:
            yield b"".join(parts)


def _began_ns(got: list[bytes]) -> int:
    return int(got[0].partition(b"\n")[0])


def wholeness(output: bytes, lines: int) -> str:
    """Whether the output of `lines` is all there and in order."""
    found = output.partition(b"\n")[2]
    padding = b"." * (_LINE - 9)
    if found == b"".join([b"%08d%s\n" % (number, padding) for number in range(lines)]):
        return "whole"
    count = found.count(b"\n")
    return f"{count:,} LINES"
