"""The Docker Engine API."""

from sockerless_ecs.http.docker.api import ROUTES, docker_app

__all__ = ["ROUTES", "docker_app"]
