"""What the tests of hijacks play on: routes that take connections over, and what they tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sockerless_ecs.errors import NotFound
from sockerless_ecs.http.listeners import unix_listener
from sockerless_ecs.http.route import Call, Route
from tests.http.probe import RAW, Probe, Switch, echo, hijack, route, start_probe
from tests.http.wire import Wire

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


class Stage:
    """What the routes of these tests tell and are told."""

    def __init__(self) -> None:
        self.gone = trio.Event()
        self.over = trio.Event()
        self.bodies: list[bytes] = []

    async def refuse(self, _: Call, __: Switch) -> None:
        raise NotFound("No such container: c")

    async def flood(self, _: Call, switch: Switch) -> None:
        duplex = await switch(RAW)
        try:
            while True:
                await duplex.send(b"x" * (1 << 20))
        finally:
            self.over.set()

    async def linger(self, _: Call, switch: Switch) -> None:
        duplex = await switch(RAW)
        assert await duplex.receive() == b""
        assert await duplex.receive() == b""
        await duplex.send(b"still here")
        await duplex.gone()
        self.gone.set()

    async def blob(self, call: Call, switch: Switch) -> None:
        duplex = await switch(RAW)
        await duplex.send(b"y" * (call.query.number("size") or 0))

    async def with_body(self, call: Call, switch: Switch) -> None:
        self.bodies.append(await call.read_body())
        await echo(call, switch)

    async def never(self, _: Call, __: Switch) -> None:
        """A conversation that forgets to switch over."""


@pytest.fixture
def stage() -> Stage:
    return Stage()


def routes(stage: Stage) -> list[Route]:
    table = {
        "/echo": echo,
        "/refuse": stage.refuse,
        "/flood": stage.flood,
        "/linger": stage.linger,
        "/blob": stage.blob,
        "/body": stage.with_body,
        "/never": stage.never,
    }
    return [route("POST", path, hijack(converse)) for path, converse in table.items()]


@pytest.fixture
async def probe(nursery: trio.Nursery, stage: Stage) -> AsyncIterator[Probe]:
    probe = await start_probe(nursery, routes(stage))
    yield probe
    probe.stop.set()


@pytest.fixture
async def unix(nursery: trio.Nursery, stage: Stage, tmp_path: Path) -> AsyncIterator[Path]:
    path = tmp_path / "s"
    probe = await start_probe(nursery, routes(stage), listeners=[unix_listener(path)])
    yield path
    probe.stop.set()


async def half_close(wire: Wire) -> None:
    assert isinstance(wire.stream, trio.SocketStream)
    await wire.stream.send_eof()
