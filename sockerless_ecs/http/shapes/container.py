"""Containers as Docker shows them."""

# ruff: noqa: RUF012 (msgspec copies empty defaults)

from __future__ import annotations

import msgspec

from sockerless_ecs.http.shapes.naming import Answer


class HealthcheckView(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """A health check; times in nanoseconds."""

    test: list[str]
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ConfigView(Answer, frozen=True, kw_only=True):
    """What it was created with, filled from the image."""

    hostname: str
    domainname: str
    user: str
    attach_stdin: bool
    attach_stdout: bool
    attach_stderr: bool
    exposed_ports: dict[str, dict[str, str]] | msgspec.UnsetType
    tty: bool
    open_stdin: bool
    stdin_once: bool
    env: list[str]
    cmd: list[str] | None
    image: str
    volumes: dict[str, dict[str, str]] | None
    working_dir: str
    entrypoint: list[str] | None
    labels: dict[str, str]
    on_build: None = None
    stop_signal: str | msgspec.UnsetType = msgspec.UNSET
    stop_timeout: int | msgspec.UnsetType = msgspec.UNSET
    healthcheck: HealthcheckView | msgspec.UnsetType = msgspec.UNSET


class StateView(Answer, frozen=True, kw_only=True):
    """How it is."""

    status: str
    running: bool
    paused: bool
    restarting: bool
    oom_killed: bool
    dead: bool
    pid: int
    exit_code: int
    error: str
    started_at: str
    finished_at: str


class RestartPolicyView(Answer, frozen=True, kw_only=True):
    """What happens when it exits."""

    name: str
    maximum_retry_count: int


class LogConfigView(Answer, frozen=True, kw_only=True):
    """Which log driver it seems to have: `docker logs` works as with this one."""

    type: str = "json-file"
    config: dict[str, str] = {}


class UlimitView(Answer, frozen=True, kw_only=True):
    """One resource limit."""

    name: str
    soft: int
    hard: int


class HostConfigView(Answer, frozen=True, kw_only=True):
    """How it runs; what is not here was not asked for, or was refused at create."""

    network_mode: str
    auto_remove: bool
    restart_policy: RestartPolicyView
    memory: int
    nano_cpus: int
    cap_drop: list[str] | None
    group_add: list[str] | None
    ulimits: list[UlimitView] | None
    security_opt: list[str] | None
    extra_hosts: list[str] | None
    readonly_rootfs: bool
    init: bool | None
    log_config: LogConfigView = LogConfigView()
    binds: None = None
    mounts: list[str] = []
    port_bindings: dict[str, str] = {}
    cap_add: None = None
    privileged: bool = False
    publish_all_ports: bool = False
    volumes_from: None = None
    ipc_mode: str = "private"
    pid_mode: str = ""
    uts_mode: str = ""
    runtime: str = "runc"
    isolation: str = ""
    dns: list[str] = []
    dns_options: list[str] = []
    dns_search: list[str] = []
    links: None = None
    shm_size: int = 64 * 1024 * 1024


class EndpointView(Answer, frozen=True, kw_only=True):
    """Its place on a network."""

    network_id: str = msgspec.field(name="NetworkID")
    endpoint_id: str = msgspec.field(name="EndpointID")
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    mac_address: str = ""
    aliases: list[str] | None = None


class NetworksView(Answer, frozen=True, kw_only=True):
    """The networks of a listed container."""

    networks: dict[str, EndpointView]


class NetworkSettingsView(Answer, frozen=True, kw_only=True):
    """Its networks, and the address at the top level where old clients look."""

    networks: dict[str, EndpointView]
    ports: dict[str, None]
    ip_address: str = ""
    ip_prefix_len: int = 0
    gateway: str = ""
    mac_address: str = ""


class ContainerView(Answer, frozen=True, kw_only=True):
    """What inspect shows."""

    id: str
    name: str
    created: str
    path: str
    args: list[str]
    state: StateView
    image: str
    config: ConfigView
    host_config: HostConfigView
    network_settings: NetworkSettingsView
    restart_count: int
    mounts: list[str] = []
    platform: str = "linux"
    driver: str = "fargate"
    log_path: str = ""
    resolv_conf_path: str = ""
    hostname_path: str = ""
    hosts_path: str = ""
    exec_ids: list[str] | None = msgspec.field(default=None, name="ExecIDs")
    agent_address: str | msgspec.UnsetType = msgspec.UNSET
    agent_token: str | msgspec.UnsetType = msgspec.UNSET


class PortView(Answer, frozen=True, kw_only=True):
    """A port of a listed container."""

    private_port: int
    type: str


class ContainerSummaryView(Answer, frozen=True, kw_only=True):
    """What a list shows."""

    id: str
    names: list[str]
    image: str
    image_id: str = msgspec.field(name="ImageID")
    command: str
    created: int
    state: str
    status: str
    ports: list[PortView]
    labels: dict[str, str]
    network_settings: NetworksView
    mounts: list[str] = []


class CreatedView(Answer, frozen=True, kw_only=True):
    """The answer to a create."""

    id: str
    warnings: list[str]


class WaitErrorView(Answer, frozen=True, kw_only=True):
    """Why a container's end is not what its code says."""

    message: str


class WaitView(Answer, frozen=True, kw_only=True):
    """The answer to a wait."""

    status_code: int
    error: WaitErrorView | msgspec.UnsetType | None = msgspec.UNSET


class PrunedContainersView(Answer, frozen=True, kw_only=True):
    """What a prune took away."""

    containers_deleted: list[str]
    space_reclaimed: int = 0


class TopView(Answer, frozen=True, kw_only=True):
    """Processes."""

    titles: list[str]
    processes: list[list[str]]
