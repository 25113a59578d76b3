"""Containers on the Docker Engine API."""

from __future__ import annotations

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.http.handlers import containers, files, showing, sockets, stats, streams, waits
from sockerless_ecs.http.route import AnyRoute, Call, Reply, Route, SocketRoute
from sockerless_ecs.http.shapes.container import (
    ChangeView,
    ContainerSummaryView,
    ContainerView,
    CreatedView,
    PrunedContainersView,
    TopView,
    UpdatedView,
    WaitView,
)
from sockerless_ecs.http.shapes.create import CreateBody, HostConfigBody
from sockerless_ecs.http.shapes.stats import StatsView

_ONE = "/containers/<ref:ref>"
_ATTACH = ("detachKeys", "logs", "stream", "stdin", "stdout", "stderr")


async def kill(call: Call) -> Reply:
    """Send a signal; a failure says what it was that failed, as Docker's does."""
    try:
        return await containers.kill(call)
    except SockerlessError as error:
        words = f"cannot kill container: {call.ref}: {error.message}"
        raise type(error)(words, request_ids=error.request_ids) from error


_LIFE: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/containers/create",
        operation="ContainerCreate",
        summary="Create a container",
        handle=containers.create,
        query=("name", "platform"),
        body=CreateBody,
        answer=CreatedView,
        status=201,
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
        method="DELETE",
        path=_ONE,
        operation="ContainerDelete",
        summary="Remove a container",
        handle=containers.remove,
        query=("force", "link", "v"),
        status=204,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/update",
        operation="ContainerUpdate",
        summary="Change a container's limits and restart policy",
        handle=containers.update,
        body=HostConfigBody,
        answer=UpdatedView,
    ),
    Route(
        method="POST",
        path=f"{_ONE}/resize",
        operation="ContainerResize",
        summary="Resize a container's terminal",
        handle=containers.resize,
        query=("h", "w"),
    ),
    *(
        Route(
            method="POST",
            path=f"{_ONE}/{verb}",
            operation=f"Container{verb.capitalize()}",
            summary=summary,
            handle=handle,
            query=query,
            status=204,
        )
        for verb, summary, handle, query in (
            ("start", "Start a container", containers.start, ("detachKeys",)),
            ("stop", "Stop a container", containers.stop, ("signal", "t")),
            ("restart", "Restart a container", containers.restart, ("signal", "t")),
            ("kill", "Send a signal to a container", kill, ("signal",)),
            ("rename", "Rename a container", containers.rename, ("name",)),
            ("pause", "Pause a container", containers.pause, ()),
            ("unpause", "Unpause a container", containers.unpause, ()),
        )
    ),
    Route(
        method="POST",
        path=f"{_ONE}/wait",
        operation="ContainerWait",
        summary="Wait for a container's end",
        handle=waits.wait,
        query=("condition",),
        answer=WaitView,
    ),
)

_SHOWN: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/containers/json",
        operation="ContainerList",
        summary="List containers",
        handle=showing.list_,
        query=("all", "filters", "limit", "size"),
        answer=list[ContainerSummaryView],
        hot=True,
        hot_seconds=1,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/json",
        operation="ContainerInspect",
        summary="Inspect a container",
        handle=showing.inspect,
        query=("size",),
        answer=ContainerView,
        hot=True,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/top",
        operation="ContainerTop",
        summary="List a container's processes",
        handle=showing.top,
        query=("ps_args",),
        answer=TopView,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/stats",
        operation="ContainerStats",
        summary="A container's usage of resources",
        handle=stats.stats,
        query=("one-shot", "stream"),
        answer=StatsView,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/changes",
        operation="ContainerChanges",
        summary="What differs from the image",
        handle=showing.changes,
        answer=list[ChangeView] | None,
    ),
)

_STREAMED: tuple[AnyRoute, ...] = (
    Route(
        method="GET",
        path=f"{_ONE}/logs",
        operation="ContainerLogs",
        summary="A container's output",
        handle=streams.logs,
        query=("details", "follow", "since", "stderr", "stdout", "tail", "timestamps", "until"),
    ),
    Route(
        method="POST",
        path=f"{_ONE}/attach",
        operation="ContainerAttach",
        summary="Attach to a container by upgrade",
        handle=streams.attach,
        query=_ATTACH,
        status=101,
    ),
    SocketRoute(
        path=f"{_ONE}/attach/ws",
        operation="ContainerAttachWebsocket",
        summary="Attach to a container by WebSocket",
        handle=sockets.attach_socket,
        query=_ATTACH,
    ),
    Route(
        method="GET",
        path=f"{_ONE}/export",
        operation="ContainerExport",
        summary="A container's whole file system",
        handle=files.export,
    ),
    Route(
        method="HEAD",
        path=f"{_ONE}/archive",
        operation="ContainerArchiveInfo",
        summary="What a path in a container is",
        handle=files.stat,
        query=("path",),
    ),
    Route(
        method="GET",
        path=f"{_ONE}/archive",
        operation="ContainerArchive",
        summary="Copy files out of a container",
        handle=files.read,
        query=("path",),
    ),
    Route(
        method="PUT",
        path=f"{_ONE}/archive",
        operation="PutContainerArchive",
        summary="Copy files into a container",
        handle=files.write,
        query=("copyUIDGID", "noOverwriteDirNonDir", "path"),
    ),
)

ROUTES: tuple[AnyRoute, ...] = (*_LIFE, *_SHOWN, *_STREAMED)
