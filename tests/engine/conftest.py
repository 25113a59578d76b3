"""The engine stands on the same fakes as the services; its images may have a real registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.sandbox.registry import Registry
from tests.engine.bundles import archive, tarred
from tests.engine.commits import BASE, Commits
from tests.engine.loads import Loads, any_login
from tests.registry.conftest import QUICK
from tests.services.conftest import world
from tests.services.world import Outside, World, daemon

__all__ = ["world"]


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(uploads=tmp_path / "uploads")


@pytest.fixture
def ecr(tmp_path: Path) -> Iterator[tuple[Registry, str]]:
    """A registry that plays ECR, and its host."""
    registry = Registry(tmp_path / "ecr")
    yield registry, f"127.0.0.1:{registry.serve()}"
    registry.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[Registry, str]]:
    """Another registry, and its host."""
    registry = Registry(tmp_path / "elsewhere")
    yield registry, f"127.0.0.1:{registry.serve()}"
    registry.close()


@pytest.fixture
async def real_world(outside: Outside) -> AsyncIterator[World]:
    """A world whose clock does not jump: real sockets take their time."""
    async with daemon(outside) as running:
        yield running


@pytest.fixture
async def loads(real_world: World, ecr: tuple[Registry, str]) -> AsyncIterator[Loads]:
    async with RegistryClient({}, (), any_login, retries=QUICK) as client:
        yield Loads(real_world, ecr[0], client, ecr[1])


@pytest.fixture
async def commits(loads: Loads) -> Commits:
    files = [("/etc", True), ("/etc/passwd", False), ("/bin", True), ("/bin/sh", False)]
    loads.world.contents.image.apply(files)
    await loads.load(tarred(archive(BASE, "base:1")))
    return Commits(loads, loads.world.committer(loads.client, loads.ecr))
