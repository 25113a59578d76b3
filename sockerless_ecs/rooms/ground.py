"""What everything is built on."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from sockerless_ecs import aws
from sockerless_ecs.config import Settings
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.store import Identity

_UNITS_PER_CPU = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The configuration, what outlives the daemon, the ways out, and the nurseries."""

    settings: Settings
    identity: Identity
    ledger: Ledger
    calls: aws.Calls
    registry: RegistryClient
    ecr: aws.Ecr
    ecs: aws.Ecs
    services: trio.Nursery
    jobs: trio.Nursery

    @property
    def started_by(self) -> str:
        """The daemon's mark on its tasks."""
        return f"sockerless-{self.identity.instance_id[:24]}"

    @property
    def default_cpu_units(self) -> int:
        """`ecs.default_cpu` as ECS counts it."""
        return int(self.settings.ecs.default_cpu * _UNITS_PER_CPU)
