"""A daemon's services over fakes, on a clock that jumps."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio.testing

from tests.services.world import Outside, World, daemon


@pytest.fixture
def outside() -> Outside:
    return Outside()


@pytest.fixture
async def world(autojump_clock: trio.testing.MockClock, outside: Outside) -> AsyncIterator[World]:
    async with daemon(outside) as running:
        yield running
