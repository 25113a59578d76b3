"""What a container uses: its processes, and counters of its resources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessTable:
    """What `top` shows: a row for each process, as many cells as there are titles."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceUsage:
    """Counters of one network interface."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One sample of a container's counters; -1 where the kernel does not tell. CPU times in nanoseconds."""

    read_ns: int
    """The time of the sample."""
    cpu_total_ns: int = 0
    cpu_user_ns: int = 0
    cpu_system_ns: int = 0
    system_cpu_ns: int = 0
    """CPU time of the whole machine, idle included."""
    online_cpus: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    periods: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    memory_max_bytes: int = -1
    memory_stats: Mapping[str, int] = field(default_factory=dict)
    """`memory.stat` of the cgroup."""
    cgroup_version: int = 2
    pids: int = 0
    pids_limit: int = 0
    """0 = none."""
    networks: Mapping[str, InterfaceUsage] = field(default_factory=dict)
    block_read_bytes: int = 0
    block_write_bytes: int = 0
