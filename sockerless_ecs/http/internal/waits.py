"""Waiting for a container's end on the internal API: one long answer, or a WebSocket."""

from __future__ import annotations

import msgspec

from sockerless_ecs.http.handlers.waits import held, registered
from sockerless_ecs.http.route import Call, Route, Socket, SocketRoute, Streamed
from sockerless_ecs.http.shapes.container import WaitErrorView, WaitView

_PATH = "/containers/<ref:ref>/wait"
_PADDING = b" " * (8 << 10)
"""A front end that buffers lets the head through only once this much follows; JSON allows it."""


async def wait(call: Call) -> Streamed:
    """Answer at once that it waits, and with the exit code when there is one."""
    return held(await registered(call), padding=_PADDING)


async def wait_socket(call: Call, socket: Socket) -> None:
    """The same as one message."""
    waiting = await registered(call)
    await socket.accept()
    status = await waiting.outcome()
    error = WaitErrorView(message=status.error) if status.error else None
    await socket.send(msgspec.json.encode(WaitView(status_code=status.code, error=error)).decode())


ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="POST",
        path=_PATH,
        operation="ContainerWait",
        summary="Wait for a container's end",
        handle=wait,
        query=("condition",),
        answer=WaitView,
    ),
    SocketRoute(
        path=_PATH,
        operation="ContainerWaitWebsocket",
        summary="Wait for a container's end; one message",
        handle=wait_socket,
        query=("condition",),
    ),
)
