"""Volumes as inspect and list show them."""

from __future__ import annotations

from sockerless_ecs.http.shapes.volume import VolumeView
from sockerless_ecs.http.times import rfc3339
from sockerless_ecs.model.volume import Volume


def volume_view(volume: Volume) -> VolumeView:
    """What inspect and list show."""
    return VolumeView(
        name=volume.name,
        driver=volume.driver,
        mountpoint="",
        created_at=rfc3339(volume.created_ns),
        labels=dict(volume.labels),
        options=dict(volume.options),
    )
