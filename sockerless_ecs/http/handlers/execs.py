"""More processes in a running container."""

from __future__ import annotations

from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.conversation import converse
from sockerless_ecs.http.handlers.containers import terminal_size
from sockerless_ecs.http.handlers.streams import Switch, stream_type
from sockerless_ecs.http.route import EMPTY, Call, Hijack, Reply, json_reply
from sockerless_ecs.http.shapes.exec import ExecCreateBody, ExecCreatedView, ExecStartBody
from sockerless_ecs.http.views.exec import exec_view
from sockerless_ecs.model.container import ContainerId
from sockerless_ecs.model.exec import Exec

_SIZE_SINCE = (1, 42)


async def create(call: Call) -> Reply:
    """Register one more process."""
    body = await call.body(ExecCreateBody)
    if not body.cmd:
        raise InvalidParameter("No exec command specified")
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
        detach_keys=body.detach_keys or "",
    )
    return json_reply(ExecCreatedView(id=await call.backend.execs.create(call.ref, wanted)), 201)


async def inspect(call: Call) -> Reply:
    """Show a process."""
    return json_reply(exec_view(await call.backend.execs.inspect(call.ref)))


async def resize(call: Call) -> Reply:
    """Tell the size of its terminal."""
    await call.backend.execs.resize(call.ref, terminal_size(call.query))
    return EMPTY


async def start(call: Call) -> Reply | Hijack:
    """Run it: on this connection, or with nobody attached."""
    body = await call.body(ExecStartBody)
    tty, size = bool(body.tty), _size(call, body)
    if body.detach:
        await call.backend.execs.start(call.ref, tty=tty, size=size)
        return EMPTY

    async def take_over(switch: Switch) -> None:
        async with call.backend.execs.attached(call.ref, tty=tty, size=size) as streams:
            await converse(await switch(stream_type(call, tty=streams.tty)), streams)

    return Hijack(take_over)


def _size(call: Call, body: ExecStartBody) -> TerminalSize | None:
    if not (body.tty and body.console_size) or (0, 0) < call.version < _SIZE_SINCE:
        return None
    rows, columns = body.console_size
    return TerminalSize(rows=rows, columns=columns)
