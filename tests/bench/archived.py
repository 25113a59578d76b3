"""A log after its task has gone: what the daemon kept of it, and the rest from CloudWatch Logs."""

from __future__ import annotations

import time
from functools import partial

from tests.bench.engine import Engine
from tests.bench.figure import Figure
from tests.bench.frames import Frames
from tests.bench.output import wholeness
from tests.bench.world import World
from tests.e2e.world import eventually


async def reading(world: World) -> list[Figure]:
    """All of a long output, once its agent is no longer there."""
    ours, lines = world.ours, world.scale.lines
    samples, notes = [], set()
    for _ in range(world.scale.line_runs):
        container = await ours.create("lines", str(lines), Labels={"sockerless.linger": "0"})
        await ours.start(container)
        await ours.wait(container)
        await world.settled()
        await eventually(partial(_agent_gone, ours, container))
        world.cloud.reset_counts()
        began = time.perf_counter()
        framed = await ours.framed_output(container)
        samples.append(lines / (time.perf_counter() - began))
        reads = world.cloud.state()["counts"].get("logs:GetLogEvents", 0)
        notes.add(f"{wholeness(Frames().feed(framed), lines)}, {reads} GetLogEvents")
        await ours.remove(container)
    return [
        Figure(
            name="  the same once its task is gone",
            unit="lines/s",
            samples=tuple(samples),
            note="; ".join(sorted(notes)),
        )
    ]


async def _agent_gone(engine: Engine, container: str) -> bool:
    return not (await engine.inspect(container)).get("AgentAddress")
