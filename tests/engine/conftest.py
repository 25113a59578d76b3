"""The engine stands on the same fakes as the services; its images may have a real registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.sandbox.registry import Registry
from tests.engine.loads import Loads, any_login
from tests.registry.conftest import QUICK
from tests.services.conftest import outside, world
from tests.services.world import World

__all__ = ["outside", "world"]


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
async def loads(world: World, ecr: tuple[Registry, str]) -> AsyncIterator[Loads]:
    async with RegistryClient({}, (), any_login, retries=QUICK) as client:
        yield Loads(world, ecr[0], client, ecr[1])
