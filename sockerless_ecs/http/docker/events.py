"""Events on the Docker Engine API."""

from __future__ import annotations

from sockerless_ecs.http.internal.system import events
from sockerless_ecs.http.route import Route
from sockerless_ecs.http.shapes.system import EventView

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/events",
        operation="SystemEvents",
        summary="What happens",
        handle=events,
        query=("since", "until", "filters"),
        answer=EventView,
    ),
)
