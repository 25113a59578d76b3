"""What becomes of every field of a container create: honoured, later, never on Fargate, or harmless."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any


class Verdict(Enum):
    """What is done with a field that was asked for."""

    HONOURED = "honoured"
    LATER = "501: not built yet"
    NEVER = "400: not possible on Fargate"
    WARNED = "no effect: a warning"
    SILENT = "no effect"


@dataclass(frozen=True, slots=True)
class Rule:
    """A field's verdict; `advice` says why or what to do instead, `default` which values ask for nothing."""

    verdict: Verdict
    advice: str = ""
    default: Callable[[Any], bool] = lambda _: False


def _only(*values: object) -> Callable[[Any], bool]:
    return lambda value: value in values


def _plain_pids(limit: int) -> bool:
    return limit < 0


HONOURED = Rule(Verdict.HONOURED)
LATER = Rule(Verdict.LATER)
SILENT = Rule(Verdict.SILENT)


def _never(advice: str, default: Callable[[Any], bool] = lambda _: False) -> Rule:
    return Rule(Verdict.NEVER, advice, default)


def _warned(advice: str, default: Callable[[Any], bool] = lambda _: False) -> Rule:
    return Rule(Verdict.WARNED, advice, default)


def _later(advice: str, default: Callable[[Any], bool]) -> Rule:
    return Rule(Verdict.LATER, advice, default)


def _partly(advice: str) -> Rule:
    """Judged value by value."""
    return Rule(Verdict.HONOURED, advice)


_OWN_TASK = "every container is alone in its Fargate task"
_NO_DEVICES = "Fargate has no devices to give; run it on EC2"
_NO_IO_LIMITS = "Fargate does not limit block I/O by container"
_WHOLE_CPUS = "a task has its CPUs to itself; use NanoCpus"
_WINDOWS = "it is for Windows containers"

CONFIG: Mapping[str, Rule] = {
    "image": HONOURED,
    "args_escaped": SILENT,
    "attach_stderr": HONOURED,
    "attach_stdin": HONOURED,
    "attach_stdout": HONOURED,
    "cmd": HONOURED,
    "domainname": _partly("as HOSTNAME and in /etc/hosts; a warning, for uname shows the task's"),
    "entrypoint": HONOURED,
    "env": HONOURED,
    "exposed_ports": HONOURED,
    "healthcheck": HONOURED,
    "hostname": _partly("as HOSTNAME and in /etc/hosts; a warning, for uname shows the task's"),
    "labels": HONOURED,
    "mac_address": _never("the VPC gives the addresses"),
    "network_disabled": _never("a Fargate task always has a network"),
    "on_build": SILENT,
    "open_stdin": HONOURED,
    "shell": SILENT,
    "stdin_once": HONOURED,
    "stop_signal": HONOURED,
    "stop_timeout": HONOURED,
    "tty": HONOURED,
    "user": HONOURED,
    "volumes": LATER,
    "working_dir": HONOURED,
    "host_config": HONOURED,
    "networking_config": HONOURED,  # judged endpoint by endpoint
}

HOST_CONFIG: Mapping[str, Rule] = {
    "annotations": _warned("annotations are not kept; use labels"),
    "auto_remove": HONOURED,
    "binds": LATER,
    "blkio_device_read_bps": _warned(_NO_IO_LIMITS),
    "blkio_device_read_iops": _warned(_NO_IO_LIMITS),
    "blkio_device_write_bps": _warned(_NO_IO_LIMITS),
    "blkio_device_write_iops": _warned(_NO_IO_LIMITS),
    "blkio_weight": _warned(_NO_IO_LIMITS),
    "blkio_weight_device": _warned(_NO_IO_LIMITS),
    "cap_add": _partly("what every Fargate container may do anyway; others: 400"),
    "cap_drop": HONOURED,
    "cgroup": _warned(_OWN_TASK),
    "cgroup_parent": _warned(_OWN_TASK),
    "cgroupns_mode": _warned(_OWN_TASK, _only("private")),
    "console_size": SILENT,
    "container_id_file": SILENT,
    "cpu_count": _warned(_WINDOWS),
    "cpu_percent": _warned(_WINDOWS),
    "cpu_period": HONOURED,
    "cpu_quota": HONOURED,
    "cpu_realtime_period": _never("Fargate schedules no real-time processes"),
    "cpu_realtime_runtime": _never("Fargate schedules no real-time processes"),
    "cpu_shares": _warned(_WHOLE_CPUS),
    "cpuset_cpus": _warned(_WHOLE_CPUS),
    "cpuset_mems": _warned(_WHOLE_CPUS),
    "device_cgroup_rules": _never(_NO_DEVICES),
    "device_requests": _never(_NO_DEVICES),
    "devices": _never(_NO_DEVICES),
    "dns": LATER,
    "dns_options": LATER,
    "dns_search": LATER,
    "extra_hosts": HONOURED,
    "group_add": HONOURED,
    "init": HONOURED,
    "io_maximum_bandwidth": _warned(_WINDOWS),
    "io_maximum_iops": _warned(_WINDOWS),
    "ipc_mode": _never(f"{_OWN_TASK}; leave it out", _only("private", "shareable")),
    "isolation": _never(_WINDOWS, _only("default")),
    "kernel_memory": _warned("use Memory"),
    "kernel_memory_tcp": _warned("use Memory"),
    "links": LATER,
    "log_config": _partly("logs go to CloudWatch Logs; drivers that Docker can read back may be named"),
    "masked_paths": _warned("Fargate masks what it masks"),
    "memory": HONOURED,
    "memory_reservation": _warned("a task has its memory to itself; use Memory"),
    "memory_swap": _warned("Fargate has no swap"),
    "memory_swappiness": _warned("Fargate has no swap", _only(-1)),
    "mounts": LATER,
    "nano_cpus": HONOURED,
    "network_mode": _later("but `default` and `bridge` work", _only("default", "bridge")),
    "oom_kill_disable": _warned("Fargate's kernel does kill a task that is out of memory"),
    "oom_score_adj": _warned(_OWN_TASK),
    "pid_mode": _never(f"{_OWN_TASK}; leave it out", _only("private")),
    "pids_limit": _warned("Fargate does not limit the number of processes", _plain_pids),
    "port_bindings": LATER,
    "privileged": _never(
        "leave it out; what it was for may have a way of its own (an image builder: Kaniko)"
    ),
    "publish_all_ports": LATER,
    "readonly_paths": _warned("Fargate protects what it protects"),
    "readonly_rootfs": HONOURED,
    "restart_policy": HONOURED,
    "runtime": _never("Fargate has one runtime; leave it out", _only("runc", "io.containerd.runc.v2")),
    "security_opt": _partly("`no-new-privileges`, and what lifts limits that Fargate does not set"),
    "shm_size": _later("but Docker's 64 MiB are there", _only(64 * 1024 * 1024)),
    "storage_opt": _never("give the size in GiB as the label sockerless.storage"),
    "sysctls": LATER,
    "tmpfs": LATER,
    "ulimits": HONOURED,
    "userns_mode": _warned("Fargate maps no users", _only("host")),
    "uts_mode": _never(f"{_OWN_TASK}; leave it out"),
    "volume_driver": _later("but `local` may be said", _only("local")),
    "volumes_from": LATER,
}

ENDPOINT: Mapping[str, Rule] = {
    "ipam_config": _never("the VPC gives the addresses"),
    "links": LATER,
    "aliases": LATER,
    "mac_address": SILENT,  # clients send back what inspect showed them
    "driver_opts": LATER,
    "gw_priority": SILENT,
    "network_id": SILENT,
    "endpoint_id": SILENT,
    "gateway": SILENT,
    "ip_address": SILENT,
    "ip_prefix_len": SILENT,
}

FARGATE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
"""What every Fargate container may do."""

CAPABILITIES = frozenset(
    [
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "AUDIT_WRITE",
        "BLOCK_SUSPEND",
        "BPF",
        "CHECKPOINT_RESTORE",
        "CHOWN",
        "DAC_OVERRIDE",
        "DAC_READ_SEARCH",
        "FOWNER",
        "FSETID",
        "IPC_LOCK",
        "IPC_OWNER",
        "KILL",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "MKNOD",
        "NET_ADMIN",
        "NET_BIND_SERVICE",
        "NET_BROADCAST",
        "NET_RAW",
        "PERFMON",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_CHROOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "SYSLOG",
        "WAKE_ALARM",
    ]
) | {"ALL"}
"""All that the kernel knows, and `ALL`."""
