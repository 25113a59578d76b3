from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from sockerless_ecs.registry import Login, RegistryClient, Retries
from tests.registry.scripted_registry import ScriptedRegistry, scripted_registry

QUICK = Retries(attempts=3, first_seconds=0.001, longest_seconds=0.1)


async def no_login(_registry: str, _refused: str) -> Login | None:
    return None


@pytest.fixture
def registry() -> Iterator[ScriptedRegistry]:
    with scripted_registry() as one:
        yield one


@pytest.fixture
async def client(registry: ScriptedRegistry) -> AsyncIterator[RegistryClient]:
    """Its Docker Hub is the scripted registry."""
    async with RegistryClient({"docker.io": registry.url}, (), no_login, retries=QUICK) as one:
        yield one
