"""Execs, attaches and `docker run` as their clients time them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import trio

from tests.bench.engine import Engine
from tests.bench.figure import Figure
from tests.bench.frames import Frames
from tests.bench.world import Scale

_PIECE = bytes(1 << 18)
_EXEC = {"Detach": False, "Tty": False}


async def trues(engine: Engine, runs: int) -> list[Figure]:
    """Exec `true`: create, start, the stream's end, the exit code."""
    container = await _running(engine)
    samples = []
    for _ in range(runs + 3):
        began = time.perf_counter()
        exec_id = await engine.exec(container, "true")
        stream = await engine.hijack(f"/exec/{exec_id}/start", _EXEC)
        while await stream.receive_some():
            pass
        assert await engine.exit_code_of(exec_id) == 0
        samples.append((time.perf_counter() - began) * 1000)
        await stream.aclose()
    await engine.remove(container, force=True)
    return [Figure(name="exec true", unit="ms", samples=tuple(samples[3:]), target="<= 10")]


async def docker_runs(engine: Engine, runs: int) -> list[Figure]:
    """`docker run --rm IMAGE true` with the docker command, nothing provisioned; and the command alone."""
    program = shutil.which("docker")
    if program is None:
        return []
    environment = {**os.environ, "DOCKER_HOST": f"unix://{engine.socket}"}
    network = ["--network", engine.network] if engine.network else []
    figures = []
    for name, words, target in (
        ("docker run --rm IMAGE true", ["run", "--rm", *network, engine.image, "true"], "<= 200"),
        ("  docker version, for comparison", ["version"], ""),
    ):
        samples = []
        for _ in range(runs):
            began = time.perf_counter()
            done = await trio.run_process(
                [program, *words],
                env=environment,
                check=False,
                capture_stderr=True,
                stdout=subprocess.DEVNULL,
            )
            assert done.returncode == 0, done.stderr
            samples.append((time.perf_counter() - began) * 1000)
        figures.append(Figure(name=name, unit="ms", samples=tuple(samples), target=target))
    return figures


async def attach_ends(engine: Engine, runs: int) -> list[Figure]:
    """From the process's last instruction, which prints the time, to the attached client's end of file."""
    samples = []
    for _ in range(runs):
        container = await engine.create("end")
        stream = await engine.hijack(f"/containers/{container}/attach?stream=1&stdout=1&stderr=1")
        await engine.start(container)
        data = b""
        while chunk := await stream.receive_some():
            data += chunk
        ended_ns = time.time_ns()
        samples.append((ended_ns - int(Frames().feed(data))) / 1e6)
        await stream.aclose()
        await engine.remove(container)
    name = "process exits -> attach ends"
    return [Figure(name=name, unit="ms", samples=tuple(samples), target="<= 5")]


async def bulk(engine: Engine, scale: Scale) -> list[Figure]:
    """Bytes out of an exec and into one, in MB (10^6 bytes) a second."""
    container = await _running(engine)
    out, into = [], []
    for _ in range(scale.bulk_runs):
        out.append(await _out(engine, container, scale.bulk_bytes))
        into.append(await _into(engine, container, scale.bulk_bytes))
    await engine.remove(container, force=True)
    size = f"{scale.bulk_bytes >> 20} MiB"
    return [
        Figure(name=f"exec stream out, {size}", unit="MB/s", samples=tuple(out), target=">= 400"),
        Figure(name=f"exec stream in, {size}", unit="MB/s", samples=tuple(into), target=">= 400"),
    ]


async def _out(engine: Engine, container: str, size: int) -> float:
    exec_id = await engine.exec(container, "produce", str(size))
    stream = await engine.hijack(f"/exec/{exec_id}/start", _EXEC)
    began, received = time.perf_counter(), 0
    while data := await stream.receive_some(1 << 20):
        received += len(data)
    seconds = time.perf_counter() - began
    assert received > size
    await stream.aclose()
    return size / seconds / 1e6


async def _into(engine: Engine, container: str, size: int) -> float:
    exec_id = await engine.exec(container, "swallow", stdin=True)
    stream = await engine.hijack(f"/exec/{exec_id}/start", _EXEC)
    began = time.perf_counter()
    for _ in range(size // len(_PIECE)):
        await stream.send_all(_PIECE)
    await stream.send_eof()
    while await stream.receive_some():
        pass
    seconds = time.perf_counter() - began
    assert await engine.exit_code_of(exec_id) == 0
    await stream.aclose()
    return size / seconds / 1e6


async def _running(engine: Engine) -> str:
    container = await engine.create("sleep", "3600")
    await engine.start(container)
    return container
