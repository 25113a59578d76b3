"""A container's life as its client times it: the whole, its phases, and the answer to an exit."""

from __future__ import annotations

import time
from collections import defaultdict

import trio

from tests.bench.engine import Engine
from tests.bench.figure import Figure

_WHOLE = "create, start, exit, wait, remove"
_PHASES = ("create", "start", "exit and wait", "remove")


async def lives(engine: Engine, runs: int, *, warm_up: int = 3) -> list[Figure]:
    """`true` from create to remove, one after the other."""
    samples: dict[str, list[float]] = defaultdict(list)
    for run in range(warm_up + runs):
        moments = [time.perf_counter()]
        container = await engine.create("true")
        moments.append(time.perf_counter())
        await engine.start(container)
        moments.append(time.perf_counter())
        assert (await engine.wait(container)).code == 0
        moments.append(time.perf_counter())
        await engine.remove(container)
        moments.append(time.perf_counter())
        if run >= warm_up:
            samples[_WHOLE].append((moments[-1] - moments[0]) * 1000)
            for phase, began, ended in zip(_PHASES, moments, moments[1:], strict=False):
                samples[phase].append((ended - began) * 1000)
    targets = {} if engine.is_docker else {_WHOLE: "<= 150"}
    return [
        Figure(
            name=name if name == _WHOLE else f"  {name}",
            unit="ms",
            samples=tuple(samples[name]),
            target=targets.get(name, ""),
        )
        for name in (_WHOLE, *_PHASES)
    ]


async def answers_to_exits(engine: Engine, runs: int) -> list[Figure]:
    """From the process's last instruction, which prints the time, to the wait's answer in our hands."""
    samples = []
    for _ in range(runs):
        container = await engine.create("end")
        await engine.start(container)
        code, answered_ns = await engine.wait(container)
        assert code == 0
        samples.append((answered_ns - int(await engine.output(container))) / 1e6)
        await engine.remove(container)
        await trio.sleep(0.05)  # so that what is left of one is no burden to the next
    name = "process exits -> wait is answered"
    return [Figure(name=name, unit="ms", samples=tuple(samples), target="<= 5")]
