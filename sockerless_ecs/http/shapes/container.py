"""Containers as Docker shows them."""

# ruff: noqa: RUF012 (msgspec copies empty defaults)

from __future__ import annotations

import msgspec

from sockerless_ecs.http.shapes.naming import Answer

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
)
"""What Fargate hides of the kernel's file systems."""
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What Fargate lets nobody write."""


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
    on_build: list[str] | None = None
    stop_signal: str | msgspec.UnsetType = msgspec.UNSET
    stop_timeout: int | msgspec.UnsetType = msgspec.UNSET
    healthcheck: HealthcheckView | msgspec.UnsetType = msgspec.UNSET


class ProbeView(Answer, frozen=True, kw_only=True):
    """One run of a health check."""

    start: str
    end: str
    exit_code: int
    output: str


class HealthView(Answer, frozen=True, kw_only=True):
    """How it fares by its health check."""

    status: str
    failing_streak: int
    log: list[ProbeView]


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
    health: HealthView | msgspec.UnsetType = msgspec.UNSET


class RestartPolicyView(Answer, frozen=True, kw_only=True):
    """What happens when it exits."""

    name: str
    maximum_retry_count: int


class LogConfigView(Answer, frozen=True, kw_only=True):
    """Which log driver it seems to have: `docker logs` works as with this one."""

    type: str
    config: dict[str, str]


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
    log_config: LogConfigView
    binds: None = None
    mounts: list[str] = []
    container_id_file: str = msgspec.field(default="", name="ContainerIDFile")
    port_bindings: dict[str, str] = {}
    volume_driver: str = ""
    volumes_from: None = None
    console_size: tuple[int, int] = (0, 0)
    cap_add: None = None
    cgroupns_mode: str = "private"
    dns: list[str] = []
    dns_options: list[str] = []
    dns_search: list[str] = []
    ipc_mode: str = "private"
    cgroup: str = ""
    links: None = None
    oom_score_adj: int = msgspec.field(default=0, name="OomScoreAdj")
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 64 * 1024 * 1024
    runtime: str = "runc"
    isolation: str = ""
    cpu_shares: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[str] = []
    blkio_device_read_bps: list[str] = []
    blkio_device_write_bps: list[str] = []
    blkio_device_read_iops: list[str] = msgspec.field(default_factory=list, name="BlkioDeviceReadIOps")
    blkio_device_write_iops: list[str] = msgspec.field(default_factory=list, name="BlkioDeviceWriteIOps")
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[str] = []
    device_cgroup_rules: None = None
    device_requests: None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: None = None
    oom_kill_disable: bool = msgspec.field(default=False, name="OomKillDisable")
    pids_limit: None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = msgspec.field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = 0
    masked_paths: tuple[str, ...] = MASKED_PATHS
    readonly_paths: tuple[str, ...] = READONLY_PATHS


class EndpointView(Answer, frozen=True, kw_only=True):
    """Its place on a network."""

    network_id: str = msgspec.field(name="NetworkID")
    endpoint_id: str = msgspec.field(name="EndpointID")
    ipam_config: None = None
    links: None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: None = None
    gw_priority: int = 0
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = msgspec.field(default=None, name="DNSNames")


class NetworksView(Answer, frozen=True, kw_only=True):
    """The networks of a listed container."""

    networks: dict[str, EndpointView]


class NetworkSettingsView(Answer, frozen=True, kw_only=True):
    """Its networks, and the address at the top level where old clients look."""

    networks: dict[str, EndpointView]
    ports: dict[str, None]
    bridge: str = ""
    sandbox_id: str = msgspec.field(default="", name="SandboxID")
    sandbox_key: str = ""
    hairpin_mode: bool = False
    link_local_ipv6_address: str = ""
    link_local_ipv6_prefix_len: int = 0
    secondary_ip_addresses: None = None
    secondary_ipv6_addresses: None = None
    endpoint_id: str = msgspec.field(default="", name="EndpointID")
    gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    mac_address: str = ""


class GraphDriverView(Answer, frozen=True, kw_only=True):
    """Where its file system is kept: with Fargate."""

    name: str = "fargate"
    data: dict[str, str] | None = None


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
    mount_label: str = ""
    process_label: str = ""
    app_armor_profile: str = ""
    exec_ids: list[str] | None = msgspec.field(default=None, name="ExecIDs")
    graph_driver: GraphDriverView = GraphDriverView()
    size_rw: int | msgspec.UnsetType = msgspec.UNSET
    size_root_fs: int | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="SizeRootFs")
    agent_address: str | msgspec.UnsetType = msgspec.UNSET
    agent_token: str | msgspec.UnsetType = msgspec.UNSET


class PortView(Answer, frozen=True, kw_only=True):
    """A port of a listed container."""

    private_port: int
    type: str


class NetworkModeView(Answer, frozen=True, kw_only=True):
    """What a list shows of how it runs."""

    network_mode: str


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
    host_config: NetworkModeView
    network_settings: NetworksView
    mounts: list[str] = []
    size_rw: int | msgspec.UnsetType = msgspec.UNSET
    size_root_fs: int | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="SizeRootFs")


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


class UpdatedView(Answer, frozen=True, kw_only=True):
    """The answer to an update."""

    warnings: list[str] | None


class ChangeView(Answer, frozen=True, kw_only=True):
    """A path that is not as in the image: 0 modified, 1 added, 2 deleted."""

    path: str
    kind: int


class PathStatView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a path is; Docker writes it in lower case. `mode` is Go's."""

    name: str
    size: int
    mode: int
    mtime: str
    link_target: str
