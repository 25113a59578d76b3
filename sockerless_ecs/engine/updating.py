"""What can be changed of a container that exists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import trio

from sockerless_ecs.errors import Conflict
from sockerless_ecs.model import restart, sizing
from sockerless_ecs.model.container import Container, ContainerUpdate, HostConfig
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.supervisor import attributes
from sockerless_ecs.store.contract import Put


class Updater:
    """Changes the restart policy at any time, the size only while there is no task."""

    def __init__(
        self, *, ledger: Ledger, bus: EventBus, default_cpu_units: int, default_memory_mib: int
    ) -> None:
        self._ledger = ledger
        self._bus = bus
        self._default_cpu_units = default_cpu_units
        self._default_memory_mib = default_memory_mib

    async def update(self, live: Live, wanted: ContainerUpdate) -> Sequence[str]:
        """All of it or nothing; the warnings. Raises InvalidParameter and Conflict in Docker's words."""
        record = live.record
        if live.leaving:
            raise Conflict(
                f'Cannot update container {live.id}: container is marked for removal and cannot be "update"'
            )
        host = self._resized(record, wanted)
        if wanted.restart_policy is not None and wanted.restart_policy.name:
            restart.check_policy(wanted.restart_policy)
            if host.auto_remove and wanted.restart_policy.name != "no":
                raise Conflict(
                    f"Cannot update container {live.id}: Restart policy cannot be updated because "
                    "AutoRemove is enabled for the container"
                )
            host = replace(host, restart_policy=wanted.restart_policy)
        before = record.host
        try:
            with trio.CancelScope(shield=True):  # in memory first: what else is saved meanwhile has it too
                await self._ledger.save(Put(live.become(host=host)))
        except BaseException:
            live.become(host=before)
            raise
        self._bus.emit("container", "update", live.id, attributes(live.record))
        return _warnings(record, wanted)

    def _resized(self, record: Container, wanted: ContainerUpdate) -> HostConfig:
        old = record.host
        memory = old.memory_bytes if wanted.memory_bytes is None else wanted.memory_bytes
        cpus = old.nano_cpus if wanted.nano_cpus is None else wanted.nano_cpus
        if (memory, cpus) == (old.memory_bytes, old.nano_cpus):
            return old
        sizing.size(
            cpus,
            memory,
            default_cpu_units=self._default_cpu_units,
            default_memory_mib=self._default_memory_mib,
            labels=record.config.labels,
        )
        if record.task is not None or record.state is State.STARTING:
            raise Conflict(
                f"Cannot update container {record.id}: the size of a Fargate task is fixed when it is "
                "launched; stop the container and update it once its task has ended (the label "
                "sockerless.linger says how long that takes), or create it anew"
            )
        return replace(old, memory_bytes=memory, nano_cpus=cpus)


def _warnings(record: Container, wanted: ContainerUpdate) -> tuple[str, ...]:
    labels = record.config.labels
    pairs = (
        ("Memory", sizing.MEMORY_LABEL, wanted.memory_bytes),
        ("NanoCpus", sizing.CPU_LABEL, wanted.nano_cpus),
    )
    return tuple(
        f"{field} has no effect: the label {label} decides"
        for field, label, value in pairs
        if value is not None and label in labels
    )
