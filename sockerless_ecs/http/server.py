"""The HTTP server: it accepts connections, and drains them in two phases."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import trio
from hypercorn.config import Config

from sockerless_ecs.http.connection import Connection, Surroundings
from sockerless_ecs.http.hangups import HangUps
from sockerless_ecs.http.hot import Hot
from sockerless_ecs.telemetry import get_logger

_HEAD_BYTES = 1 << 20
"""The longest request head: filters and registry credentials travel in it."""
_SLOWEST_HEAD_SECONDS = 60.0
"""How long a request's head may take from its first byte."""
_IDLE_SECONDS = 3600.0
"""Longer than any client keeps a connection, so that none meets a close while it sends a request."""

_LOG = get_logger(__name__)


class LongLived:
    """Follow streams and long polls enter it, so that a drain can end them at once."""

    def __init__(self) -> None:
        self._scopes: set[trio.CancelScope] = set()
        self.ended = False

    def __len__(self) -> int:
        return len(self._scopes)

    @contextmanager
    def entered(self) -> Iterator[trio.CancelScope]:
        """Run the body until the drain; the scope's `cancelled_caught` then says so."""
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                if self.ended:
                    scope.cancel()
                yield scope
            finally:
                self._scopes.discard(scope)

    def end(self) -> None:
        """Cancel all that entered and all that will."""
        self.ended = True
        for scope in self._scopes:
            scope.cancel()


async def serve(
    app: Any,
    listeners: Sequence[trio.abc.Listener[Any]],
    *,
    shutdown: Callable[[], Awaitable[object]],
    long_lived: LongLived,
    grace_seconds: float,
    hot: Hot | None = None,
    head_seconds: float = _SLOWEST_HEAD_SECONDS,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an ASGI application until `shutdown()` returns, then drain; the listeners are closed.

    What `hot` has kept is answered without the application; a request's head must come within `head_seconds`.

    Draining: nothing is accepted any more, idle connections close, what entered `long_lived` ends, short
    requests finish within `grace_seconds`, and a client that does not read is not waited for.
    """

    async def handle(stream: trio.abc.Stream) -> None:
        try:
            await Connection(surroundings, stream).run()
        except* Exception:  # noqa: BLE001 (a connection must not take the server with it)
            _LOG.exception("connection failed")

    with HangUps().opened() as hang_ups:
        surroundings = Surroundings(app, _config(), hang_ups, hot, head_seconds)
        async with trio.open_nursery() as watching:
            watching.start_soon(hang_ups.watch)
            async with trio.open_nursery() as handlers:
                async with trio.open_nursery() as acceptors:
                    await acceptors.start(_accept, handle, listeners, handlers)
                    task_status.started()
                    await shutdown()
                    acceptors.cancel_scope.cancel()
                await surroundings.context.terminated.set()
                handlers.cancel_scope.deadline = trio.current_time() + grace_seconds
                long_lived.end()
                for connection in tuple(surroundings.connections):
                    connection.drain()
            watching.cancel_scope.cancel()


async def _accept(
    handle: Callable[[trio.abc.Stream], Awaitable[None]],
    listeners: Sequence[trio.abc.Listener[Any]],
    handlers: trio.Nursery,
    task_status: trio.TaskStatus[Any],
) -> None:
    await trio.serve_listeners(handle, list(listeners), handler_nursery=handlers, task_status=task_status)


def _config() -> Config:
    config = Config()
    config.logger_class = cast("Any", _Log)
    config.include_server_header = False
    config.h11_max_incomplete_size = _HEAD_BYTES
    config.keep_alive_timeout = _IDLE_SECONDS
    config.keep_alive_max_requests = sys.maxsize
    config.ssl_handshake_timeout = 30.0
    return config


class _Log:
    """Hypercorn's logger: errors go to structlog, accesses are logged by the application itself."""

    def __init__(self, config: Config) -> None:
        self.config = config

    async def access(self, *_: object) -> None:
        """Logged elsewhere."""

    async def exception(self, message: str, *args: object, **_: object) -> None:
        """What the application did not catch."""
        _LOG.error("application failed", exc_info=sys.exception(), detail=message % args if args else message)

    async def warning(self, message: str, *args: object, **_: object) -> None:
        """What Hypercorn finds odd."""
        _LOG.warning("server warning", detail=message % args if args else message)

    error = critical = warning

    async def info(self, *_: object, **__: object) -> None:
        """Nothing of interest."""

    debug = info
