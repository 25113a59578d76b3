"""Waiting for a container's end on the internal API: one long answer, or a WebSocket."""

from __future__ import annotations

import msgspec

from sockerless_ecs.engine.contract import Waiting
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.route import Call, Output, Route, Socket, SocketRoute, Streamed
from sockerless_ecs.http.shapes.container import WaitErrorView, WaitView
from sockerless_ecs.model.container import ExitStatus

_CONDITIONS = ("not-running", "next-exit", "removed")
_PATH = "/containers/<ref:ref>/wait"
_PADDING = b" " * (8 << 10)
"""A front end that buffers lets the head through only once this much follows; JSON allows it."""
_NOT_SEEN = 125
"""The code of a wait that a drain cut short: what docker itself exits with when the daemon failed it."""


async def wait(call: Call) -> Streamed:
    """Answer at once that it waits, and with the exit code when there is one."""
    waiting = await _registered(call)

    async def produce(output: Output) -> None:
        await output.begin("application/json")
        if not waiting.settled:
            await output.write(_PADDING)
        await output.write(_encoded(await waiting.outcome()))

    return Streamed(produce, endless=True, at_drain=_drained)


async def _drained(output: Output) -> None:
    await output.write(_encoded(ExitStatus(code=_NOT_SEEN, error="the daemon is shutting down; wait again")))


async def wait_socket(call: Call, socket: Socket) -> None:
    """The same as one message."""
    waiting = await _registered(call)
    await socket.accept()
    status = await waiting.outcome()
    error = WaitErrorView(message=status.error) if status.error else None
    await socket.send(msgspec.json.encode(WaitView(status_code=status.code, error=error)).decode())


async def _registered(call: Call) -> Waiting:
    condition = call.query.text("condition", _CONDITIONS[0])
    if condition not in _CONDITIONS:
        raise InvalidParameter(f'query parameter condition: invalid condition: "{condition}"')
    return await call.backend.containers.wait(call.ref, condition)


def _encoded(status: ExitStatus) -> bytes:
    error = WaitErrorView(message=status.error) if status.error else msgspec.UNSET
    return msgspec.json.encode(WaitView(status_code=status.code, error=error)) + b"\n"


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
