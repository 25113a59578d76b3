"""Volumes as Docker shows them and as they are asked for."""

# ruff: noqa: RUF012 (msgspec copies empty defaults)

from __future__ import annotations

from sockerless_ecs.http.shapes.create import StringMap
from sockerless_ecs.http.shapes.naming import Answer, Request


class VolumeCreateBody(Request, frozen=True, kw_only=True):
    """A volume that is asked for."""

    name: str | None = None
    driver: str | None = None
    driver_opts: StringMap = None
    labels: StringMap = None


class VolumeView(Answer, frozen=True, kw_only=True):
    """What inspect and list show."""

    name: str
    driver: str
    mountpoint: str
    created_at: str
    labels: dict[str, str]
    options: dict[str, str]
    scope: str = "local"


class VolumesView(Answer, frozen=True, kw_only=True):
    """A list."""

    volumes: list[VolumeView]
    warnings: list[str] = []


class PrunedVolumesView(Answer, frozen=True, kw_only=True):
    """What a prune took away."""

    volumes_deleted: list[str]
    space_reclaimed: int = 0
