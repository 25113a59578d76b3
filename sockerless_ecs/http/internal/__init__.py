"""The internal API, /internal/v1."""

from sockerless_ecs.http.internal.api import PREFIX, ROUTES, internal_app

__all__ = ["PREFIX", "ROUTES", "internal_app"]
