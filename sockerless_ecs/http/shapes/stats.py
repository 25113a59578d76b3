"""Usage as Docker shows it: names in lower case, and what nobody counted left out."""

from __future__ import annotations

import msgspec

from sockerless_ecs.http.times import ZERO_TIME


class _Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What is there even when it is nothing."""


class _Known(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is left out when it is nothing."""


class CpuUsageView(_Counts, frozen=True, kw_only=True):
    """Nanoseconds."""

    total_usage: int = 0
    usage_in_kernelmode: int = 0
    usage_in_usermode: int = 0


class ThrottlingView(_Counts, frozen=True, kw_only=True):
    """How often it was held back."""

    periods: int = 0
    throttled_periods: int = 0
    throttled_time: int = 0


class CpuView(_Counts, frozen=True, kw_only=True):
    """CPU time; the machine's as well."""

    cpu_usage: CpuUsageView = CpuUsageView()
    system_cpu_usage: int | msgspec.UnsetType = msgspec.UNSET
    online_cpus: int | msgspec.UnsetType = msgspec.UNSET
    throttling_data: ThrottlingView = ThrottlingView()


class MemoryView(_Known, frozen=True, kw_only=True):
    """Bytes; `max_usage` is only counted by version 1 of cgroups."""

    usage: int = 0
    max_usage: int = 0
    stats: dict[str, int] = {}
    limit: int = 0


class PidsView(_Known, frozen=True, kw_only=True):
    """Processes."""

    current: int = 0
    limit: int = 0


class BlockEntryView(_Counts, frozen=True, kw_only=True):
    """One counter of a block device; which one it was, nobody tells."""

    major: int = 0
    minor: int = 0
    op: str
    value: int


class BlockView(_Counts, frozen=True, kw_only=True):
    """Block devices."""

    io_service_bytes_recursive: list[BlockEntryView] | None = None
    io_serviced_recursive: None = None
    io_queue_recursive: None = None
    io_service_time_recursive: None = None
    io_wait_time_recursive: None = None
    io_merged_recursive: None = None
    io_time_recursive: None = None
    sectors_recursive: None = None


class InterfaceView(_Counts, frozen=True, kw_only=True):
    """One network interface."""

    rx_bytes: int
    rx_packets: int
    rx_errors: int
    rx_dropped: int
    tx_bytes: int
    tx_packets: int
    tx_errors: int
    tx_dropped: int


class StorageView(_Counts, frozen=True, kw_only=True):
    """Only for Windows."""


class StatsView(_Counts, frozen=True, kw_only=True):
    """One sample, and the CPU's part of the one before it."""

    name: str
    id: str
    read: str = ZERO_TIME
    preread: str = ZERO_TIME
    pids_stats: PidsView = PidsView()
    blkio_stats: BlockView = BlockView()
    num_procs: int = 0
    storage_stats: StorageView = StorageView()
    cpu_stats: CpuView = CpuView()
    precpu_stats: CpuView = CpuView()
    memory_stats: MemoryView = MemoryView()
    networks: dict[str, InterfaceView] | msgspec.UnsetType = msgspec.UNSET
