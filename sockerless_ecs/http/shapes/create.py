"""What Docker's clients ask for when they create a container: every field, so that each can be judged."""

from __future__ import annotations

from typing import Any

import msgspec

from sockerless_ecs.http.shapes.naming import Request

Strings = list[str] | None
StringMap = dict[str, str | None] | None


class HealthcheckBody(Request, frozen=True, kw_only=True):
    """Docker's HealthcheckConfig; times in nanoseconds."""

    test: Strings = None
    interval: int | None = None
    timeout: int | None = None
    start_period: int | None = None
    start_interval: int | None = None
    retries: int | None = None


class UlimitBody(Request, frozen=True, kw_only=True):
    """One resource limit."""

    name: str
    soft: int | None = None
    hard: int | None = None


class RestartPolicyBody(Request, frozen=True, kw_only=True):
    """What to do when it exits."""

    name: str | None = None
    maximum_retry_count: int | None = None


class LogConfigBody(Request, frozen=True, kw_only=True):
    """Which log driver."""

    type: str | None = None
    config: StringMap = None


class EndpointBody(Request, frozen=True, kw_only=True):
    """A container's place on a network."""

    ipam_config: dict[str, Any] | None = msgspec.field(default=None, name="IPAMConfig")
    links: Strings = None
    aliases: Strings = None
    mac_address: str | None = None
    driver_opts: StringMap = None
    gw_priority: int | None = None
    network_id: str | None = msgspec.field(default=None, name="NetworkID")
    endpoint_id: str | None = msgspec.field(default=None, name="EndpointID")
    gateway: str | None = None
    ip_address: str | None = None
    ip_prefix_len: int | None = None


class NetworkingBody(Request, frozen=True, kw_only=True):
    """Which networks."""

    endpoints_config: dict[str, EndpointBody | None] | None = None


class HostConfigBody(Request, frozen=True, kw_only=True):
    """Docker's HostConfig."""

    annotations: StringMap = None
    auto_remove: bool | None = None
    binds: Strings = None
    blkio_device_read_bps: list[Any] | None = None
    blkio_device_read_iops: list[Any] | None = msgspec.field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_bps: list[Any] | None = None
    blkio_device_write_iops: list[Any] | None = msgspec.field(default=None, name="BlkioDeviceWriteIOps")
    blkio_weight: int | None = None
    blkio_weight_device: list[Any] | None = None
    cap_add: Strings = None
    cap_drop: Strings = None
    cgroup: str | None = None
    cgroup_parent: str | None = None
    cgroupns_mode: str | None = None
    console_size: list[int] | None = None
    container_id_file: str | None = msgspec.field(default=None, name="ContainerIDFile")
    cpu_count: int | None = None
    cpu_percent: int | None = None
    cpu_period: int | None = None
    cpu_quota: int | None = None
    cpu_realtime_period: int | None = None
    cpu_realtime_runtime: int | None = None
    cpu_shares: int | None = None
    cpuset_cpus: str | None = None
    cpuset_mems: str | None = None
    device_cgroup_rules: Strings = None
    device_requests: list[Any] | None = None
    devices: list[Any] | None = None
    dns: Strings = None
    dns_options: Strings = None
    dns_search: Strings = None
    extra_hosts: Strings = None
    group_add: Strings = None
    init: bool | None = None
    io_maximum_bandwidth: int | None = None
    io_maximum_iops: int | None = msgspec.field(default=None, name="IOMaximumIOps")
    ipc_mode: str | None = None
    isolation: str | None = None
    kernel_memory: int | None = None
    kernel_memory_tcp: int | None = msgspec.field(default=None, name="KernelMemoryTCP")
    links: Strings = None
    log_config: LogConfigBody | None = None
    masked_paths: Strings = None
    memory: int | None = None
    memory_reservation: int | None = None
    memory_swap: int | None = None
    memory_swappiness: int | None = None
    mounts: list[Any] | None = None
    nano_cpus: int | None = None
    network_mode: str | None = None
    oom_kill_disable: bool | None = msgspec.field(default=None, name="OomKillDisable")
    oom_score_adj: int | None = msgspec.field(default=None, name="OomScoreAdj")
    pid_mode: str | None = None
    pids_limit: int | None = None
    port_bindings: dict[str, Any] | None = None
    privileged: bool | None = None
    publish_all_ports: bool | None = None
    readonly_paths: Strings = None
    readonly_rootfs: bool | None = None
    restart_policy: RestartPolicyBody | None = None
    runtime: str | None = None
    security_opt: Strings = None
    shm_size: int | None = None
    storage_opt: StringMap = None
    sysctls: StringMap = None
    tmpfs: StringMap = None
    ulimits: list[UlimitBody] | None = None
    userns_mode: str | None = None
    uts_mode: str | None = None
    volume_driver: str | None = None
    volumes_from: Strings = None


class CreateBody(Request, frozen=True, kw_only=True):
    """Docker's container Config with HostConfig and NetworkingConfig beside it."""

    image: str | None = None
    args_escaped: bool | None = None
    attach_stderr: bool | None = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    cmd: list[str] | str | None = None
    domainname: str | None = None
    entrypoint: list[str] | str | None = None
    env: Strings = None
    exposed_ports: dict[str, Any] | None = None
    healthcheck: HealthcheckBody | None = None
    hostname: str | None = None
    labels: StringMap = None
    mac_address: str | None = None
    network_disabled: bool | None = None
    on_build: Strings = None
    open_stdin: bool | None = None
    shell: Strings = None
    stdin_once: bool | None = None
    stop_signal: str | None = None
    stop_timeout: int | None = None
    tty: bool | None = None
    user: str | None = None
    volumes: dict[str, Any] | None = None
    working_dir: str | None = None
    host_config: HostConfigBody | None = None
    networking_config: NetworkingBody | None = None
