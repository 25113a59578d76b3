"""Usage as Docker's stats show it."""

from __future__ import annotations

from msgspec import UNSET

from sockerless_ecs.http.shapes.stats import (
    BlockEntryView,
    BlockView,
    CpuUsageView,
    CpuView,
    InterfaceView,
    MemoryView,
    PidsView,
    StatsView,
    ThrottlingView,
)
from sockerless_ecs.http.times import rfc3339
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.usage import InterfaceUsage, Usage


def stats_view(container: Container, usage: Usage | None, *, before: CpuView, read_before: str) -> StatsView:
    """One sample after another; without one all is zero, as of what does not run."""
    name = f"/{container.name}"
    if usage is None:
        return StatsView(name=name, id=container.id, preread=read_before, precpu_stats=before)
    return StatsView(
        name=name,
        id=container.id,
        read=rfc3339(usage.read_ns),
        preread=read_before,
        pids_stats=PidsView(current=_counted(usage.pids), limit=_counted(usage.pids_limit)),
        blkio_stats=_blocks(usage),
        cpu_stats=_cpu(usage),
        precpu_stats=before,
        memory_stats=_memory(usage),
        networks={name: _interface(counts) for name, counts in usage.networks.items()} or UNSET,
    )


def _counted(value: int) -> int:
    """What the kernel does not tell is nothing here."""
    return max(value, 0)


def _cpu(usage: Usage) -> CpuView:
    return CpuView(
        cpu_usage=CpuUsageView(
            total_usage=_counted(usage.cpu_total_ns),
            usage_in_kernelmode=_counted(usage.cpu_system_ns),
            usage_in_usermode=_counted(usage.cpu_user_ns),
        ),
        system_cpu_usage=_counted(usage.system_cpu_ns) or UNSET,
        online_cpus=_counted(usage.online_cpus) or UNSET,
        throttling_data=ThrottlingView(
            periods=_counted(usage.periods),
            throttled_periods=_counted(usage.throttled_periods),
            throttled_time=_counted(usage.throttled_ns),
        ),
    )


def _memory(usage: Usage) -> MemoryView:
    return MemoryView(
        usage=_counted(usage.memory_bytes),
        max_usage=_counted(usage.memory_max_bytes) if usage.cgroup_version == 1 else 0,
        stats=dict(usage.memory_stats),
        limit=_counted(usage.memory_limit_bytes),
    )


def _blocks(usage: Usage) -> BlockView:
    counts = (("read", usage.block_read_bytes), ("write", usage.block_write_bytes))
    return BlockView(
        io_service_bytes_recursive=[BlockEntryView(op=op, value=value) for op, value in counts if value >= 0]
    )


def _interface(counts: InterfaceUsage) -> InterfaceView:
    return InterfaceView(
        rx_bytes=counts.rx_bytes,
        rx_packets=counts.rx_packets,
        rx_errors=counts.rx_errors,
        rx_dropped=counts.rx_dropped,
        tx_bytes=counts.tx_bytes,
        tx_packets=counts.tx_packets,
        tx_errors=counts.tx_errors,
        tx_dropped=counts.tx_dropped,
    )
