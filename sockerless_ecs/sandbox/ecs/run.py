"""RunTask: from a request to tasks, or to AWS's refusal of it."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from sockerless_ecs.sandbox.ecs import rules, sizes
from sockerless_ecs.sandbox.ecs.definitions import Definition, Definitions
from sockerless_ecs.sandbox.ecs.table import Table
from sockerless_ecs.sandbox.ecs.tags import bounded, tag_map
from sockerless_ecs.sandbox.ecs.task import ContainerState, Placement, Task
from sockerless_ecs.sandbox.wire.call import AwsError

_MOST_OVERRIDES = 8192
_MOST_TASKS = 10
_MOST_SUBNETS, _MOST_GROUPS = 16, 5
_FREE_STORAGE_GIB = 20
_LONGEST_TOKEN = 64
_STARTED_BY = re.compile(r"[A-Za-z0-9/_-]{0,128}")
_PLATFORMS = {"LATEST": "1.4.0", "1.4.0": "1.4.0", "1.3.0": "1.3.0"}


class Network(Protocol):
    """What EC2 knows that RunTask asks."""

    def zone_of(self, subnet: str) -> str | None:
        """The availability zone of a subnet that exists."""
        ...

    def group_exists(self, group: str) -> bool:
        """Whether there is such a security group."""
        ...

    def default_group(self) -> str:
        """The group of tasks that name none."""
        ...


class Runs:
    """Makes tasks of RunTask requests and replays those whose client token was seen."""

    def __init__(
        self, table: Table, definitions: Definitions, network: Network, begin: Callable[[Task], None]
    ) -> None:
        self._table = table
        self._definitions = definitions
        self._network = network
        self._begin = begin
        self._tokens: dict[tuple[str, str], tuple[str, list[Task]]] = {}
        self._lock = threading.Lock()

    def run(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """RunTask; the tasks are begun when it returns."""
        cluster = self._table.cluster(params.get("cluster"))
        token = params.get("clientToken") or ""
        if len(token) > _LONGEST_TOKEN or not token.isascii() or (token and not token.isprintable()):
            raise _invalid("clientToken must be at most 64 printable ASCII characters.")
        with self._lock:
            fingerprint = _fingerprint(params)
            known = self._tokens.get((cluster, token)) if token else None
            if known is not None:
                return _replay(known, fingerprint)
            tasks = self._make(cluster, params)
            for task in tasks:
                self._table.add(task)
            if token:
                self._tokens[cluster, token] = (fingerprint, tasks)
        answer = {"tasks": [task.picture() for task in tasks], "failures": []}
        for task in tasks:
            self._begin(task)
        return answer

    def _make(self, cluster: str, params: Mapping[str, Any]) -> list[Task]:
        definition = self._definitions.find(params["taskDefinition"])
        if definition is None:
            raise AwsError("ClientException", "TaskDefinition not found.")
        if not definition.active:
            raise AwsError("ClientException", "TaskDefinition is inactive")
        count = params.get("count", 1)
        if count not in range(1, _MOST_TASKS + 1):
            raise _invalid(f"Count must be between 1 and {_MOST_TASKS}.")
        if not _STARTED_BY.fullmatch(params.get("startedBy") or ""):
            raise _invalid(
                "startedBy must be at most 128 letters, numbers, hyphens, slashes and underscores."
            )
        overrides = _overrides(params.get("overrides") or {}, definition)
        tags = tag_map(params.get("tags", ()))
        if params.get("propagateTags") == "TASK_DEFINITION":
            tags = bounded(definition.tags | tags)
        placement = self._place(cluster, params, overrides, definition)
        return [self._task(cluster, definition, placement, overrides, tags) for _ in range(count)]

    def _place(
        self, cluster: str, params: Mapping[str, Any], overrides: Mapping[str, Any], definition: Definition
    ) -> Placement:
        provider = _provider(params)
        platform = _PLATFORMS.get(params.get("platformVersion") or "LATEST")
        if platform is None:
            raise AwsError("PlatformUnknownException", "The specified platform does not exist.")
        subnets, groups = self._interfaces(params)
        content = definition.content
        if "FARGATE" not in content["compatibilities"]:
            raise _invalid("Task definition does not support launch_type FARGATE.")
        cpu, memory = rules.check_size(
            overrides.get("cpu") or content["cpu"],
            overrides.get("memory") or content["memory"],
            "InvalidParameterException",
        )
        storage = overrides.get("ephemeralStorage") or content.get("ephemeralStorage") or {}
        size = storage.get("sizeInGiB", _FREE_STORAGE_GIB)
        if storage and size not in sizes.STORAGE_GIB:
            raise _invalid("Invalid setting for ephemeral storage: the size must be between 21 and 200 GiB.")
        subnet = subnets[secrets.randbelow(len(subnets))]
        return Placement(
            cluster=cluster,
            cluster_arn=self._table.cluster_arn(cluster),
            region=self._table.region,
            subnet=subnet,
            zone=self._network.zone_of(subnet) or "",
            groups=tuple(groups),
            cpu_units=cpu,
            memory_mib=memory,
            storage_gib=size,
            platform=platform,
            capacity_provider=provider,
            started_by=params.get("startedBy") or "",
            group=params.get("group") or f"family:{definition.family}",
            exec_enabled=bool(params.get("enableExecuteCommand")),
        )

    def _interfaces(self, params: Mapping[str, Any]) -> tuple[Sequence[str], Sequence[str]]:
        vpc = (params.get("networkConfiguration") or {}).get("awsvpcConfiguration")
        if vpc is None:
            raise _invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        subnets, groups = vpc["subnets"], vpc.get("securityGroups") or [self._network.default_group()]
        if not subnets:
            raise _invalid("subnets can not be empty.")
        if len(subnets) > _MOST_SUBNETS:
            raise _invalid(f"subnets can have at most {_MOST_SUBNETS} items.")
        if len(groups) > _MOST_GROUPS:
            raise _invalid(f"securityGroups can have at most {_MOST_GROUPS} items.")
        for subnet in subnets:
            if self._network.zone_of(subnet) is None:
                raise _invalid(
                    f"Error retrieving subnet information for [{subnet}]: The subnet ID '{subnet}' does not "
                    "exist (ErrorCode: InvalidSubnetID.NotFound)"
                )
        for group in groups:
            if not self._network.group_exists(group):
                raise _invalid(
                    f"Error retrieving security group information for [{group}]: The security group "
                    f"'{group}' does not exist (ErrorCode: InvalidGroup.NotFound)"
                )
        return subnets, groups

    def _task(
        self,
        cluster: str,
        definition: Definition,
        placement: Placement,
        overrides: dict[str, Any],
        tags: dict[str, str],
    ) -> Task:
        task_id = secrets.token_hex(16)
        arn = self._table.task_arn(cluster, task_id)
        prefix = arn.replace(":task/", ":container/", 1)
        changed = {item.get("name"): item for item in overrides.get("containerOverrides", ())}
        containers = [
            ContainerState(
                name=container["name"],
                arn=f"{prefix}/{uuid.uuid4()}",
                image=container["image"],
                cpu=changed.get(container["name"], {}).get("cpu", container["cpu"]),
                memory=changed.get(container["name"], {}).get("memory", container.get("memory")),
                essential=container["essential"],
                runtime_id=f"{task_id}-{secrets.randbelow(10**10):010d}",
            )
            for container in definition.containers
        ]
        return Task(arn, definition, placement, overrides, containers, dict(tags))


def _replay(known: tuple[str, list[Task]], fingerprint: str) -> dict[str, Any]:
    before, tasks = known
    if before != fingerprint:
        raise AwsError(
            "ConflictException",
            "The client token was used before with other parameters.",
            resourceIds=[task.arn for task in tasks],
        )
    return {"tasks": [task.picture() for task in tasks], "failures": []}


def _fingerprint(params: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()


def _overrides(overrides: Mapping[str, Any], definition: Definition) -> dict[str, Any]:
    if len(json.dumps(overrides, separators=(",", ":"))) > _MOST_OVERRIDES:
        raise _invalid(f"Container Overrides length must be at most {_MOST_OVERRIDES}")
    names = {container["name"] for container in definition.containers}
    for override in overrides.get("containerOverrides", ()):
        name = override.get("name")
        if name not in names:
            raise _invalid(f"Override for container named {name} is not a container in the TaskDefinition.")
        for variable in override.get("environment", ()):
            if not re.fullmatch(r"[^=\0]+", variable.get("name") or ""):
                raise _invalid("Environment variable name is not valid.")
    return {"containerOverrides": [], "inferenceAcceleratorOverrides": [], **copy.deepcopy(dict(overrides))}


def _provider(params: Mapping[str, Any]) -> str:
    """The capacity provider; empty for a plain launch type."""
    strategy, launch_type = params.get("capacityProviderStrategy") or (), params.get("launchType")
    if strategy and launch_type:
        raise _invalid(
            "Specifying both a launch type and capacity provider strategy is not supported. "
            "Remove one and try again."
        )
    if not strategy:
        if launch_type != "FARGATE":
            raise _invalid("No Container Instances were found in your cluster.")
        return ""
    for item in strategy:
        if item["capacityProvider"] not in ("FARGATE", "FARGATE_SPOT"):
            raise _invalid(
                "The specified capacity provider was not found. Specify a valid name and try again."
            )
    weights = [item.get("weight", 0) or item.get("base", 0) for item in strategy]
    if not any(weights) and len(strategy) > 1:
        raise _invalid("At least one capacity provider of the strategy must have a weight above zero.")
    return str(strategy[weights.index(max(weights))]["capacityProvider"])


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
