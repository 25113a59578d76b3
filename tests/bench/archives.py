"""Files in and out, as `docker cp` moves them."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import AsyncIterator

import httpx

from tests.bench.engine import Engine
from tests.bench.figure import Figure
from tests.bench.world import Scale

_PIECE = 1 << 20


async def archives(engine: Engine, scale: Scale) -> list[Figure]:
    """A large file out and in, and one of five bytes."""
    container = await engine.create("sleep", "3600")
    await engine.start(container)
    large, small = _tar("large", scale.archive_bytes), _tar("small", 5)
    await _put(engine, container, small)
    into, out, tiny = [], [], []
    for _ in range(scale.bulk_runs):
        began = time.perf_counter()
        await _put(engine, container, large)
        into.append(scale.archive_bytes / (time.perf_counter() - began) / 1e6)
        began = time.perf_counter()
        received = await _get(engine, container, "/large")
        out.append(received / (time.perf_counter() - began) / 1e6)
        assert received > scale.archive_bytes
    for _ in range(scale.exits):
        began = time.perf_counter()
        await _get(engine, container, "/small")
        tiny.append((time.perf_counter() - began) * 1000)
    await engine.remove(container, force=True)
    size = f"{scale.archive_bytes >> 20} MiB"
    return [
        Figure(name=f"archive out, {size}", unit="MB/s", samples=tuple(out), target=">= 250"),
        Figure(name=f"archive in, {size}", unit="MB/s", samples=tuple(into), target=">= 250"),
        Figure(name="archive out, 5 bytes", unit="ms", samples=tuple(tiny), target="<= 10"),
    ]


async def _put(engine: Engine, container: str, data: bytes) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), _PIECE):
            yield data[start : start + _PIECE]

    answer = await engine.http.put(f"/containers/{container}/archive", params={"path": "/"}, content=pieces())
    assert answer.status_code == httpx.codes.OK, answer.text


async def _get(engine: Engine, container: str, path: str) -> int:
    received = 0
    target = f"/containers/{container}/archive"
    plain = {"Accept-Encoding": "identity"}
    async with engine.http.stream("GET", target, params={"path": path}, headers=plain) as answer:
        assert answer.status_code == httpx.codes.OK, await answer.aread()
        async for chunk in answer.aiter_raw():
            received += len(chunk)
    return received


def _tar(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(bytes(size)))
    return buffer.getvalue()
