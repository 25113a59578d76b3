"""Where a container runs: the task definition (keyed by its content) and the RunTask request."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

INIT_CONTAINER = "sockerless-init"
"""The container that copies the agent into the task's volume."""
MAIN_CONTAINER = "main"
"""The container whose entrypoint is the agent."""
AGENT_VOLUME = "sockerless"
AGENT_FOLDER = "/.sockerless"
AGENT_PATH = f"{AGENT_FOLDER}/agent"
STOP_TIMEOUT_SECONDS = 120
"""The longest that Fargate allows between SIGTERM and SIGKILL; shorter ones are the agent's business."""
LOG_STREAM_PREFIX = "sockerless"
TOKEN_VARIABLE = "SOCKERLESS_AGENT_TOKEN"  # noqa: S105 - its name, not its value
LAUNCH_VARIABLE = "SOCKERLESS_LAUNCH"
"""Carries the client token in the override, so that a task can be matched to the request that made it."""
_BASE_CPU_UNITS, _BASE_MEMORY_MIB = 256, 512
_SHAPE = 1
"""Counts the changes of how a definition is rendered for ECS, so that an old one is never taken for new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What ECS itself runs where there is no agent: part of the definition, and readable in it."""

    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    user: str
    working_dir: str
    stop_seconds: int
    init: bool
    cap_drop: tuple[str, ...]
    open_files: tuple[int, int] | None
    """The soft and the hard limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition:
    """Only *where* to run. What to run is told to the agent, so one image needs one definition."""

    image: str
    agent_image: str
    architecture: str
    """`X86_64` or `ARM64`, as ECS spells it."""
    execution_role_arn: str
    task_role_arn: str
    log_group: str
    log_mode: str
    """`blocking`, or `non-blocking`: drop lines rather than hold the agent's copy up."""
    region: str
    client_key_sha256: str
    """The only public key whose owner the agent obeys."""
    agent_port: int
    start_timeout_seconds: int
    readonly_root: bool = False
    repository_credentials: str = ""
    """The ARN of the secret with which ECS logs in to the image's registry; empty = it needs none."""
    program: Program | None = None
    """Instead of the agent, for a container that does without."""
    shape: int = _SHAPE
    cpu_units: int = _BASE_CPU_UNITS
    memory_mib: int = _BASE_MEMORY_MIB
    """Cpu and memory that every RunTask overrides."""

    @property
    def hash(self) -> str:
        """32 hex digits of the SHA-256 of the content."""
        content = msgspec.to_builtins(self)
        if not self.repository_credentials:  # most have none, and are those of before there were any
            del content["repository_credentials"]
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()[:32]

    @property
    def family(self) -> str:
        """Its name in ECS: found again after a lost database."""
        return f"sockerless-{self.hash}"

    @property
    def agent_environment(self) -> Mapping[str, str]:
        """What every agent of this definition is told."""
        return {
            "SOCKERLESS_CLIENT_KEY_SHA256": self.client_key_sha256,
            "SOCKERLESS_LISTEN": f":{self.agent_port}",
            "SOCKERLESS_START_TIMEOUT_SECONDS": str(self.start_timeout_seconds),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTaskRequest:
    """One RunTask call, whole, so that it can be repeated to the letter (ConflictException otherwise)."""

    cluster: str
    definition_arn: str
    client_token: str
    started_by: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    assign_public_ip: bool
    capacity_provider: str
    platform_version: str
    cpu_units: int
    memory_mib: int
    storage_gib: int | None
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the main container: the agent's token."""
    tags: Mapping[str, str] = field(default_factory=dict)


def log_stream(task_arn: str) -> str:
    """The CloudWatch Logs stream that awslogs makes for the main container of a task."""
    return f"{LOG_STREAM_PREFIX}/{MAIN_CONTAINER}/{task_arn.rsplit('/', 1)[-1]}"
