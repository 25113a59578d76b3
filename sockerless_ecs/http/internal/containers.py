"""Containers on the internal API."""

from __future__ import annotations

from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.http.create import create_request, unknown_fields
from sockerless_ecs.http.route import NO_CONTENT, Call, Reply, Route, SocketRoute, json_reply
from sockerless_ecs.http.shapes.container import (
    ContainerSummaryView,
    ContainerView,
    CreatedView,
    PrunedContainersView,
    TopView,
)
from sockerless_ecs.http.shapes.create import CreateBody
from sockerless_ecs.http.views.container import container_summary, container_view


async def create(call: Call) -> Reply:
    """Create a container; what could not be honoured without harm is in the warnings."""
    request = create_request(
        await call.body(CreateBody), name=call.query.text("name"), platform=call.query.text("platform")
    )
    created = await call.backend.containers.create(request)
    ignored = unknown_fields(await call.read_body())
    return json_reply(CreatedView(id=created.id, warnings=[*created.warnings, *ignored]), 201)


async def list_(call: Call) -> Reply:
    """List containers, newest first."""
    filters, limit = call.query.filters(), call.query.number("limit")
    limit = limit if limit is not None and limit > 0 else None
    stopped_too = call.query.flag("all") or limit is not None or "status" in filters
    found = await call.backend.containers.list(filters, include_stopped=stopped_too, limit=limit)
    return json_reply([container_summary(container) for container in found])


async def inspect(call: Call) -> Reply:
    """Show a container, with its agent."""
    container = await call.backend.containers.inspect(call.ref)
    return json_reply(container_view(container, with_agent=True))


async def start(call: Call) -> Reply:
    """Start a container; answers once its process runs."""
    await call.backend.containers.start(call.ref)
    return NO_CONTENT


async def stop(call: Call) -> Reply:
    """Stop a container."""
    _refuse_signal(call, "stop")
    await call.backend.containers.stop(call.ref, _grace(call))
    return NO_CONTENT


async def restart(call: Call) -> Reply:
    """Stop a container if it runs, and start it."""
    _refuse_signal(call, "restart")
    await call.backend.containers.restart(call.ref, _grace(call))
    return NO_CONTENT


async def kill(call: Call) -> Reply:
    """Send a signal."""
    await call.backend.containers.kill(call.ref, call.query.text("signal", "SIGKILL"))
    return NO_CONTENT


async def remove(call: Call) -> Reply:
    """Remove a container."""
    if call.query.flag("link"):
        raise Unimplemented("remove container: link is not implemented")
    await call.backend.containers.remove(
        call.ref, force=call.query.flag("force"), volumes=call.query.flag("v")
    )
    return NO_CONTENT


async def rename(call: Call) -> Reply:
    """Give a container another name."""
    await call.backend.containers.rename(call.ref, call.query.required("name"))
    return NO_CONTENT


async def pause(call: Call) -> Reply:
    """Freeze a container's processes."""
    await call.backend.containers.pause(call.ref)
    return NO_CONTENT


async def unpause(call: Call) -> Reply:
    """Let a container's processes go on."""
    await call.backend.containers.unpause(call.ref)
    return NO_CONTENT


async def prune(call: Call) -> Reply:
    """Remove what is stopped."""
    gone = await call.backend.containers.prune(call.query.filters())
    return json_reply(PrunedContainersView(containers_deleted=list(gone)))


async def attach(call: Call) -> Reply:
    """Streams of the main process."""
    await call.backend.containers.attach(call.ref)
    raise Unimplemented("attach is not implemented yet")


async def top(_: Call) -> Reply:
    """Processes."""
    raise Unimplemented("top is not implemented yet")


async def stats(_: Call) -> Reply:
    """Usage."""
    raise Unimplemented("container stats is not implemented yet")


async def archive(_: Call) -> Reply:
    """Files in and out."""
    raise Unimplemented("container archive (copying files in or out) is not implemented yet")


async def attach_socket(call: Call, _: object) -> None:
    """Streams of the main process, for front ends that bridge them themselves."""
    await call.backend.containers.attach(call.ref)
    raise Unimplemented("attach is not implemented yet")


def _grace(call: Call) -> float | None:
    seconds = call.query.number("t")
    return None if seconds is None else float(seconds)


def _refuse_signal(call: Call, operation: str) -> None:
    if call.query.text("signal"):
        raise Unimplemented(f"{operation} container: signal is not implemented yet; use kill")


_ONE = "/containers/<ref:ref>"

ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="POST",
        path="/containers",
        operation="ContainerCreate",
        summary="Create a container",
        handle=create,
        query=("name", "platform"),
        body=CreateBody,
        answer=CreatedView,
        status=201,
    ),
    Route(
        method="GET",
        path="/containers",
        operation="ContainerList",
        summary="List containers",
        handle=list_,
        query=("all", "filters", "limit"),
        answer=list[ContainerSummaryView],
    ),
    Route(
        method="POST",
        path="/containers/prune",
        operation="ContainerPrune",
        summary="Remove stopped containers",
        handle=prune,
        query=("filters",),
        answer=PrunedContainersView,
    ),
    Route(
        method="GET",
        path=_ONE,
        operation="ContainerInspect",
        summary="Inspect a container",
        handle=inspect,
        answer=ContainerView,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        operation="ContainerRemove",
        summary="Remove a container",
        handle=remove,
        query=("force", "v"),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/start",
        operation="ContainerStart",
        summary="Start a container",
        handle=start,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/stop",
        operation="ContainerStop",
        summary="Stop a container",
        handle=stop,
        query=("t",),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/restart",
        operation="ContainerRestart",
        summary="Restart a container",
        handle=restart,
        query=("t",),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/kill",
        operation="ContainerKill",
        summary="Send a signal to a container",
        handle=kill,
        query=("signal",),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/rename",
        operation="ContainerRename",
        summary="Rename a container",
        handle=rename,
        query=("name",),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/pause",
        operation="ContainerPause",
        summary="Pause a container",
        handle=pause,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/unpause",
        operation="ContainerUnpause",
        summary="Unpause a container",
        handle=unpause,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/attach",
        operation="ContainerAttach",
        summary="Attach to a container by upgrade",
        handle=attach,
        status=101,
    ),
    SocketRoute(
        path=f"{_ONE}/attach/ws",
        operation="ContainerAttachWebsocket",
        summary="Attach to a container by WebSocket",
        handle=attach_socket,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/top",
        operation="ContainerTop",
        summary="List processes",
        handle=top,
        query=("ps_args",),
        answer=TopView,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/stats",
        operation="ContainerStats",
        summary="Usage of resources",
        handle=stats,
        query=("stream",),
    ),
    *(
        Route(
            method=method,
            path=f"{_ONE}/archive",
            operation=operation,
            summary=summary,
            handle=archive,
            query=("path",),
        )
        for method, operation, summary in (
            ("PUT", "PutContainerArchive", "Copy files into a container"),
            ("HEAD", "ContainerArchiveInfo", "What a path in a container is"),
            ("GET", "ContainerArchive", "Copy files out of a container"),
        )
    ),
)
