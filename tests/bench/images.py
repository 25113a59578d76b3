"""How long a list of many images takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from sockerless_ecs.model.image import Descriptor, Image, ImageConfig
from sockerless_ecs.model.reference import parse
from sockerless_ecs.store.contract import Put
from sockerless_ecs.store.sqlite import SqliteStore
from tests.bench.engine import Engine
from tests.bench.figure import Figure
from tests.bench.world import World
from tests.e2e.world import Daemon

_IMAGES = 1000
_LAYERS = 8
_PLACES = ("library", "team/service", "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team", "ghcr.io/some/one")


async def listing(world: World) -> list[Figure]:
    """1,000 images in the store before the daemon starts, listed by one client on one connection."""
    with TemporaryDirectory(prefix="sl-bench-") as folder:
        store = await SqliteStore.open(Path(folder) / "state.db")
        await store.commit(*(Put(image) for image in _images()))
        await store.aclose()
        daemon = Daemon(world.cloud, Path(folder))
        daemon.start()
        engine = Engine.docker(daemon.docker_socket, "")
        figures = [
            await _listed(engine, "/images/json", "", world.scale.listings),
            await _listed(
                engine, "/images/json?shared-size=1", " with what they share", world.scale.listings
            ),
            await _listed(engine, "/system/df", ", disk usage", world.scale.listings),
        ]
        await engine.http.aclose()
        assert await trio.to_thread.run_sync(daemon.stop) == 0
    return figures


async def _listed(engine: Engine, target: str, what: str, times: int) -> Figure:
    samples = []
    for _ in range(times):
        began = time.perf_counter()
        answer = await engine.http.get(f"http://docker/v1.51{target}")
        samples.append((time.perf_counter() - began) * 1000)
    assert answer.content.count(b'"RepoTags"') == _IMAGES
    return Figure(name=f"list of {_IMAGES:,} images{what}", unit="ms", samples=tuple(samples), target="<= 30")


def _images() -> Iterator[Image]:
    for number in range(_IMAGES):
        yield Image(
            ref=parse(f"{_PLACES[number % len(_PLACES)]}/image-{number}:1.{number}").full,
            id=f"sha256:{number:064x}",
            digest=f"sha256:{number + _IMAGES:064x}",
            manifest_digest=f"sha256:{number + 2 * _IMAGES:064x}",
            config=ImageConfig(
                env=("PATH=/usr/bin:/bin",), cmd=("serve",), labels={"team": "one", "of": "bench"}
            ),
            architecture="amd64",
            created=f"2026-01-{number % 28 + 1:02}T03:04:05.{number:09}Z",
            size_bytes=100 << 20,
            layers=tuple(f"sha256:{number * _LAYERS + layer:064x}" for layer in range(_LAYERS)),
            blobs=tuple(
                Descriptor(digest=f"sha256:{(number // 4) * _LAYERS + layer:064x}", size=10 << 20)
                for layer in range(_LAYERS)
            ),
            pulled_ns=1_767_323_045_000_000_000 + number,
        )
