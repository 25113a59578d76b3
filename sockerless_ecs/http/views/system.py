"""The engine and its events as Docker shows them."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Collection

from msgspec import UNSET

from sockerless_ecs.engine.values import DiskUsage, SystemInfo
from sockerless_ecs.http.shapes.system import (
    ActorView,
    ComponentView,
    DiskUsageView,
    DockerVersionView,
    EventView,
    IndexView,
    InfoView,
    PlatformView,
    RegistriesView,
)
from sockerless_ecs.http.times import SECOND_NS, rfc3339
from sockerless_ecs.http.views.container import container_summary
from sockerless_ecs.http.views.image import Version, image_summaries
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.layers import shared_bytes

USAGES = ("container", "image", "volume", "build-cache")
"""What disk usage can be asked for."""
_GO_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_WITHOUT_BUILDER_SIZE = (1, 42)


def info_view(info: SystemInfo) -> InfoView:
    """What info shows."""
    return InfoView(
        id=info.id,
        containers=info.containers,
        containers_running=info.running,
        containers_paused=info.paused,
        containers_stopped=info.stopped,
        images=info.images,
        system_time=rfc3339(time.time_ns()),
        architecture=info.architecture,
        registry_config=RegistriesView(
            index_configs={"docker.io": IndexView(name="docker.io", official=True)}
        ),
        ncpu=info.cpus,
        mem_total=info.memory_bytes,
        name=info.name,
        server_version=info.version,
    )


def go_architecture(info: SystemInfo) -> str:
    """`amd64` or `arm64`."""
    return _GO_ARCHITECTURES.get(info.architecture, info.architecture)


def version_view(info: SystemInfo, newest: str, oldest: str) -> DockerVersionView:
    """What version shows on the Docker API, of which `newest` and `oldest` are served."""
    architecture, language = go_architecture(info), f"Python {platform.python_version()}"
    details = {
        "ApiVersion": newest,
        "Arch": architecture,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": language,
        "KernelVersion": "",
        "MinAPIVersion": oldest,
        "Os": "linux",
    }
    return DockerVersionView(
        platform=PlatformView(name="sockerless-ecs"),
        components=[ComponentView(name="Engine", version=info.version, details=details)],
        version=info.version,
        api_version=newest,
        min_api_version=oldest,
        git_commit="",
        go_version=language,
        os="linux",
        arch=architecture,
        kernel_version="",
        build_time="",
    )


def event_view(event: EngineEvent) -> EventView:
    """One event; what old clients read of a container's or an image's is there too."""
    legacy = event.type in ("container", "image")
    image = event.attributes.get("image") if event.type == "container" else None
    return EventView(
        status=event.action if legacy else UNSET,
        id=(event.actor_id if legacy else "") or UNSET,
        from_=image or UNSET,
        type=event.type,
        action=event.action,
        actor=ActorView(id=event.actor_id, attributes=dict(event.attributes)),
        time=event.time_ns // SECOND_NS,
        time_ns=event.time_ns,
    )


def disk_usage_view(usage: DiskUsage, wanted: Collection[str], version: Version = (0, 0)) -> DiskUsageView:
    """What takes room, of the kinds that are wanted."""
    users = Counter(container.image_id for container in usage.containers)
    shared = shared_bytes(usage.images)
    return DiskUsageView(
        layers_size=usage.layers_bytes if "image" in wanted else 0,
        images=image_summaries(usage.images, version, users=users, shared=shared)
        if "image" in wanted
        else None,
        containers=[container_summary(one) for one in usage.containers] if "container" in wanted else None,
        volumes=[] if "volume" in wanted else None,
        build_cache=[] if "build-cache" in wanted else None,
        builder_size=0 if version < _WITHOUT_BUILDER_SIZE else UNSET,
    )
