"""What the contract is replayed against: a fake engine whose processes obey a script, and the real daemon."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from sockerless_ecs.http.internal import internal_app
from sockerless_ecs.http.server import LongLived
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.log import STDERR
from tests.contract.frontend import Frontend
from tests.e2e.world import Api, Daemon
from tests.http.conftest import start_serving
from tests.http.fake_backend import FakeBackend
from tests.http.fake_backend.streams import FakeStreams
from tests.http.wire import Address

SCRIPT = ("sh", "-c", "echo out; echo err >&2; exit 7")
"""What the contract's containers run when they are to end by themselves."""
SLEEP = ("sleep", "600")
EXEC = ("sh", "-c", "echo out; echo err >&2; exit 3")
"""What the contract's execs run when they are to end by themselves."""


@pytest.fixture(params=["fake engine", "real daemon"])
def against(request: pytest.FixtureRequest) -> str:
    """What answers: both give the same."""
    return str(request.param)


@pytest.fixture
def image(against: str) -> str:
    """An image with a shell, without a tag."""
    return "host" if against == "real daemon" else "alpine"


@pytest.fixture
async def internal_api(
    against: str, nursery: trio.Nursery, request: pytest.FixtureRequest
) -> AsyncIterator[Address]:
    """Where the internal API listens."""
    if against == "real daemon":
        daemon: Daemon = request.getfixturevalue("daemon")
        api = Api(daemon.socket)
        for left in await api.call("GET", "/containers", all=1):
            await api.remove(left["Id"], force=1)
        await api.http.aclose()
        yield Address("127.0.0.1", daemon.port)
        return
    backend, long_lived = FakeBackend(), LongLived()

    def play(container: Container) -> None:
        if container.argv == SCRIPT:
            backend.containers.write(container.id, b"out\n")
            backend.containers.write(container.id, b"err\n", STDERR)
            backend.containers.exit(container.id, 7)

    def play_exec(exec_id: str, streams: FakeStreams) -> None:
        if backend.execs.find(exec_id).argv == EXEC:
            streams.say(b"out\n")
            streams.say(b"err\n", STDERR)
            backend.execs.end(exec_id, 3)

    backend.containers.on_start = play
    backend.execs.on_start = play_exec
    app = internal_app(backend, long_lived)
    served = await start_serving(nursery, app, backend, long_lived, 20)
    yield served.address
    served.stop.set()


@pytest.fixture
async def frontend(internal_api: Address) -> AsyncIterator[Frontend]:
    async with Frontend(internal_api) as frontend:
        yield frontend


@pytest.fixture
async def pulled(frontend: Frontend, image: str) -> str:
    """The image, once the frontend has pulled it."""
    answer = await frontend.call("POST", "/images/pull", body={"Reference": f"{image}:latest"})
    assert answer.status == 200
    return image
