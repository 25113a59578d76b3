"""Execs on the internal API."""

from __future__ import annotations

from sockerless_ecs.errors import InvalidParameter, Unimplemented
from sockerless_ecs.http.route import Call, Reply, Route, SocketRoute, json_reply
from sockerless_ecs.http.shapes.exec import ExecCreateBody, ExecCreatedView, ExecStartBody, ExecView
from sockerless_ecs.http.views.exec import exec_view
from sockerless_ecs.model.container import ContainerId
from sockerless_ecs.model.exec import Exec


async def create(call: Call) -> Reply:
    """Register one more process."""
    body = await call.body(ExecCreateBody)
    if not body.cmd:
        raise InvalidParameter("Cmd: no exec command specified")
    wanted = Exec(
        id="",
        container_id=ContainerId(""),
        argv=tuple(body.cmd),
        created_ns=0,
        env=tuple(body.env or ()),
        user=body.user or "",
        working_dir=body.working_dir or "",
        tty=bool(body.tty),
        attach_stdin=bool(body.attach_stdin),
        attach_stdout=bool(body.attach_stdout),
        attach_stderr=bool(body.attach_stderr),
        privileged=bool(body.privileged),
    )
    return json_reply(ExecCreatedView(id=await call.backend.execs.create(call.ref, wanted)), 201)


async def inspect(call: Call) -> Reply:
    """Show a process."""
    return json_reply(exec_view(await call.backend.execs.inspect(call.ref)))


async def start(call: Call) -> Reply:
    """Run it."""
    await call.body(ExecStartBody)
    await call.backend.execs.start(call.ref)
    raise Unimplemented("exec start is not implemented yet")


async def start_socket(call: Call, _: object) -> None:
    """Run it, for front ends that bridge streams themselves."""
    await call.backend.execs.start(call.ref)
    raise Unimplemented("exec start is not implemented yet")


ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="POST",
        path="/containers/<ref:ref>/exec",
        operation="ContainerExec",
        summary="Register one more process in a container",
        handle=create,
        body=ExecCreateBody,
        answer=ExecCreatedView,
        status=201,
    ),
    Route(
        method="GET",
        path="/exec/<ref:ref>",
        operation="ExecInspect",
        summary="Inspect a process",
        handle=inspect,
        answer=ExecView,
    ),
    Route(
        method="POST",
        path="/exec/<ref:ref>/start",
        operation="ExecStart",
        summary="Run a process by upgrade",
        handle=start,
        body=ExecStartBody,
        status=101,
    ),
    SocketRoute(
        path="/exec/<ref:ref>/start/ws",
        operation="ExecStartWebsocket",
        summary="Run a process by WebSocket",
        handle=start_socket,
    ),
)
