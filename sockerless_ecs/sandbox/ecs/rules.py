"""What a task definition must be for ECS to register it on Fargate."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sockerless_ecs.sandbox.ecs import sizes
from sockerless_ecs.sandbox.wire.call import AwsError

_MOST_CONTAINERS = 10
_MOST_BYTES = 65536
_LONGEST_STOP_SECONDS = 120
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+|[\w+=,.@/-]+")
_ECR = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/")
_SECRET = re.compile(r"(?:arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:)?[A-Za-z0-9/_+=.@-]{1,512}")
_NOT_WITH_AWSVPC = ("links", "hostname", "dnsServers", "dnsSearchDomains", "extraHosts")
_DRIVERS = ("awslogs", "splunk", "awsfirelens")
_AWSLOGS = frozenset(
    {
        "awslogs-create-group",
        "awslogs-datetime-format",
        "awslogs-group",
        "awslogs-multiline-pattern",
        "awslogs-region",
        "awslogs-stream-prefix",
        "max-buffer-size",
        "mode",
    }
)


def check_definition(request: Mapping[str, Any]) -> None:
    """Raises the `ClientException` with which ECS refuses a definition."""
    length = len(json.dumps(request, separators=(",", ":")).encode())
    if length > _MOST_BYTES:
        raise _refusal(f"Actual length: '{length}'. Max allowed length is '{_MOST_BYTES}' bytes.")
    if not _NAME.fullmatch(request["family"]):
        raise _refusal("Family contains invalid characters.")
    containers = request["containerDefinitions"]
    if not containers:
        raise _refusal("Container list cannot be empty.")
    if len(containers) > _MOST_CONTAINERS:
        raise _refusal(f"The maximum number of containers in a task definition is {_MOST_CONTAINERS}.")
    if "FARGATE" in request.get("requiresCompatibilities", ()):
        _check_fargate(request)
    for key in ("executionRoleArn", "taskRoleArn"):
        if request.get(key) and not _ROLE.fullmatch(request[key]):
            raise _refusal("Role is not valid")
    _check_volumes(request)
    volumes = {volume.get("name") for volume in request.get("volumes", ())}
    for container in containers:
        _check_container(container, request, volumes)
    _check_together(containers)


def _check_fargate(request: Mapping[str, Any]) -> None:
    if request.get("networkMode") != "awsvpc":
        raise _refusal("Fargate only supports network mode 'awsvpc'.")
    for key in ("cpu", "memory"):
        if not request.get(key):
            raise _refusal(f"Fargate requires that '{key}' be defined at the task level.")
    check_size(request["cpu"], request["memory"], "ClientException")
    if request.get("ipcMode"):
        raise _refusal("Fargate does not support 'ipcMode'.")
    if request.get("pidMode", "task") != "task":
        raise _refusal("Fargate only supports 'pidMode' of task.")
    if request.get("placementConstraints"):
        raise _refusal("Fargate does not support placement constraints.")
    storage = request.get("ephemeralStorage")
    if storage and storage["sizeInGiB"] not in sizes.STORAGE_GIB:
        raise _refusal("Invalid setting for ephemeral storage: the size must be between 21 and 200 GiB.")


def check_size(cpu: str, memory: str, code: str) -> tuple[int, int]:
    """CPU units and MiB of a size that Fargate has; raises `code` otherwise."""
    units, mib = sizes.cpu_units(cpu), sizes.memory_mib(memory)
    if units is None:
        raise AwsError(code, "Invalid 'cpu' setting for task.")
    if mib is None:
        raise AwsError(code, "Invalid 'memory' setting for task.")
    if not sizes.exists(units, mib):
        raise AwsError(
            code,
            f"No Fargate configuration exists for given values: {units} CPU, {mib} memory. "
            "See the Amazon ECS documentation for the valid values.",
        )
    return units, mib


def _check_volumes(request: Mapping[str, Any]) -> None:
    seen: set[str] = set()
    for volume in request.get("volumes", ()):
        name = volume.get("name") or ""
        if not _NAME.fullmatch(name):
            raise _refusal("Volume name contains invalid characters.")
        if name in seen:
            raise _refusal(f"There are multiple volumes with the name '{name}'.")
        seen.add(name)
        if (volume.get("host") or {}).get("sourcePath"):
            raise _refusal("host.sourcePath should not be set for volumes in Fargate.")
        if volume.get("dockerVolumeConfiguration"):
            raise _refusal("Fargate does not support Docker volumes.")


def _check_container(container: Mapping[str, Any], request: Mapping[str, Any], volumes: set[Any]) -> None:
    _check_name_and_image(container, request)
    for key in _NOT_WITH_AWSVPC:
        if container.get(key):
            raise _refusal(f"The '{key}' parameter is not supported when networkMode=awsvpc.")
    if container.get("privileged"):
        raise _refusal("Fargate does not support privileged containers.")
    if container.get("stopTimeout", 0) not in range(_LONGEST_STOP_SECONDS + 1):
        raise _refusal(f"Fargate supports stopTimeout values between 0 and {_LONGEST_STOP_SECONDS} seconds.")
    if any(limit["name"] != "nofile" for limit in container.get("ulimits", ())):
        raise _refusal("Fargate only supports the nofile ulimit.")
    _check_places(container, volumes)
    _check_linux(container.get("linuxParameters") or {})
    _check_health(container.get("healthCheck"))
    _check_logging(container.get("logConfiguration"), request)


def _check_places(container: Mapping[str, Any], volumes: set[Any]) -> None:
    for mount in container.get("mountPoints", ()):
        if mount.get("sourceVolume") not in volumes:
            raise _refusal(f"Unknown volume '{mount.get('sourceVolume')}'.")
        if not (mount.get("containerPath") or "").startswith("/"):
            raise _refusal("MountPoint.containerPath must be an absolute path.")
    for mapping in container.get("portMappings", ()):
        if mapping.get("hostPort", mapping.get("containerPort")) not in (0, mapping.get("containerPort")):
            raise _refusal(
                "When networkMode=awsvpc, the host ports and container ports in port mappings must match."
            )


def _check_name_and_image(container: Mapping[str, Any], request: Mapping[str, Any]) -> None:
    name, image = container.get("name") or "", container.get("image") or ""
    if not name:
        raise _refusal("Container.name should not be null or empty.")
    if not _NAME.fullmatch(name):
        raise _refusal("Container name contains invalid characters.")
    if not image:
        raise _refusal("Container.image should not be null or empty.")
    if re.search(r"\s", image):
        raise _refusal("Container.image contains invalid characters.")
    if _ECR.match(image) and not request.get("executionRoleArn"):
        raise _refusal("Fargate requires task definition to have execution role ARN to support ECR images.")
    credentials = container.get("repositoryCredentials")
    if credentials is None:
        return
    if not _SECRET.fullmatch(credentials["credentialsParameter"]):
        raise _refusal("Container.repositoryCredentials.credentialsParameter is not a secret's ARN or name.")
    if not request.get("executionRoleArn"):
        raise _refusal(
            "Fargate requires task definition to have execution role ARN to support repository credentials."
        )


def _check_linux(parameters: Mapping[str, Any]) -> None:
    for key in ("devices", "sharedMemorySize", "maxSwap", "swappiness"):
        if parameters.get(key):
            raise _refusal(f"Fargate does not support the '{key}' linux parameter.")
    added = (parameters.get("capabilities") or {}).get("add", ())
    if any(capability != "SYS_PTRACE" for capability in added):
        raise _refusal("Fargate only allows the SYS_PTRACE capability to be added.")


def _check_health(check: Mapping[str, Any] | None) -> None:
    if check is None:
        return
    limits = {"interval": (5, 300), "timeout": (2, 60), "retries": (1, 10), "startPeriod": (0, 300)}
    for key, (least, most) in limits.items():
        if not least <= check.get(key, least) <= most:
            raise _refusal(f"HealthCheck {key} must be between {least} and {most}.")
    if not check["command"]:
        raise _refusal("HealthCheck command must not be empty.")


def _check_logging(logging: Mapping[str, Any] | None, request: Mapping[str, Any]) -> None:
    if logging is None:
        return
    driver = logging["logDriver"]
    if driver not in _DRIVERS:
        raise _refusal(f"Fargate only supports the log drivers {', '.join(_DRIVERS)}.")
    if driver != "awslogs":
        return
    options = logging.get("options") or {}
    missing = {"awslogs-group", "awslogs-region", "awslogs-stream-prefix"} - options.keys()
    if missing:
        raise _refusal(f"Log driver awslogs requires options: {', '.join(sorted(missing))}.")
    if unknown := options.keys() - _AWSLOGS:
        raise _refusal(f"Log driver awslogs disallows options: {', '.join(sorted(unknown))}.")
    if options.get("mode", "blocking") not in ("blocking", "non-blocking"):
        raise _refusal("Log driver option 'mode' must be blocking or non-blocking.")
    if not request.get("executionRoleArn"):
        raise _refusal(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs."
        )


def _check_together(containers: Sequence[Mapping[str, Any]]) -> None:
    """What containers must be for one another: names, dependencies, an essential one."""
    essential = {container["name"]: container.get("essential", True) for container in containers}
    if len(essential) < len(containers):
        raise _refusal("Container names must be unique within a task definition.")
    if not any(essential.values()):
        raise _refusal("Invalid 'essential' setting: at least one container must be essential.")
    waits: dict[str, set[str]] = {}
    for container in containers:
        name = container["name"]
        waits[name] = {dependency["containerName"] for dependency in container.get("dependsOn", ())}
        for dependency in container.get("dependsOn", ()):
            other, condition = dependency["containerName"], dependency["condition"]
            if other not in essential or other == name:
                raise _refusal(
                    f"Container '{name}' depends on '{other}', which is not another container of the task."
                )
            if condition in ("SUCCESS", "COMPLETE") and essential[other]:
                raise _refusal(f"Container '{other}' is essential: nothing can depend on its {condition}.")
    while free := [name for name, others in waits.items() if not others & waits.keys()]:
        for name in free:
            del waits[name]
    if waits:
        raise _refusal("Circular dependencies between containers are not allowed.")


def _refusal(message: str) -> AwsError:
    return AwsError("ClientException", message)
