"""Containers on the internal API."""

from __future__ import annotations

from functools import partial

from sockerless_ecs.engine.values import AttachOptions
from sockerless_ecs.http.handlers import containers, files, showing, stats, streams
from sockerless_ecs.http.internal.messages import Bridged, bridge
from sockerless_ecs.http.internal.unpacking import write
from sockerless_ecs.http.route import AnyRoute, Call, Hijack, Route, Socket, SocketRoute
from sockerless_ecs.http.shapes.container import (
    ContainerSummaryView,
    ContainerView,
    CreatedView,
    PrunedContainersView,
    TopView,
)
from sockerless_ecs.http.shapes.create import CreateBody
from sockerless_ecs.http.shapes.stats import StatsView

_EVERYTHING = AttachOptions(stdin=True, stdout=True, stderr=True)


async def attach(call: Call) -> Hijack:
    """Streams of the main process: all of them unless the query chooses; this frontend loses it."""
    return streams.attached(call, streams.attach_options(call.query) if call.query.values else _EVERYTHING)


async def attach_socket(call: Call, socket: Socket) -> None:
    """The same as messages, for frontends that bridge streams themselves."""
    engine = call.backend.containers
    container = await engine.inspect(call.ref)
    process = Bridged(
        id=container.id,
        signal=partial(engine.kill, container.id),
        resize=partial(engine.resize, container.id),
        exit_code=partial(_exit_code, call, container.id),
        health_from=call.backend.system if container.config.healthcheck else None,
    )
    async with engine.attach(container.id, _EVERYTHING) as attached:
        await socket.accept()
        await bridge(socket, attached, process)


async def _exit_code(call: Call, container_id: str) -> int:
    waiting = await call.backend.containers.wait(container_id)
    return (await waiting.outcome()).code


_ONE = "/containers/<ref:ref>"

ROUTES: tuple[AnyRoute, ...] = (
    Route(
        method="POST",
        path="/containers",
        operation="ContainerCreate",
        summary="Create a container",
        handle=containers.create,
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
        handle=showing.list_,
        query=("all", "filters", "limit", "size"),
        answer=list[ContainerSummaryView],
        hot=True,
        hot_seconds=1,
    ),
    Route(
        method="POST",
        path="/containers/prune",
        operation="ContainerPrune",
        summary="Remove stopped containers",
        handle=containers.prune,
        query=("filters",),
        answer=PrunedContainersView,
    ),
    Route(
        method="GET",
        path=_ONE,
        operation="ContainerInspect",
        summary="Inspect a container",
        handle=showing.inspect,
        query=("size",),
        answer=ContainerView,
        hot=True,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        operation="ContainerRemove",
        summary="Remove a container",
        handle=containers.remove,
        query=("force", "link", "v"),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/start",
        operation="ContainerStart",
        summary="Start a container",
        handle=containers.start,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/stop",
        operation="ContainerStop",
        summary="Stop a container",
        handle=containers.stop,
        query=("signal", "t"),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/restart",
        operation="ContainerRestart",
        summary="Restart a container",
        handle=containers.restart,
        query=("signal", "t"),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/kill",
        operation="ContainerKill",
        summary="Send a signal to a container",
        handle=containers.kill,
        query=("signal",),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/rename",
        operation="ContainerRename",
        summary="Rename a container",
        handle=containers.rename,
        query=("name",),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/pause",
        operation="ContainerPause",
        summary="Pause a container",
        handle=containers.pause,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/unpause",
        operation="ContainerUnpause",
        summary="Unpause a container",
        handle=containers.unpause,
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/attach",
        operation="ContainerAttach",
        summary="Attach to a container by upgrade",
        handle=attach,
        query=("detachKeys", "logs", "stream", "stdin", "stdout", "stderr"),
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
        handle=showing.top,
        query=("ps_args",),
        answer=TopView,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/stats",
        operation="ContainerStats",
        summary="Usage of resources",
        handle=stats.stats,
        query=("one-shot", "stream"),
        answer=StatsView,
    ),
    *(
        Route(
            method=method,
            path=f"{_ONE}/archive",
            operation=operation,
            summary=summary,
            handle=handle,
            query=query,
        )
        for method, operation, summary, handle, query in (
            (
                "PUT",
                "PutContainerArchive",
                "Copy files into a container; directories that are missing are made",
                write,
                ("copyUIDGID", "noOverwriteDirNonDir", "path"),
            ),
            ("HEAD", "ContainerArchiveInfo", "What a path in a container is", files.stat, ("path",)),
            ("GET", "ContainerArchive", "Copy files out of a container", files.read, ("path",)),
        )
    ),
)
