"""What may be run and what is told of it: the values on both ends of the supervisor's socket."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from sockerless_ecs.errors import InvalidParameter, SockerlessError, Unimplemented

HOST: Final = "host"
AGENT_PORT: Final = 9111
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")


class RunnerError(SockerlessError):
    """The runner cannot start, or has died; the message says why."""


class Mode(StrEnum):
    """How much the machine lets us isolate."""

    FULL = "full"
    ROOTLESS = "rootless"
    BARE = "bare"


class Condition(StrEnum):
    """What a container waits for in another, in ECS's words."""

    START = "START"
    COMPLETE = "COMPLETE"
    SUCCESS = "SUCCESS"
    HEALTHY = "HEALTHY"


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume of the task at a place in a container."""

    volume: str
    target: str
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Ulimit:
    """One resource limit, by its name in Docker and ECS (`nofile`, …)."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a task. `layers` are names from `Runner.unpack`, lowest first, or `HOST`."""

    name: str
    layers: tuple[str, ...] | Literal["host"]
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: str = "0"
    mounts: tuple[Mount, ...] = ()
    depends_on: tuple[tuple[str, Condition], ...] = ()
    essential: bool = True
    readonly_root: bool = False
    stop_seconds: float = 30
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """What one RunTask starts. A volume without a path is the task's own and ends with it.

    `groups` are security group ids. `ports` are those the machine can reach in rootless mode, where somebody
    has to listen for the task; the other modes know no such list.
    """

    id: str
    containers: tuple[Container, ...]
    volumes: Mapping[str, Path | None] = field(default_factory=dict)
    memory_mib: int = 512
    groups: tuple[str, ...] = ()
    hostname: str = ""
    ports: tuple[int, ...] = (AGENT_PORT,)


@dataclass(frozen=True, slots=True)
class Rule:
    """An ingress rule: `source` is a group or an IPv4 range, `protocol` tcp, udp, icmp or -1 (all)."""

    source: str
    target: str
    port_from: int = 0
    port_to: int = 65535
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Started:
    """A container's program runs."""

    task: str
    container: str
    at: float


@dataclass(frozen=True, slots=True)
class Exited:
    """A container ended, or could not start: then `error` says why and `code` is 125, 126 or 127."""

    task: str
    container: str
    code: int
    oom: bool
    error: str
    at: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """All containers have ended and the task's place is gone. `error` is set if it never got a place."""

    task: str
    error: str
    at: float


@dataclass(frozen=True, slots=True)
class Warned:
    """Something is not as it was asked for; the text says what."""

    text: str
    at: float


Event = Started | Exited | Stopped | Warned


def check(task: Task) -> None:
    """Refuse what cannot be run: raises `InvalidParameter`, or `Unimplemented` for health conditions."""
    names = [container.name for container in task.containers]
    for name in (task.id, *names, *task.volumes):
        if not _NAME.fullmatch(name):
            raise InvalidParameter(f"{name!r} cannot be a task's, container's or volume's name here")
    if not names or len(set(names)) != len(names):
        raise InvalidParameter(f"task {task.id} needs containers, each with a name of its own")
    for container in task.containers:
        _check_container(task, container)
    _refuse_circles(task)


def _check_container(task: Task, container: Container) -> None:
    if not container.argv:
        raise InvalidParameter(f"container {container.name} has neither entrypoint nor command")
    for mount in container.mounts:
        if mount.volume not in task.volumes or not mount.target.startswith("/"):
            raise InvalidParameter(f"container {container.name}: no volume {mount.volume} for {mount.target}")
    for other, condition in container.depends_on:
        if other == container.name or other not in {each.name for each in task.containers}:
            raise InvalidParameter(f"container {container.name} depends on {other}, which is not there")
        if condition is Condition.HEALTHY:
            raise Unimplemented("dependsOn HEALTHY is not built: the sandbox runs no health checks")


def _refuse_circles(task: Task) -> None:
    waiting = {container.name: {other for other, _ in container.depends_on} for container in task.containers}
    while free := [name for name, others in waiting.items() if not others & waiting.keys()]:
        for name in free:
            del waiting[name]
    if waiting:
        raise InvalidParameter(f"containers wait for each other in a circle: {', '.join(sorted(waiting))}")


def task_to_wire(task: Task) -> dict[str, Any]:
    """The JSON form of a task."""
    return {
        "id": task.id,
        "containers": [_container_to_wire(container) for container in task.containers],
        "volumes": {name: str(path) if path else None for name, path in task.volumes.items()},
        "memory_mib": task.memory_mib,
        "groups": task.groups,
        "hostname": task.hostname,
        "ports": task.ports,
    }


def _container_to_wire(container: Container) -> dict[str, Any]:
    return {
        "name": container.name,
        "layers": container.layers,
        "argv": container.argv,
        "env": dict(container.env),
        "cwd": container.cwd,
        "user": container.user,
        "mounts": [[mount.volume, mount.target, mount.readonly] for mount in container.mounts],
        "depends_on": container.depends_on,
        "essential": container.essential,
        "readonly_root": container.readonly_root,
        "stop_seconds": container.stop_seconds,
        "ulimits": [[limit.name, limit.soft, limit.hard] for limit in container.ulimits],
    }


def task_from_wire(data: Mapping[str, Any]) -> Task:
    """The task behind its JSON form."""
    return Task(
        id=data["id"],
        containers=tuple(_container_from_wire(item) for item in data["containers"]),
        volumes={name: Path(path) if path else None for name, path in data["volumes"].items()},
        memory_mib=data["memory_mib"],
        groups=tuple(data["groups"]),
        hostname=data["hostname"],
        ports=tuple(data["ports"]),
    )


def _container_from_wire(data: Mapping[str, Any]) -> Container:
    return Container(
        name=data["name"],
        layers=HOST if data["layers"] == HOST else tuple(data["layers"]),
        argv=tuple(data["argv"]),
        env=data["env"],
        cwd=data["cwd"],
        user=data["user"],
        mounts=tuple(Mount(*item) for item in data["mounts"]),
        depends_on=tuple((other, Condition(condition)) for other, condition in data["depends_on"]),
        essential=data["essential"],
        readonly_root=data["readonly_root"],
        stop_seconds=data["stop_seconds"],
        ulimits=tuple(Ulimit(*item) for item in data["ulimits"]),
    )
