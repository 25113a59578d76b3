"""How many requests a second are answered, how many containers started, and what idle connections cost."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from tests.bench.engine import API, Engine
from tests.bench.figure import Figure
from tests.bench.frames import Frames
from tests.bench.machine import memory
from tests.bench.world import Scale, World
from tests.e2e.world import Api, Daemon
from tests.images import go_program

_CONNECTIONS = 16
_LISTED = 100
_OPEN = 50
_SETTLING_LINES = 30
"""What each of many followers gets while the others are still connecting is not counted."""


async def reads(engine: Engine, scale: Scale) -> list[Figure]:
    """`/_ping`, an inspect, a list of 100 containers, each for some seconds at 16 connections."""
    containers = [await engine.create("true") for _ in range(_LISTED)]
    figures = []
    with TemporaryDirectory(prefix="sl-bench-") as folder:
        program = Path(folder) / "load"
        await trio.to_thread.run_sync(go_program, Path(__file__).parent / "load", program)
        for name, path, target in (
            ("/_ping", "/_ping", ">= 5,000"),
            ("inspect", f"{API}/containers/{containers[0]}/json", ">= 3,000"),
            (f"list of {_LISTED} containers", f"{API}/containers/json?all=1", ">= 500"),
        ):
            words = [str(program), str(engine.socket), str(_CONNECTIONS), str(scale.request_seconds), path]
            done = await trio.run_process(words, capture_stdout=True)
            figures.append(
                Figure(
                    name=f"{name}, {_CONNECTIONS} connections",
                    unit="req/s",
                    samples=(float(done.stdout),),
                    target=target,
                )
            )
    for container in containers:
        await engine.remove(container)
    return figures


async def starts(engine: Engine, scale: Scale) -> list[Figure]:
    """Containers created and started by 16 clients at once."""
    limiter, containers = trio.CapacityLimiter(_CONNECTIONS), []

    async def start() -> None:
        async with limiter:
            container = await engine.create("sleep", "3600")
            await engine.start(container)
            containers.append(container)

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(scale.started):
            nursery.start_soon(start)
    rate = scale.started / (time.perf_counter() - began)
    async with trio.open_nursery() as nursery:
        for container in containers:
            nursery.start_soon(partial(engine.remove, container, force=True))
    name = f"{scale.started} containers started by {_CONNECTIONS} clients"
    return [Figure(name=name, unit="per s", samples=(rate,), target=">= 15")]


async def followers(engine: Engine, scale: Scale) -> list[Figure]:
    """A line every 10 ms to 50 followers at once: how late each is at each."""
    count = 50
    container = await engine.create("ticks", str(scale.ticks // 2))
    samples: list[float] = []

    async def follow() -> None:
        frames, rest = Frames(), b""
        async with engine.follow(container) as chunks:
            async for chunk in chunks:
                now_ns = time.time_ns()
                *whole, rest = (rest + frames.feed(chunk)).split(b"\n")
                samples.extend((now_ns - int(line)) / 1e6 for line in whole)

    async with trio.open_nursery() as nursery:
        await engine.start(container)
        for _ in range(count):
            nursery.start_soon(follow)
    await engine.remove(container)
    samples = samples[count * _SETTLING_LINES :]
    name = f"line written -> {count} followers read it"
    return [Figure(name=name, unit="ms", samples=tuple(samples), target="<= 3")]


async def idle_connections(world: World) -> list[Figure]:
    """Attached clients to whom nothing is said: the daemon's memory for each."""
    container = await world.docker.create("sleep", "3600")
    await world.docker.start(container)
    before = memory(world.daemon.pid)
    target = f"/containers/{container}/attach?stream=1&stdout=1&stderr=1"
    streams = [await world.docker.hijack(target) for _ in range(world.scale.idle_connections)]
    after = memory(world.daemon.pid)
    for stream in streams:
        await stream.aclose()
    await world.docker.remove(container, force=True)
    name = f"{len(streams)} idle attached connections: each"
    each = (after.pss - before.pss) * 1e6 / 1024 / len(streams)
    return [Figure(name=name, unit="KiB PSS", samples=(each,), target="<= 40")]


async def shutdown(world: World) -> list[Figure]:
    """SIGTERM to exit with attached clients, execs, a client that reads nothing and idle connections open."""
    samples = []
    for _ in range(world.scale.ready_runs):
        with TemporaryDirectory(prefix="sl-bench-") as folder:
            daemon = Daemon(world.cloud, Path(folder))
            daemon.start()
            engine = Engine.docker(daemon.docker_socket, world.image)
            api = Api(daemon.socket)
            await api.pull(world.image.removesuffix(":latest"))
            container = await engine.create("sleep", "3600")
            await engine.start(container)
            target = f"/containers/{container}/attach?stream=1&stdout=1&stderr=1"
            streams = [await engine.hijack(target) for _ in range(_OPEN)]
            for words in (*[("sleep", "3600")] * _OPEN, ("produce", str(1 << 30))):
                exec_id = await engine.exec(container, *words)
                streams.append(await engine.hijack(f"/exec/{exec_id}/start", {"Detach": False, "Tty": False}))
            began = time.perf_counter()
            assert await trio.to_thread.run_sync(daemon.stop) == 0
            samples.append(time.perf_counter() - began)
            for stream in streams:
                await stream.aclose()
            daemon.start()
            await engine.remove(container, force=True)
            await api.http.aclose()
            await engine.http.aclose()
            assert await trio.to_thread.run_sync(daemon.stop) == 0
    name = f"SIGTERM -> exit, {2 * _OPEN + 1} streams open"
    return [Figure(name=name, unit="s", samples=tuple(samples), target="<= 1")]
