"""What a container is: the configuration it was created with and the record the daemon keeps of it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.health import Health
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.taskdef import RunTaskRequest

ContainerId = NewType("ContainerId", str)
"""64 lower-case hex digits."""
RunId = NewType("RunId", str)
"""32 lower-case hex digits; one start of a container."""
TaskArn = NewType("TaskArn", str)


AGENT_LABEL = "sockerless.agent"
"""`off`: plain ECS without our agent, for images that insist on being PID 1."""


def is_agentless(labels: Mapping[str, str]) -> bool:
    """Whether these labels ask for no agent; raises InvalidParameter for what is neither on nor off."""
    value = labels.get(AGENT_LABEL, "").lower()
    if value not in ("", "on", "true", "1", "off", "false", "0"):
        raise InvalidParameter(f'label {AGENT_LABEL}: "{value}" is neither on nor off')
    return value in ("off", "false", "0")


def new_container_id() -> ContainerId:
    """A fresh random id, as Docker makes them."""
    return ContainerId(secrets.token_hex(32))


def new_run_id() -> RunId:
    """A fresh random run id."""
    return RunId(secrets.token_hex(16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """Docker's HealthcheckConfig; times in nanoseconds, 0 = inherit."""

    test: tuple[str, ...] = ()
    interval_ns: int = 0
    timeout_ns: int = 0
    start_period_ns: int = 0
    start_interval_ns: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerConfig:
    """Docker's container `Config`; after create, filled from the image where the request was silent."""

    image: str
    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None

    @property
    def variables(self) -> tuple[str, ...]:
        """What the process gets of `env`: the last of each name. A name alone only drops the image's."""
        last = {variable.partition("=")[0]: variable for variable in self.env if "=" in variable}
        return tuple(last.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Ulimit:
    """One resource limit, by Docker's name (`nofile`)."""

    name: str
    soft: int
    hard: int


HOST_GATEWAY = "host-gateway"
"""Docker's word for the address of the machine that it runs on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartPolicy:
    """`no`, `always`, `unless-stopped` or `on-failure` with its count."""

    name: str = "no"
    maximum_retry_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    """The part of Docker's `HostConfig` that is honoured; what is not never gets this far."""

    network_mode: str = "default"
    auto_remove: bool = False
    memory_bytes: int = 0
    nano_cpus: int = 0
    cap_drop: tuple[str, ...] = ()
    group_add: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    security_opt: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    readonly_rootfs: bool = False
    init: bool | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[tuple[str, str], ...]:
        """Name and address of each of `extra_hosts`; a task has no host whose gateway could be one."""
        pairs = (entry.partition("=" if "=" in entry else ":")[::2] for entry in self.extra_hosts)
        return tuple((name, address.strip("[]")) for name, address in pairs if address != HOST_GATEWAY)

    @property
    def dropped(self) -> tuple[str, ...]:
        """The capabilities of `cap_drop` in the kernel's names without their prefix; `ALL` is all."""
        return tuple(name.upper().removeprefix("CAP_") for name in self.cap_drop)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """A validated create; `warnings` are what the caller's shape could not honour and says so."""

    name: str | None
    config: ContainerConfig
    host: HostConfig = HostConfig()
    platform: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUpdate:
    """What `update` asks for; None = leave it."""

    restart_policy: RestartPolicy | None = None
    memory_bytes: int | None = None
    nano_cpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The Fargate task a container lives in: persisted before RunTask (`arn` None) and after each step."""

    request: RunTaskRequest
    agent_token: str
    requested_ns: int
    arn: TaskArn | None = None
    agent_address: str | None = None
    event_seq: int = 0
    """The last agent event that reached the store."""
    run_sent: bool = False
    """The current run may have reached the agent: from here on it is asked, never started twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """Everything the daemon knows of a container; replaced whole at every change."""

    id: ContainerId
    name: str
    created_ns: int
    config: ContainerConfig
    host: HostConfig
    image_id: str
    image_digest: str
    """What Fargate pulls: `sha256:…` of the platform's manifest."""
    image_pull: str
    """The reference by digest that goes into the task definition."""
    architecture: str
    task_definition_arn: str
    credentials_arn: str = ""
    """The secret with which Fargate logs in to the image's registry; empty = it needs none."""
    state: State = State.CREATED
    task: Task | None = None
    run_id: RunId | None = None
    error: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    started_ns: int = 0
    finished_ns: int = 0
    restart_count: int = 0
    """Restarts by the restart policy, since the last start that somebody asked for."""
    stopped_by_user: bool = False
    held: bool = False
    """It stands still, or is about to, for as long as its files are read: then it goes on by itself."""
    by_policy: bool = False
    """The restart policy, not a person, wants the start that is under way or comes next."""
    health: Health | None = None
    """Of the current run, where it has a health check."""
    exec_ids: tuple[str, ...] = ()
    """Execs that run now; they end with the daemon's memory."""

    @property
    def status(self) -> str:
        """What clients are told: a restart by the policy is `restarting` until its process runs."""
        restarted = self.state is State.STARTING and self.by_policy
        return State.RESTARTING.shown if restarted else self.state.shown

    @property
    def active(self) -> bool:
        """What Docker calls running: a process runs, or will again by the restart policy."""
        return self.state.active or (self.state is State.STARTING and self.by_policy)

    @property
    def agentless(self) -> bool:
        """Whether it runs without our agent: ECS starts its process, stops it and says how it ended."""
        return is_agentless(self.config.labels)

    @property
    def argv(self) -> tuple[str, ...]:
        """Entrypoint and command as one."""
        return (self.config.entrypoint or ()) + (self.config.cmd or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One start of a container: its task, its log stream and its times. A container's logs span its runs."""

    id: RunId
    container_id: ContainerId
    number: int
    task_arn: TaskArn
    log_stream: str
    started_ns: int = 0
    finished_ns: int = 0
    exit_code: int | None = None
    agentless: bool = False
    """Its log stream is the process's own output and nothing else."""
    lines: int | None = None
    """How many lines it wrote, once its output is known to be whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitStatus:
    """How a container ended: what `wait` answers."""

    code: int
    error: str | None = None
