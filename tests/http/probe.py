"""Small applications for the server's own tests: routes that do one thing, on a table as the APIs have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import trio

from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.http.app import App, add_routes
from sockerless_ecs.http.dialect import DOCKER, Dialect
from sockerless_ecs.http.listeners import tcp_listeners
from sockerless_ecs.http.route import Call, Duplex, Hijack, Reply, Route, Streamed
from sockerless_ecs.http.server import LongLived, serve
from tests.http.wire import Address, Wire

RAW = "application/vnd.docker.raw-stream"
Handler = Callable[[Call], Awaitable[Reply | Streamed | Hijack]]
Switch = Callable[[str], Awaitable[Duplex]]


@dataclass(slots=True)
class Revised:
    """A backend of which only the revision is asked."""

    revision: int = 0


@dataclass(slots=True)
class Probe:
    """A served application."""

    address: Address
    app: App
    source: Revised
    long_lived: LongLived
    stop: trio.Event = field(default_factory=trio.Event)
    stopped: trio.Event = field(default_factory=trio.Event)

    async def wire(self) -> Wire:
        return await Wire.to(self.address)


def route(method: str, path: str, handle: Handler, **more: Any) -> Route:
    """A row of the table."""
    name = f"{method} {path}"
    return Route(method=method, path=path, operation=name, summary=name, handle=handle, **more)


async def pong(_: Call) -> Reply:
    return Reply(200, b"pong", "text/plain")


PING = route("GET", "/ping", pong)


async def start_probe(
    nursery: trio.Nursery,
    routes: Sequence[Route],
    *,
    dialect: Dialect | None = DOCKER,
    listeners: Sequence[trio.abc.Listener[Any]] | None = None,
    grace_seconds: float = 20,
    **options: Any,
) -> Probe:
    """Serve the routes and `/ping` on a free port, or on `listeners`."""
    app, source, long_lived = App("probe"), Revised(), LongLived()
    backend = cast("Backend", source)
    add_routes(app, [PING, *routes], prefix="", backend=backend, long_lived=long_lived, dialect=dialect)
    address = Address("", 0)
    if listeners is None:
        found = await tcp_listeners("127.0.0.1", 0)
        assert isinstance(found[0], trio.SocketListener)
        listeners, address = found, Address(*found[0].socket.getsockname()[:2])
    probe = Probe(address, app, source, long_lived)

    async def run(task_status: trio.TaskStatus[None]) -> None:
        await serve(
            app,
            listeners,
            shutdown=probe.stop.wait,
            long_lived=long_lived,
            grace_seconds=grace_seconds,
            hot=app.hot,
            task_status=task_status,
            **options,
        )
        probe.stopped.set()

    await nursery.start(run)
    return probe


def hijack(converse: Callable[[Call, Switch], Awaitable[None]]) -> Handler:
    """A route whose answer takes the connection over."""

    async def handle(call: Call) -> Hijack:
        async def converse_with(switch: Switch) -> None:
            await converse(call, switch)

        return Hijack(converse_with)

    return handle


async def echo(_: Call, switch: Switch) -> None:
    """Send back what comes, until the half-close, and then say so."""
    duplex = await switch(RAW)
    while data := await duplex.receive():
        await duplex.send(data)
    await duplex.send(b"END")
