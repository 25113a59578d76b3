"""The Docker Engine API as an application."""

from __future__ import annotations

from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.http.app import App, add_routes
from sockerless_ecs.http.dialect import DOCKER
from sockerless_ecs.http.docker import containers, events, execs, images, system, unbuilt
from sockerless_ecs.http.route import AnyRoute
from sockerless_ecs.http.server import LongLived

ROUTES: tuple[AnyRoute, ...] = (
    *system.ROUTES,
    *events.ROUTES,
    *containers.ROUTES,
    *execs.ROUTES,
    *images.ROUTES,
    *unbuilt.ROUTES,
)


def docker_app(backend: Backend, long_lived: LongLived) -> App:
    """Every call of the Docker Engine API on `backend`; endless answers enter `long_lived`."""
    app = App("sockerless_ecs.http.docker")
    add_routes(app, ROUTES, prefix="", backend=backend, long_lived=long_lived, dialect=DOCKER)
    return app
