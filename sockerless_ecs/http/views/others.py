"""Networks, volumes, execs, events and the engine as Docker shows them."""

from __future__ import annotations

from msgspec import UNSET

from sockerless_ecs.engine.contract import SystemInfo
from sockerless_ecs.http.shapes.exec import ExecView, ProcessView
from sockerless_ecs.http.shapes.network import NetworkView
from sockerless_ecs.http.shapes.system import ActorView, EventView, InfoView
from sockerless_ecs.http.shapes.volume import VolumeView
from sockerless_ecs.http.times import SECOND_NS, rfc3339
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.volume import Volume


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


def network_view(network: Network) -> NetworkView:
    """What inspect and list show."""
    return NetworkView(
        name=network.name,
        id=network.id,
        created=rfc3339(network.created_ns),
        driver=network.driver,
        internal=network.internal,
        attachable=network.attachable,
        options=dict(network.options),
        labels=dict(network.labels),
    )


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


def exec_view(instance: Exec) -> ExecView:
    """What inspect shows."""
    running = instance.pid != 0 and instance.exit_code is None
    return ExecView(
        id=instance.id,
        container_id=instance.container_id,
        running=running,
        exit_code=instance.exit_code,
        pid=instance.pid,
        open_stdin=instance.attach_stdin,
        open_stdout=instance.attach_stdout,
        open_stderr=instance.attach_stderr,
        process_config=ProcessView(
            tty=instance.tty,
            entrypoint=instance.argv[0] if instance.argv else "",
            arguments=list(instance.argv[1:]),
            privileged=instance.privileged,
            user=instance.user,
            env=list(instance.env),
            working_dir=instance.working_dir,
        ),
        can_remove=False,
    )
