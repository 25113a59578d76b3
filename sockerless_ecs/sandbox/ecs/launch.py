"""A task as ECS knows it → a task that the runner runs."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from sockerless_ecs.registry import Login
from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.place import Images, TaskRunner
from sockerless_ecs.sandbox.registry.resolve import ImageNotFound, ResolvedImage
from sockerless_ecs.sandbox.runner import spec

_ARCHITECTURES = {"X86_64": ("amd64", "x86_64"), "ARM64": ("arm64", "aarch64")}
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STOP_SECONDS = 30
_NO_LOGIN = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval "
    "failed: unable to get registry auth from asm: service call has been retried 1 time(s)"
)


class _Pair(msgspec.Struct):
    username: str
    password: str


class CannotStart(Exception):
    """Why a task, or one container of it, cannot be started, as ECS says it."""

    def __init__(self, reason: str, container: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.container = container


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every container is told about where it runs."""

    region: str
    metadata_url: str
    """Before `/v4/…`, as containers reach it."""
    volumes: Path
    """Folder in which EFS access points are folders."""


class Launcher:
    """Finds images, unpacks layers and hands tasks to the runner."""

    def __init__(
        self,
        runner: TaskRunner,
        images: Images,
        surroundings: Surroundings,
        secrets: Callable[[str], str | None],
    ) -> None:
        self._runner = runner
        self._images = images
        self._surroundings = surroundings
        self._secrets = secrets
        self._unpacked: dict[str, str] = {}

    def launch(self, task: Task, digests: dict[str, str]) -> str:
        """Start the task's containers and return its address; fills in the digests of their images.

        Raises:
            CannotStart: An image, its architecture or a setting does not allow it.
        """
        wanted, machine = _ARCHITECTURES[task.architecture]
        if machine != platform.machine():
            raise CannotStart(f"exec format error: this machine cannot run {task.architecture} tasks")
        containers = []
        for definition in task.definition.containers:
            image = self._pull(definition, wanted)
            digests[definition["name"]] = image.digest
            containers.append(self._container(task, definition, image))
        return self._runner.run(
            spec.Task(
                id=task.id,
                containers=tuple(containers),
                volumes={
                    volume["name"]: self._volume(volume) for volume in task.definition.content["volumes"]
                },
                memory_mib=task.placement.memory_mib,
                groups=task.placement.groups,
            )
        )

    def _pull(self, definition: Mapping[str, Any], architecture: str) -> ResolvedImage:
        login = self._login(definition)
        try:
            return self._images.resolve(definition["image"], architecture, login)
        except ImageNotFound as error:
            reason = f"CannotPullContainerError: pull image manifest has been retried 1 time(s): {error}"
            raise CannotStart(reason, definition["name"]) from error

    def _login(self, definition: Mapping[str, Any]) -> Login | None:
        """What `repositoryCredentials` leads to; a secret that is of no use ends the task."""
        secret = (definition.get("repositoryCredentials") or {}).get("credentialsParameter")
        if not secret:
            return None
        held = self._secrets(secret)
        reason = (
            f"asm fetching secret from the service for {secret}: ResourceNotFoundException: Secrets Manager "
            "can't find the specified secret."
        )
        if held is not None:
            try:
                pair = msgspec.json.decode(held, type=_Pair)
                return Login(username=pair.username, password=pair.password)
            except msgspec.MsgspecError:
                reason = "asm fetching username/password: AuthData is malformed, empty field"
        raise CannotStart(f"{_NO_LOGIN}: {reason}", definition["name"])

    def _layers(self, image: ResolvedImage) -> tuple[str, ...]:
        names = []
        for digest, archive, _ in image.layers:
            if digest not in self._unpacked:
                self._unpacked[digest] = self._runner.unpack(archive, digest)
            names.append(self._unpacked[digest])
        return tuple(names)

    def _container(self, task: Task, definition: Mapping[str, Any], image: ResolvedImage) -> spec.Container:
        name = definition["name"]
        override, config = task.override(name), image.config.get("config") or {}
        entrypoint = definition.get("entryPoint")
        command = override.get("command") or definition.get("command")
        if entrypoint is None:
            entrypoint = config.get("Entrypoint") or []
            command = command or config.get("Cmd") or []
        argv = (*entrypoint, *(command or ()))
        if not argv:
            raise CannotStart("CannotCreateContainerError: no command specified", name)
        return spec.Container(
            name=name,
            layers=spec.HOST if image.is_host else self._layers(image),
            argv=argv,
            env=self._environment(task, definition, override, config),
            cwd=definition.get("workingDirectory") or config.get("WorkingDir") or "/",
            user=definition.get("user") or config.get("User") or "0",
            mounts=tuple(
                spec.Mount(mount["sourceVolume"], mount["containerPath"], bool(mount.get("readOnly")))
                for mount in definition["mountPoints"]
            ),
            depends_on=tuple(
                (dependency["containerName"], spec.Condition(dependency["condition"]))
                for dependency in definition.get("dependsOn", ())
            ),
            essential=definition["essential"],
            readonly_root=bool(definition.get("readonlyRootFilesystem")),
            stop_seconds=definition.get("stopTimeout", _STOP_SECONDS),
            ulimits=tuple(
                spec.Ulimit(limit["name"], limit["softLimit"], limit["hardLimit"])
                for limit in definition.get("ulimits", ())
            ),
        )

    def _environment(
        self,
        task: Task,
        definition: Mapping[str, Any],
        override: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> dict[str, str]:
        """The image's, then Fargate's, then the definition's, then the override's."""
        container = task.container(definition["name"])
        runtime_id = container.runtime_id if container else ""
        role = task.overrides.get("taskRoleArn") or task.definition.content.get("taskRoleArn")
        credentials = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": f"/v2/credentials/{task.id}"} if role else {}
        return {
            "PATH": _DEFAULT_PATH,
            **dict(item.partition("=")[::2] for item in config.get("Env") or ()),
            **credentials,
            "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
            "AWS_REGION": self._surroundings.region,
            "AWS_DEFAULT_REGION": self._surroundings.region,
            "ECS_CONTAINER_METADATA_URI": f"{self._surroundings.metadata_url}/v3/{runtime_id}",
            "ECS_CONTAINER_METADATA_URI_V4": f"{self._surroundings.metadata_url}/v4/{runtime_id}",
            "ECS_AGENT_URI": f"{self._surroundings.metadata_url}/api/{runtime_id}",
            **_pairs(definition["environment"]),
            **_pairs(override.get("environment", ())),
        }

    def _volume(self, volume: Mapping[str, Any]) -> Path | None:
        """The folder of an EFS volume; None for the task's own."""
        efs = volume.get("efsVolumeConfiguration")
        if efs is None:
            return None
        point = (efs.get("authorizationConfig") or {}).get("accessPointId")
        system = self._surroundings.volumes / str(efs["fileSystemId"])
        folder = (
            system / str(point)
            if point
            else system / "root" / str(efs.get("rootDirectory") or "/").lstrip("/")
        )
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def _pairs(variables: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {variable["name"]: variable.get("value") or "" for variable in variables}
