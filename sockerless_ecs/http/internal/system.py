"""The engine itself on the internal API."""

from __future__ import annotations

from typing import Any

import msgspec

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.credentials import checked_credentials
from sockerless_ecs.http.route import Call, Output, Reply, Route, SocketRoute, Streamed, json_reply
from sockerless_ecs.http.shapes.system import (
    AuthBody,
    AuthView,
    DiskUsageView,
    EventView,
    InfoView,
    VersionView,
)
from sockerless_ecs.http.views.system import USAGES, disk_usage_view, event_view, go_architecture, info_view

_API_VERSION = "v1"


async def info(call: Call) -> Reply:
    """What the engine is and holds."""
    return json_reply(info_view(await call.backend.system.info()))


async def version(call: Call) -> Reply:
    """Which version it is."""
    known = await call.backend.system.info()
    return json_reply(
        VersionView(version=known.version, api_version=_API_VERSION, os="linux", arch=go_architecture(known))
    )


async def ping(call: Call) -> Reply:
    """Whether it serves."""
    await call.backend.system.ping()
    return Reply(200, b"OK", "text/plain; charset=utf-8")


async def capabilities(call: Call) -> Reply:
    """What it can do."""
    return json_reply(dict(call.backend.capabilities()))


async def auth(call: Call) -> Reply:
    """Check credentials with their registry."""
    given = checked_credentials(await call.body(AuthBody))
    found = await call.backend.system.auth(given)
    return json_reply(AuthView(status=found.status, identity_token=found.identity_token))


async def disk_usage(call: Call) -> Reply:
    """What takes room."""
    wanted = call.query.texts("type") or USAGES
    for kind in wanted:
        if kind not in USAGES:
            raise InvalidParameter(f"unknown object type: {kind}")
    return json_reply(disk_usage_view(await call.backend.system.disk_usage(), wanted, call.version))


async def events(call: Call) -> Streamed:
    """What happens, a JSON object a line, until the client or `until` ends it."""
    since, until, filters = call.query.time_ns("since"), call.query.time_ns("until"), call.query.filters()
    if until and until < since:
        raise InvalidParameter(
            f"`since` time ({call.query.text('since')}) cannot be after "
            f"`until` time ({call.query.text('until')})"
        )

    async def produce(output: Output) -> None:
        async with call.backend.system.events(since_ns=since, until_ns=until, filters=filters) as coming:
            await output.begin("application/json")
            async for event in coming:
                await output.write(msgspec.json.encode(event_view(event)) + b"\n")

    return Streamed(produce, endless=True)


ROUTES: tuple[Route | SocketRoute, ...] = (
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
        path="/version",
        operation="SystemVersion",
        summary="Which version it is",
        handle=version,
        answer=VersionView,
    ),
    Route(method="GET", path="/_ping", operation="SystemPing", summary="Whether it serves", handle=ping),
    Route(
        method="GET",
        path="/capabilities",
        operation="Capabilities",
        summary="What it can do",
        handle=capabilities,
        answer=dict[str, Any],
    ),
    Route(
        method="GET",
        path="/events",
        operation="SystemEvents",
        summary="What happens",
        handle=events,
        query=("since", "until", "filters"),
        answer=EventView,
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
