"""ECS's shapes: our values as RegisterTaskDefinition and RunTask want them, its tasks as our snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sockerless_ecs.aws.tags import acceptable
from sockerless_ecs.model.task import ContainerSnapshot, TaskSnapshot
from sockerless_ecs.model.taskdef import (
    AGENT_FOLDER,
    AGENT_PATH,
    AGENT_VOLUME,
    INIT_CONTAINER,
    LAUNCH_VARIABLE,
    LOG_STREAM_PREFIX,
    MAIN_CONTAINER,
    STOP_TIMEOUT_SECONDS,
    Program,
    RunTaskRequest,
    TaskDefinition,
)

_AGENT_PROGRAM = "/sockerless-agent"
"""The agent image holds one file, which copies itself."""


def definition_params(definition: TaskDefinition, tags: Mapping[str, str]) -> dict[str, Any]:
    """RegisterTaskDefinition's parameters."""
    plain = definition.program is not None
    params = {
        "family": definition.family,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": str(definition.cpu_units),
        "memory": str(definition.memory_mib),
        "runtimePlatform": {
            "cpuArchitecture": definition.architecture,
            "operatingSystemFamily": "LINUX",
        },
        "executionRoleArn": definition.execution_role_arn,
        "volumes": [] if plain else [{"name": AGENT_VOLUME}],
        "containerDefinitions": [_plain_container(definition, definition.program)]
        if definition.program
        else [_init_container(definition), _main_container(definition)],
    }
    if definition.task_role_arn:
        params["taskRoleArn"] = definition.task_role_arn
    return params | _tags(tags)


def run_params(request: RunTaskRequest) -> dict[str, Any]:
    """RunTask's parameters; the same request always gives the same ones, as its client token demands."""
    overrides: dict[str, Any] = {
        "cpu": str(request.cpu_units),
        "memory": str(request.memory_mib),
        "containerOverrides": [
            {"name": MAIN_CONTAINER, "environment": _environment(request.environment)},
        ],
    }
    if request.storage_gib is not None:
        overrides["ephemeralStorage"] = {"sizeInGiB": request.storage_gib}
    params = {
        "cluster": request.cluster,
        "taskDefinition": request.definition_arn,
        "count": 1,
        "clientToken": request.client_token,
        "startedBy": request.started_by,
        "capacityProviderStrategy": [{"capacityProvider": request.capacity_provider, "weight": 1}],
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(request.subnets),
                "securityGroups": list(request.security_groups),
                "assignPublicIp": "ENABLED" if request.assign_public_ip else "DISABLED",
            }
        },
        "overrides": overrides,
        "propagateTags": "NONE",
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
    }
    if request.platform_version:
        params["platformVersion"] = request.platform_version
    return params | _tags(request.tags)


def snapshot(task: Mapping[str, Any]) -> TaskSnapshot:
    """A task as RunTask, DescribeTasks and StopTask give it."""
    return TaskSnapshot(
        arn=task["taskArn"],
        version=task.get("version", 0),
        last_status=task.get("lastStatus", ""),
        desired_status=task.get("desiredStatus", ""),
        address=_address(task),
        started_by=task.get("startedBy", ""),
        launch=_launch(task),
        definition_arn=task.get("taskDefinitionArn", ""),
        stop_code=task.get("stopCode", ""),
        stopped_reason=task.get("stoppedReason", ""),
        created_ns=_nanoseconds(task.get("createdAt")),
        containers=tuple(
            ContainerSnapshot(
                name=container.get("name", ""),
                last_status=container.get("lastStatus", ""),
                exit_code=container.get("exitCode"),
                reason=container.get("reason", ""),
                image_digest=container.get("imageDigest", ""),
            )
            for container in task.get("containers", ())
        ),
    )


def _init_container(definition: TaskDefinition) -> dict[str, Any]:
    return {
        "name": INIT_CONTAINER,
        "image": definition.agent_image,
        "essential": False,
        "entryPoint": [_AGENT_PROGRAM],
        "command": ["install", AGENT_PATH],
        "mountPoints": [_mount()],
        "logConfiguration": _logs(definition),
    }


def _main_container(definition: TaskDefinition) -> dict[str, Any]:
    return {
        "name": MAIN_CONTAINER,
        **_image(definition),
        "essential": True,
        "entryPoint": [AGENT_PATH],
        "command": [],
        "user": "0",
        "environment": _environment(definition.agent_environment),
        "mountPoints": [_mount()],
        "dependsOn": [{"containerName": INIT_CONTAINER, "condition": "SUCCESS"}],
        "stopTimeout": STOP_TIMEOUT_SECONDS,
        "readonlyRootFilesystem": definition.readonly_root,
        "linuxParameters": {"initProcessEnabled": False},
        "logConfiguration": _logs(definition),
    }


def _plain_container(definition: TaskDefinition, program: Program) -> dict[str, Any]:
    """The user's own process, as ECS starts it."""
    linux: dict[str, Any] = {"initProcessEnabled": program.init}
    if program.cap_drop:
        linux["capabilities"] = {"drop": list(program.cap_drop)}
    container: dict[str, Any] = {
        "name": MAIN_CONTAINER,
        **_image(definition),
        "essential": True,
        "entryPoint": list(program.entrypoint),
        "command": list(program.command),
        "environment": _environment(dict(program.environment)),
        "stopTimeout": program.stop_seconds,
        "readonlyRootFilesystem": definition.readonly_root,
        "linuxParameters": linux,
        "logConfiguration": _logs(definition),
    }
    if program.user:
        container["user"] = program.user
    if program.working_dir:
        container["workingDirectory"] = program.working_dir
    if program.open_files is not None:
        soft, hard = program.open_files
        container["ulimits"] = [{"name": "nofile", "softLimit": soft, "hardLimit": hard}]
    return container


def _image(definition: TaskDefinition) -> dict[str, Any]:
    """The user's image, and how ECS logs in to its registry."""
    if not definition.repository_credentials:
        return {"image": definition.image}
    credentials = {"credentialsParameter": definition.repository_credentials}
    return {"image": definition.image, "repositoryCredentials": credentials}


def _mount() -> dict[str, Any]:
    return {"sourceVolume": AGENT_VOLUME, "containerPath": AGENT_FOLDER, "readOnly": False}


def _logs(definition: TaskDefinition) -> dict[str, Any]:
    options = {
        "awslogs-group": definition.log_group,
        "awslogs-region": definition.region,
        "awslogs-stream-prefix": LOG_STREAM_PREFIX,
        "mode": definition.log_mode,
    }
    return {"logDriver": "awslogs", "options": options}


def _environment(variables: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in sorted(variables.items())]


def _tags(tags: Mapping[str, str]) -> dict[str, Any]:
    fit = sorted(acceptable(tags).items())
    return {"tags": [{"key": key, "value": value} for key, value in fit]} if fit else {}


def _address(task: Mapping[str, Any]) -> str | None:
    # The attachment has it while the task is still PENDING, the containers only later.
    for attachment in task.get("attachments", ()):
        for detail in attachment.get("details", ()):
            if detail.get("name") == "privateIPv4Address" and detail.get("value"):
                return str(detail["value"])
    return None


def _launch(task: Mapping[str, Any]) -> str:
    for override in task.get("overrides", {}).get("containerOverrides", ()):
        for variable in override.get("environment", ()):
            if variable.get("name") == LAUNCH_VARIABLE:
                return str(variable.get("value", ""))
    return ""


def _nanoseconds(moment: datetime | None) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000 if moment else 0
