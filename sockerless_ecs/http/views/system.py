"""The engine and its events as Docker shows them."""

from __future__ import annotations

from msgspec import UNSET

from sockerless_ecs.engine.contract import SystemInfo
from sockerless_ecs.http.shapes.system import ActorView, EventView, InfoView
from sockerless_ecs.http.times import SECOND_NS
from sockerless_ecs.model.event import EngineEvent


def info_view(info: SystemInfo) -> InfoView:
    """What info shows."""
    return InfoView(
        id=info.id,
        name=info.name,
        server_version=info.version,
        containers=info.containers,
        containers_running=info.running,
        containers_paused=info.paused,
        containers_stopped=info.stopped,
        images=info.images,
        driver="fargate",
        operating_system="AWS Fargate",
        os_type="linux",
        architecture=info.architecture,
        ncpu=info.cpus,
        mem_total=info.memory_bytes,
        kernel_version="",
    )


def event_view(event: EngineEvent) -> EventView:
    """One event; what old clients read of a container's or an image's is there too."""
    legacy = event.type in ("container", "image")
    image = event.attributes.get("image") if event.type == "container" else None
    return EventView(
        type=event.type,
        action=event.action,
        actor=ActorView(id=event.actor_id, attributes=dict(event.attributes)),
        time=event.time_ns // SECOND_NS,
        time_ns=event.time_ns,
        status=event.action if legacy else UNSET,
        id=event.actor_id if legacy else UNSET,
        from_=image or UNSET,
    )
