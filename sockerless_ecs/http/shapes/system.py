"""The engine as Docker shows it, and its events."""

# ruff: noqa: RUF012 (msgspec copies empty defaults)

from __future__ import annotations

import msgspec

from sockerless_ecs.http.shapes.container import ContainerSummaryView
from sockerless_ecs.http.shapes.image import ImageSummaryView
from sockerless_ecs.http.shapes.naming import Answer
from sockerless_ecs.http.shapes.volume import VolumeView


class PluginsView(Answer, frozen=True, kw_only=True):
    """What volumes, networks and logs are made of."""

    volume: list[str] = []
    network: list[str] = msgspec.field(default_factory=lambda: ["bridge", "host", "none"])
    authorization: list[str] | None = None
    log: list[str] = msgspec.field(default_factory=lambda: ["awslogs"])


class IndexView(Answer, frozen=True, kw_only=True):
    """What is known of a registry."""

    name: str
    mirrors: list[str] = []
    secure: bool = True
    official: bool = False


class RegistriesView(Answer, frozen=True, kw_only=True):
    """Which registries are spoken to, and how."""

    insecure_registry_cidrs: list[str] = msgspec.field(
        name="InsecureRegistryCIDRs", default_factory=lambda: ["::1/128", "127.0.0.0/8"]
    )
    index_configs: dict[str, IndexView] = {}
    mirrors: list[str] = []


class SwarmView(Answer, frozen=True, kw_only=True):
    """There is none."""

    node_id: str = msgspec.field(default="", name="NodeID")
    node_addr: str = ""
    local_node_state: str = "inactive"
    control_available: bool = False
    error: str = ""
    remote_managers: list[str] | None = None


class RuntimeView(msgspec.Struct, frozen=True, kw_only=True):
    """What runs a container."""

    path: str


class CommitView(Answer, frozen=True, kw_only=True):
    """The build of a helper that there is not."""

    id: str = msgspec.field(default="", name="ID")


class InfoView(Answer, frozen=True, kw_only=True):
    """What info shows."""

    id: str = msgspec.field(name="ID")
    containers: int
    containers_running: int
    containers_paused: int
    containers_stopped: int
    images: int
    driver: str = "fargate"
    driver_status: list[list[str]] = []
    plugins: PluginsView = PluginsView()
    memory_limit: bool = True
    swap_limit: bool = False
    cpu_cfs_period: bool = msgspec.field(default=False, name="CpuCfsPeriod")
    cpu_cfs_quota: bool = msgspec.field(default=True, name="CpuCfsQuota")
    cpu_shares: bool = msgspec.field(default=False, name="CPUShares")
    cpu_set: bool = msgspec.field(default=False, name="CPUSet")
    pids_limit: bool = False
    ipv4_forwarding: bool = msgspec.field(default=True, name="IPv4Forwarding")
    debug: bool = False
    oom_kill_disable: bool = msgspec.field(default=False, name="OomKillDisable")
    n_fd: int = msgspec.field(default=0, name="NFd")
    n_goroutines: int = 0
    system_time: str
    logging_driver: str = "awslogs"
    cgroup_driver: str = "none"
    n_events_listener: int = 0
    kernel_version: str = ""
    operating_system: str = "AWS Fargate"
    os_version: str = msgspec.field(default="", name="OSVersion")
    os_type: str = msgspec.field(default="linux", name="OSType")
    architecture: str
    index_server_address: str = "https://index.docker.io/v1/"
    registry_config: RegistriesView
    ncpu: int = msgspec.field(name="NCPU")
    mem_total: int
    generic_resources: list[str] | None = None
    docker_root_dir: str = ""
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""
    name: str
    labels: list[str] = []
    experimental_build: bool = False
    server_version: str
    runtimes: dict[str, RuntimeView] = msgspec.field(
        default_factory=lambda: {"fargate": RuntimeView(path="fargate")}
    )
    default_runtime: str = "fargate"
    swarm: SwarmView = SwarmView()
    live_restore_enabled: bool = True
    isolation: str = ""
    init_binary: str = "sockerless-agent"
    containerd_commit: CommitView = CommitView()
    runc_commit: CommitView = CommitView()
    init_commit: CommitView = CommitView()
    security_options: list[str] = []
    cdi_spec_dirs: list[str] = msgspec.field(default_factory=list, name="CDISpecDirs")
    warnings: list[str] | None = None


class VersionView(Answer, frozen=True, kw_only=True):
    """What version shows on the internal API."""

    version: str
    api_version: str
    os: str
    arch: str


class PlatformView(Answer, frozen=True, kw_only=True):
    """Whose engine it is."""

    name: str


class ComponentView(Answer, frozen=True, kw_only=True):
    """One part of the engine."""

    name: str
    version: str
    details: dict[str, str]


class DockerVersionView(Answer, frozen=True, kw_only=True):
    """What version shows on the Docker API."""

    platform: PlatformView
    components: list[ComponentView]
    version: str
    api_version: str
    min_api_version: str = msgspec.field(name="MinAPIVersion")
    git_commit: str
    go_version: str
    os: str
    arch: str
    kernel_version: str
    build_time: str


class AuthBody(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials to check; Docker writes them in lower case."""

    username: str | None = None
    password: str | None = None
    email: str | None = None
    serveraddress: str | None = None
    identitytoken: str | None = None
    auth: str | None = None


class AuthView(Answer, frozen=True, kw_only=True):
    """What came of it."""

    status: str
    identity_token: str = ""


class ActorView(Answer, frozen=True, kw_only=True):
    """To whom it happened."""

    id: str = msgspec.field(name="ID")
    attributes: dict[str, str]


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    """One event, with the keys of three generations of clients."""

    status: str | msgspec.UnsetType = msgspec.UNSET
    id: str | msgspec.UnsetType = msgspec.UNSET
    from_: str | msgspec.UnsetType = msgspec.field(default=msgspec.UNSET, name="from")
    type: str = msgspec.field(name="Type")
    action: str = msgspec.field(name="Action")
    actor: ActorView = msgspec.field(name="Actor")
    scope: str = "local"
    time: int
    time_ns: int = msgspec.field(name="timeNano")


class DiskUsageView(Answer, frozen=True, kw_only=True):
    """What takes room: what was not asked for is null."""

    layers_size: int
    images: list[ImageSummaryView] | None
    containers: list[ContainerSummaryView] | None
    volumes: list[VolumeView] | None
    build_cache: list[str] | None
    builder_size: int | msgspec.UnsetType = msgspec.UNSET
