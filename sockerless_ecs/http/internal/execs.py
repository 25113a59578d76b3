"""Execs on the internal API."""

from __future__ import annotations

from functools import partial

from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import Unavailable, Unimplemented
from sockerless_ecs.http.handlers import execs
from sockerless_ecs.http.internal.messages import Bridged, bridge
from sockerless_ecs.http.route import AnyRoute, Call, Route, Socket, SocketRoute
from sockerless_ecs.http.shapes.exec import ExecCreateBody, ExecCreatedView, ExecStartBody, ExecView


async def start_socket(call: Call, socket: Socket) -> None:
    """Run it as messages, for frontends that bridge streams themselves; `w` and `h` are a terminal's size."""
    engine = call.backend.execs
    record = await engine.inspect(call.ref)
    rows, columns = call.query.number("h"), call.query.number("w")
    size = TerminalSize(rows=rows, columns=columns) if rows and columns else None
    process = Bridged(
        id=record.id,
        signal=_no_signal,
        resize=partial(engine.resize, record.id),
        exit_code=partial(_exit_code, call, record.id),
    )
    async with engine.attached(record.id, tty=record.tty, size=size) as streams:
        await socket.accept()
        await bridge(socket, streams, process)


async def _no_signal(_: str) -> None:
    raise Unimplemented("signal: an exec cannot be signalled; kill signals the container")


async def _exit_code(call: Call, exec_id: str) -> int:
    code = (await call.backend.execs.inspect(exec_id)).exit_code
    if code is None:
        raise Unavailable("the exit code is not known")
    return code


ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/containers/<ref:ref>/exec",
        operation="ContainerExec",
        summary="Register one more process in a container",
        handle=execs.create,
        body=ExecCreateBody,
        answer=ExecCreatedView,
        status=201,
    ),
    Route(
        method="GET",
        path="/exec/<ref:ref>",
        operation="ExecInspect",
        summary="Inspect a process",
        handle=execs.inspect,
        answer=ExecView,
    ),
    Route(
        method="POST",
        path="/exec/<ref:ref>/start",
        operation="ExecStart",
        summary="Run a process by upgrade",
        handle=execs.start,
        body=ExecStartBody,
        status=101,
    ),
    SocketRoute(
        path="/exec/<ref:ref>/start/ws",
        operation="ExecStartWebsocket",
        summary="Run a process by WebSocket",
        handle=start_socket,
        query=("h", "w"),
    ),
)
