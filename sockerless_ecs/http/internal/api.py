"""The internal API as an application."""

from __future__ import annotations

from typing import Any

import msgspec

from sockerless_ecs import __version__
from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.http.app import App, add_routes
from sockerless_ecs.http.internal import containers, execs, images, logs, networks, system, volumes, waits
from sockerless_ecs.http.openapi import openapi_document
from sockerless_ecs.http.route import AnyRoute, Call, Reply, Route
from sockerless_ecs.http.server import LongLived

PREFIX = "/internal/v1"

ROUTES: tuple[AnyRoute, ...] = (
    *system.ROUTES,
    *containers.ROUTES,
    *logs.ROUTES,
    *waits.ROUTES,
    *execs.ROUTES,
    *images.ROUTES,
    *networks.ROUTES,
    *volumes.ROUTES,
)


def internal_app(backend: Backend, long_lived: LongLived) -> App:
    """Every call of the internal API on `backend`; endless answers enter `long_lived`."""
    app = App("sockerless_ecs.http.internal")
    add_routes(app, [*ROUTES, _document()], prefix=PREFIX, backend=backend, long_lived=long_lived)
    return app


def _document() -> Route:
    async def document(_: Call) -> Reply:
        return Reply(200, body, "application/json")

    route = Route(
        method="GET",
        path="/openapi.json",
        operation="OpenAPI",
        summary="This document",
        handle=document,
        answer=dict[str, Any],
    )
    body = msgspec.json.encode(
        openapi_document(
            [*ROUTES, route], title="sockerless internal API", version=__version__, prefix=PREFIX
        )
    )
    return route
