"""The engine itself on the Docker Engine API."""

from __future__ import annotations

from dataclasses import replace

from sockerless_ecs.http.dialect import DOCKER
from sockerless_ecs.http.internal.system import auth, disk_usage, info
from sockerless_ecs.http.route import Call, Reply, Route, json_reply
from sockerless_ecs.http.shapes.system import AuthBody, AuthView, DiskUsageView, DockerVersionView, InfoView
from sockerless_ecs.http.views.system import version_view

_PING = Reply(
    200,
    b"OK",
    "text/plain; charset=utf-8",
    {
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Pragma": "no-cache",
        "Builder-Version": "",
        "Swarm": "inactive",
    },
)


async def ping(call: Call) -> Reply:
    """Whether it serves, and which API."""
    await call.backend.system.ping()
    return _PING


async def ping_head(call: Call) -> Reply:
    """The same, for clients that want no body."""
    return replace(await ping(call), body=b"")


async def version(call: Call) -> Reply:
    """Which version it is."""
    newest, oldest = (".".join(map(str, one)) for one in (DOCKER.newest, DOCKER.oldest))
    return json_reply(version_view(await call.backend.system.info(), newest, oldest))


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/_ping",
        operation="SystemPing",
        summary="Whether it serves",
        handle=ping,
        hot=True,
    ),
    Route(
        method="HEAD",
        path="/_ping",
        operation="SystemPingHead",
        summary="Whether it serves",
        handle=ping_head,
        hot=True,
    ),
    Route(
        method="GET",
        path="/version",
        operation="SystemVersion",
        summary="Which version it is",
        handle=version,
        answer=DockerVersionView,
    ),
    Route(
        method="GET",
        path="/info",
        operation="SystemInfo",
        summary="What the engine is and holds",
        handle=info,
        answer=InfoView,
    ),
    Route(
        method="GET",
        path="/system/df",
        operation="SystemDataUsage",
        summary="What takes room",
        handle=disk_usage,
        query=("type",),
        answer=DiskUsageView,
    ),
    Route(
        method="POST",
        path="/auth",
        operation="SystemAuth",
        summary="Check credentials with their registry",
        handle=auth,
        body=AuthBody,
        answer=AuthView,
    ),
)
