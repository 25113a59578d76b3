"""A task as ECS shows it: one mutable record whose every change is a new version."""

from __future__ import annotations

import secrets
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sockerless_ecs.sandbox.ecs.definitions import Definition
from sockerless_ecs.sandbox.ecs.tags import tag_list

_REMEMBERED = 12


@dataclass(slots=True)
class ContainerState:
    """One container of a task."""

    name: str
    arn: str
    image: str
    cpu: int
    memory: int | None
    essential: bool
    runtime_id: str
    status: str = "PENDING"
    exit_code: int | None = None
    reason: str = ""
    digest: str = ""
    health: str = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where RunTask put a task, and how big it is."""

    cluster: str
    cluster_arn: str
    region: str
    subnet: str
    zone: str
    groups: tuple[str, ...]
    cpu_units: int
    memory_mib: int
    storage_gib: int
    platform: str
    capacity_provider: str
    started_by: str
    group: str
    exec_enabled: bool


@dataclass(slots=True)
class Task:
    """A task. Whoever changes it holds the table's lock and ends with `changed()`."""

    arn: str
    definition: Definition
    placement: Placement
    overrides: dict[str, Any]
    containers: list[ContainerState]
    tags: dict[str, str]
    created_at: float = field(default_factory=time.time)
    status: str = "PROVISIONING"
    desired: str = "RUNNING"
    version: int = 0
    address: str = ""
    stop_code: str = ""
    stopped_reason: str = ""
    times: dict[str, float] = field(default_factory=dict)
    placed: bool = False
    """The runner has it: it must be stopped there."""
    attachment: str = field(default_factory=lambda: str(uuid.uuid4()))
    interface: str = field(default_factory=lambda: f"eni-0{secrets.token_hex(8)}")
    mac: str = field(
        default_factory=lambda: ":".join(["0a", *(f"{byte:02x}" for byte in secrets.token_bytes(5))])
    )
    _history: deque[tuple[float, bytes]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def stopped(self) -> bool:
        """Its life is over."""
        return self.status == "STOPPED"

    @property
    def ending(self) -> bool:
        """It is asked, or has decided, to stop."""
        return self.desired == "STOPPED"

    def container(self, name: str) -> ContainerState | None:
        """The container of that name."""
        return next((container for container in self.containers if container.name == name), None)

    def override(self, name: str) -> Mapping[str, Any]:
        """What RunTask overrides in a container."""
        found: Mapping[str, Any] = next(
            (item for item in self.overrides.get("containerOverrides", ()) if item.get("name") == name), {}
        )
        return found

    def changed(self) -> None:
        """Publish the next version."""
        self.version += 1
        self._history.append((time.monotonic(), msgspec.json.encode(self._picture())))

    def snapshot(self, *, lag_seconds: float = 0, with_tags: bool = False) -> msgspec.Raw | None:
        """The task in JSON as it was `lag_seconds` ago; None if it was not there yet."""
        if with_tags and not lag_seconds:
            return msgspec.Raw(msgspec.json.encode(self._picture() | {"tags": tag_list(self.tags)}))
        newest_visible = time.monotonic() - lag_seconds
        for moment, encoded in reversed(self._history):
            if moment <= newest_visible:
                return msgspec.Raw(encoded)
        return None

    def picture(self) -> dict[str, Any]:
        """The task in ECS's own words, as RunTask and StopTask answer it."""
        return self._picture() | {"tags": tag_list(self.tags)}

    def _picture(self) -> dict[str, Any]:
        where = self.placement
        picture: dict[str, Any] = {
            "attachments": [self._attachment()],
            "attributes": [{"name": "ecs.cpu-architecture", "value": self.architecture.lower()}],
            "availabilityZone": where.zone,
            "clusterArn": where.cluster_arn,
            "connectivity": "CONNECTED",
            "containers": [self._container(container) for container in self.containers],
            "cpu": str(where.cpu_units),
            "createdAt": self.created_at,
            "desiredStatus": self.desired,
            "enableExecuteCommand": where.exec_enabled,
            "ephemeralStorage": {"sizeInGiB": where.storage_gib},
            "fargateEphemeralStorage": {"sizeInGiB": where.storage_gib},
            "group": where.group,
            "healthStatus": "UNKNOWN",
            "lastStatus": self.status,
            "launchType": "FARGATE",
            "memory": str(where.memory_mib),
            "overrides": self.overrides,
            "platformFamily": "Linux",
            "platformVersion": where.platform,
            "tags": [],
            "taskArn": self.arn,
            "taskDefinitionArn": self.definition.arn,
            "version": self.version,
            **self.times,
        }
        optional = {
            "capacityProviderName": where.capacity_provider,
            "startedBy": where.started_by,
            "stopCode": self.stop_code,
            "stoppedReason": self.stopped_reason,
        }
        return picture | {key: value for key, value in optional.items() if value}

    @property
    def architecture(self) -> str:
        """`X86_64` or `ARM64`."""
        platform = self.definition.content.get("runtimePlatform") or {}
        return str(platform.get("cpuArchitecture") or "X86_64")

    def _attachment(self) -> dict[str, Any]:
        details = [{"name": "subnetId", "value": self.placement.subnet}]
        if self.status == "PROVISIONING":
            status = "PRECREATED"
        elif not self.address:
            status = "DELETED" if self.stopped else "ATTACHING"
        else:
            status = "DELETED" if self.stopped else "ATTACHED"
            details += [
                {"name": "networkInterfaceId", "value": self.interface},
                {"name": "macAddress", "value": self.mac},
                {"name": "privateDnsName", "value": f"ip-{self.address.replace('.', '-')}.ec2.internal"},
                {"name": "privateIPv4Address", "value": self.address},
            ]
        return {
            "id": self.attachment,
            "type": "ElasticNetworkInterface",
            "status": status,
            "details": details,
        }

    def _container(self, container: ContainerState) -> dict[str, Any]:
        interfaces = (
            [{"attachmentId": self.attachment, "privateIpv4Address": self.address}] if self.address else []
        )
        shown: dict[str, Any] = {
            "containerArn": container.arn,
            "taskArn": self.arn,
            "name": container.name,
            "image": container.image,
            "lastStatus": container.status,
            "networkBindings": [],
            "networkInterfaces": interfaces,
            "healthStatus": container.health,
            "cpu": str(container.cpu),
        }
        optional = {
            "memory": str(container.memory) if container.memory else "",
            "exitCode": container.exit_code,
            "reason": container.reason or None,
            "imageDigest": container.digest or None,
            "runtimeId": container.runtime_id if container.status != "PENDING" else None,
        }
        return shown | {key: value for key, value in optional.items() if value not in (None, "")}
