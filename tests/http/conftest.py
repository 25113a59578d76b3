"""A served internal API with a fake engine behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import trio

from sockerless_ecs.http.docker import docker_app
from sockerless_ecs.http.internal import internal_app
from sockerless_ecs.http.listeners import tcp_listeners
from sockerless_ecs.http.server import LongLived, serve
from tests.http.fake_backend import FakeBackend
from tests.http.wire import Address, Wire


@dataclass(slots=True)
class Served:
    """A running server and the handles to end it."""

    address: Address
    backend: FakeBackend
    long_lived: LongLived
    stop: trio.Event
    stopped: trio.Event = field(default_factory=trio.Event)

    async def wire(self) -> Wire:
        return await Wire.to(self.address)


async def start_serving(
    nursery: trio.Nursery, app: Any, backend: FakeBackend, long_lived: LongLived, grace_seconds: float
) -> Served:
    """Serve `app` on a free port until told to stop."""
    listeners = await tcp_listeners("127.0.0.1", 0)
    listener = listeners[0]
    assert isinstance(listener, trio.SocketListener)
    address = Address(*listener.socket.getsockname()[:2])
    served = Served(address, backend, long_lived, trio.Event())

    async def run(task_status: trio.TaskStatus[None]) -> None:
        await serve(
            app,
            listeners,
            shutdown=served.stop.wait,
            long_lived=long_lived,
            grace_seconds=grace_seconds,
            task_status=task_status,
        )
        served.stopped.set()

    await nursery.start(partial(run))
    return served


@pytest.fixture
async def served(nursery: trio.Nursery) -> AsyncIterator[Served]:
    backend, long_lived = FakeBackend(), LongLived()
    served = await start_serving(nursery, internal_app(backend, long_lived), backend, long_lived, 20)
    yield served
    served.stop.set()


@pytest.fixture
async def engine(nursery: trio.Nursery) -> AsyncIterator[Served]:
    """The Docker API."""
    backend, long_lived = FakeBackend(), LongLived()
    served = await start_serving(nursery, docker_app(backend, long_lived), backend, long_lived, 20)
    yield served
    served.stop.set()


@pytest.fixture
async def docker(engine: Served) -> AsyncIterator[Wire]:
    async with await engine.wire() as wire:
        yield wire


@pytest.fixture
async def backend(served: Served) -> FakeBackend:
    return served.backend


@pytest.fixture
async def wire(served: Served) -> AsyncIterator[Wire]:
    async with await served.wire() as wire:
        yield wire
