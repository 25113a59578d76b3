"""Volumes on the internal API."""

from __future__ import annotations

from sockerless_ecs.http.route import NO_CONTENT, Call, Reply, Route, SocketRoute, json_reply
from sockerless_ecs.http.shapes.volume import PrunedVolumesView, VolumeCreateBody, VolumesView, VolumeView
from sockerless_ecs.http.views.volume import volume_view
from sockerless_ecs.model.volume import Volume


async def create(call: Call) -> Reply:
    """Make a volume, or find the one of that name."""
    body = await call.body(VolumeCreateBody)
    volume = Volume(
        name=body.name or "",
        created_ns=0,
        driver=body.driver or "local",
        labels={key: value or "" for key, value in (body.labels or {}).items()},
        options={key: value or "" for key, value in (body.driver_opts or {}).items()},
    )
    return json_reply(volume_view(await call.backend.volumes.create(volume)), 201)


async def list_(call: Call) -> Reply:
    """List volumes."""
    found = await call.backend.volumes.list(call.query.filters())
    return json_reply(VolumesView(volumes=[volume_view(volume) for volume in found]))


async def inspect(call: Call) -> Reply:
    """Show a volume."""
    return json_reply(volume_view(await call.backend.volumes.inspect(call.ref)))


async def remove(call: Call) -> Reply:
    """Remove a volume."""
    await call.backend.volumes.remove(call.ref, force=call.query.flag("force"))
    return NO_CONTENT


async def prune(call: Call) -> Reply:
    """Remove volumes that nobody uses."""
    gone = await call.backend.volumes.prune(call.query.filters())
    return json_reply(PrunedVolumesView(volumes_deleted=list(gone)))


_ONE = "/volumes/<ref:ref>"

ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="POST",
        path="/volumes",
        operation="VolumeCreate",
        summary="Create a volume",
        handle=create,
        body=VolumeCreateBody,
        answer=VolumeView,
        status=201,
    ),
    Route(
        method="GET",
        path="/volumes",
        operation="VolumeList",
        summary="List volumes",
        handle=list_,
        query=("filters",),
        answer=VolumesView,
    ),
    Route(
        method="POST",
        path="/volumes/prune",
        operation="VolumePrune",
        summary="Remove unused volumes",
        handle=prune,
        query=("filters",),
        answer=PrunedVolumesView,
    ),
    Route(
        method="GET",
        path=_ONE,
        operation="VolumeInspect",
        summary="Inspect a volume",
        handle=inspect,
        answer=VolumeView,
    ),
    Route(
        method="DELETE",
        path=_ONE,
        operation="VolumeDelete",
        summary="Remove a volume",
        handle=remove,
        query=("force",),
        status=204,
    ),
)
