"""`python -m tests.bench [--only NAME]… [--quick] [--no-dockerd]`: measure, print, judge nothing."""

# ruff: noqa: T201 - printing is what it is for

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import trio

from tests.bench import archived, archives, cost, execs, images, life, moving, output, requests, sandbox
from tests.bench.engine import Engine
from tests.bench.figure import Figure, beside
from tests.bench.machine import description, steadiness
from tests.bench.table import render
from tests.bench.world import QUICK, Scale, World, foundations, world

Measure = Callable[[World], Awaitable[list[Figure]]]


def on_both(measure: Callable[[Engine, Scale], Awaitable[list[Figure]]]) -> Measure:
    """The same measurement on our daemon and, where there is one, on the local dockerd."""

    async def measured(on: World) -> list[Figure]:
        ours = await measure(on.ours, on.scale)
        return beside(ours, await measure(on.local, on.scale)) if on.local else ours

    return measured


def on_both_dockers(measure: Callable[[Engine, Scale], Awaitable[list[Figure]]]) -> Measure:
    """The same on our Docker API and on the local dockerd's."""

    async def measured(on: World) -> list[Figure]:
        ours = await measure(on.docker, on.scale)
        return beside(ours, await measure(on.local, on.scale)) if on.local else ours

    return measured


MEASUREMENTS: Mapping[str, Measure] = {
    "memory": cost.memory_kept,  # first: it is about a daemon that has done nothing yet
    "moving memory": moving.memory_while_moving,  # before anything else has moved
    "life": on_both(lambda engine, scale: life.lives(engine, scale.lives)),
    "exit": on_both(lambda engine, scale: life.answers_to_exits(engine, scale.exits)),
    "latency": on_both(lambda engine, scale: output.lateness(engine, scale.ticks)),
    "follow": on_both(lambda engine, scale: output.throughput(engine, scale.lines, scale.line_runs)),
    "exec": on_both_dockers(lambda engine, scale: execs.trues(engine, scale.execs)),
    "run": on_both_dockers(lambda engine, scale: execs.docker_runs(engine, scale.docker_runs)),
    "attach": on_both_dockers(lambda engine, scale: execs.attach_ends(engine, scale.exits)),
    "bulk": on_both_dockers(execs.bulk),
    "archive": on_both_dockers(archives.archives),
    "requests": on_both_dockers(requests.reads),
    "images": images.listing,
    "starts": on_both_dockers(requests.starts),
    "followers": on_both_dockers(requests.followers),
    "connections": requests.idle_connections,
    "moving": moving.moving,
    "pulls": moving.warm_pulls,
    "shutdown": requests.shutdown,
    "archived": archived.reading,
    "calls": cost.calls,
    "crowd": cost.crowd,
    "tasks": sandbox.tasks,
    "ready": sandbox.readiness,
}


def main() -> int:
    """0, or 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Speed and memory, printed.")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="one of them; repeatable")
    parser.add_argument("--quick", action="store_true", help="fewer runs")
    parser.add_argument("--no-dockerd", action="store_true", help="do not measure a local dockerd beside it")
    arguments = parser.parse_args()
    wanted: list[str] = arguments.only or list(MEASUREMENTS)
    scale = QUICK if arguments.quick else Scale()
    # Asked to end it ends as at Ctrl-C: the sandbox, the daemon and dockerd go with it.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    print(description())
    with foundations(with_dockerd=not arguments.no_dockerd) as (cloud, daemon, program, socket, missing):
        print(f"sandbox: {cloud.info.mode} mode")
        if missing:
            print(f"no column for dockerd: {missing}")

        async def measure() -> tuple[list[Figure], bool]:
            async with world(scale, cloud, daemon, program, socket) as on:
                return await _all(on, wanted)

        figures, complete = trio.run(measure)
    print(render(figures))
    return 0 if complete else 1


async def _all(on: World, wanted: list[str]) -> tuple[list[Figure], bool]:
    """Every figure; what breaks is told and the rest goes on."""
    figures, complete = [steadiness("before")], True
    for name, measure in MEASUREMENTS.items():
        if name not in wanted:
            continue
        began = time.perf_counter()
        try:
            await on.settled()
            figures += await measure(on)
        except Exception:  # noqa: BLE001 - the table shows what there is
            complete = False
            print(f"{name} could not be measured:\n{traceback.format_exc()}", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - began:.1f} s", file=sys.stderr)
    return [*figures, steadiness("after")], complete


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
