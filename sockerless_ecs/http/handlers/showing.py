"""What is shown of containers: lists, inspect, processes, changes."""

from __future__ import annotations

from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.errors import NotFound
from sockerless_ecs.http.route import Call, Reply, json_reply
from sockerless_ecs.http.shapes.container import ChangeView, TopView
from sockerless_ecs.http.views.container import Sizes, container_summary, container_view
from sockerless_ecs.model.container import Container


async def list_(call: Call) -> Reply:
    """List containers, newest first."""
    filters, limit = call.query.filters(), call.query.number("limit")
    limit = limit if limit is not None and limit > 0 else None
    stopped_too = call.query.flag("all") or limit is not None or "status" in filters
    found = await call.backend.containers.list(filters, include_stopped=stopped_too, limit=limit)
    if not call.query.flag("size"):
        return json_reply([container_summary(container) for container in found])
    return json_reply(
        [container_summary(container, sizes=await _sizes(call.backend, container)) for container in found]
    )


async def inspect(call: Call) -> Reply:
    """Show a container; on the internal API with its agent."""
    container = await call.backend.containers.inspect(call.ref)
    sizes = await _sizes(call.backend, container) if call.query.flag("size") else None
    return json_reply(container_view(container, with_agent=call.is_internal, sizes=sizes))


async def top(call: Call) -> Reply:
    """List a container's processes."""
    table = await call.backend.containers.top(call.ref, call.query.text("ps_args"))
    return json_reply(TopView(titles=list(table.titles), processes=[list(row) for row in table.rows]))


async def changes(call: Call) -> Reply:
    """Show what differs from the image."""
    found = await call.backend.containers.changes(call.ref)
    return json_reply([ChangeView(path=change.path, kind=int(change.kind)) for change in found] or None)


async def _sizes(backend: Backend, container: Container) -> Sizes:
    """The image's size; what the container wrote on top is nowhere counted."""
    try:
        image = await backend.images.inspect(container.image_id)
    except NotFound:
        return Sizes(image_bytes=0)
    return Sizes(image_bytes=image.size_bytes)
