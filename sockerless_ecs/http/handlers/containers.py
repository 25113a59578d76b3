"""A container's life: created, started, stopped, changed, removed."""

from __future__ import annotations

from dataclasses import replace

from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import InvalidParameter, Unimplemented
from sockerless_ecs.http.create import create_request, unknown_fields, update_request
from sockerless_ecs.http.query import Query
from sockerless_ecs.http.route import EMPTY, NO_CONTENT, Call, Reply, json_reply
from sockerless_ecs.http.shapes.container import (
    CreatedView,
    PrunedContainersView,
    UpdatedView,
)
from sockerless_ecs.http.shapes.create import CreateBody, HostConfigBody

_REMOVED_BY_CLIENT = (1, 24)
"""Up to this version a client removes a container itself that is to be removed when it ends."""


async def create(call: Call) -> Reply:
    """Create a container; what could not be honoured without harm is in the warnings."""
    request = create_request(
        await call.body(CreateBody), name=call.query.text("name"), platform=call.query.text("platform")
    )
    if (0, 0) < call.version <= _REMOVED_BY_CLIENT:
        request = replace(request, host=replace(request.host, auto_remove=False))
    created = await call.backend.containers.create(request)
    ignored = unknown_fields(await call.read_body())
    return json_reply(CreatedView(id=created.id, warnings=[*created.warnings, *ignored]), 201)


async def start(call: Call) -> Reply:
    """Start a container; answers once its process runs. What old clients send along is not read."""
    if call.query.text("checkpoint"):
        raise Unimplemented("start container: checkpoints are not possible on Fargate")
    await call.backend.containers.start(call.ref)
    return NO_CONTENT


async def stop(call: Call) -> Reply:
    """Stop a container."""
    await call.backend.containers.stop(call.ref, _grace(call.query), call.query.text("signal"))
    return NO_CONTENT


async def restart(call: Call) -> Reply:
    """Stop a container if it runs, and start it."""
    await call.backend.containers.restart(call.ref, _grace(call.query), call.query.text("signal"))
    return NO_CONTENT


async def kill(call: Call) -> Reply:
    """Send a signal."""
    await call.backend.containers.kill(call.ref, call.query.text("signal", "SIGKILL"))
    return NO_CONTENT


async def pause(call: Call) -> Reply:
    """Freeze a container's processes."""
    await call.backend.containers.pause(call.ref)
    return NO_CONTENT


async def unpause(call: Call) -> Reply:
    """Let a container's processes go on."""
    await call.backend.containers.unpause(call.ref)
    return NO_CONTENT


async def rename(call: Call) -> Reply:
    """Give a container another name."""
    name = call.query.text("name")
    if not name:
        raise InvalidParameter("Neither old nor new names may be empty")
    await call.backend.containers.rename(call.ref, name)
    return NO_CONTENT


async def resize(call: Call) -> Reply:
    """Tell the size of the terminal of a container's process."""
    await call.backend.containers.resize(call.ref, terminal_size(call.query))
    return EMPTY


async def update(call: Call) -> Reply:
    """Change what of a container can be changed."""
    wanted, warnings = update_request(await call.body(HostConfigBody))
    told = await call.backend.containers.update(call.ref, wanted)
    return json_reply(UpdatedView(warnings=[*warnings, *told] or None))


async def remove(call: Call) -> Reply:
    """Remove a container."""
    if call.query.flag("link"):
        raise Unimplemented("remove container: links between containers are not implemented; use networks")
    await call.backend.containers.remove(
        call.ref, force=call.query.flag("force"), volumes=call.query.flag("v")
    )
    return NO_CONTENT


async def prune(call: Call) -> Reply:
    """Remove what is stopped."""
    gone = await call.backend.containers.prune(call.query.filters())
    return json_reply(PrunedContainersView(containers_deleted=list(gone)))


def terminal_size(query: Query) -> TerminalSize:
    """`h` and `w`, both wanted."""
    sides = []
    for name in ("h", "w"):
        side = query.number(name)
        if side is None or side < 0:
            raise InvalidParameter(f"query parameter {name}: a terminal's size in characters is wanted")
        sides.append(side)
    return TerminalSize(rows=sides[0], columns=sides[1])


def _grace(query: Query) -> float | None:
    seconds = query.number("t")
    return None if seconds is None else float(seconds)
