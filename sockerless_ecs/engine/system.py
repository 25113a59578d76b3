"""The engine itself: what it is, how much it holds, what happens in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import sockerless_ecs
from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.values import Credentials, DiskUsage, LoggedIn, SystemInfo
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.layers import layers_bytes
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.reference import DOCKER_HUB
from sockerless_ecs.model.sizing import MOST_CPU_UNITS, MOST_MEMORY_MIB
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger

_MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
_HUB_NAMES = frozenset(("", DOCKER_HUB, f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}"))


class EngineSystem:
    """Counts, from memory; and the events."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        bus: EventBus,
        registry: RegistryClient,
        instance_id: str,
        name: str,
        architecture: str,
    ) -> None:
        self._ledger = ledger
        self._bus = bus
        self._registry = registry
        self._instance_id = instance_id
        self._name = name
        self._architecture = architecture

    async def info(self) -> SystemInfo:
        """Counts and sizes, from memory."""
        states = [live.record.state for live in self._ledger]
        running, paused = states.count(State.RUNNING), states.count(State.PAUSED)
        return SystemInfo(
            id=self._instance_id,
            name=self._name,
            version=sockerless_ecs.__version__,
            containers=len(states),
            running=running,
            paused=paused,
            stopped=len(states) - running - paused,
            images=len({image.id for image in self._ledger.images.values()}),
            architecture=_MACHINES.get(self._architecture, self._architecture),
            cpus=MOST_CPU_UNITS // 1024,
            memory_bytes=MOST_MEMORY_MIB * 1024 * 1024,
        )

    async def auth(self, credentials: Credentials) -> LoggedIn:
        """Check credentials with their registry; raises Unauthorized in its words."""
        login = Login(
            username=credentials.username,
            password=credentials.password,
            identity_token=credentials.identity_token,
        )
        token = await self._registry.check_login(_registry_of(credentials.server_address), login)
        return LoggedIn(status="Login Succeeded", identity_token=token)

    async def ping(self) -> None:
        """It serves."""

    async def disk_usage(self) -> DiskUsage:
        """What it knows of, from memory; layers that images share are counted once."""
        images = tuple(self._ledger.images.values())
        return DiskUsage(
            layers_bytes=layers_bytes(images),
            images=images,
            containers=tuple(live.record for live in self._ledger),
        )

    def events(
        self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters
    ) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """History since `since_ns`, then what comes until `until_ns`; InvalidParameter: unknown filter."""
        filtering.check(filters, filtering.EVENT)
        return self._bus.listen(
            since_ns=since_ns,
            until_ns=until_ns,
            wanted=lambda event: filtering.match_event(event, filters),
        )


def _registry_of(server_address: str) -> str:
    """The registry's name in what `docker login` sends: a host, or a URL of old."""
    host = server_address.partition("://")[2] or server_address
    host = host.partition("/")[0]
    return DOCKER_HUB if host in _HUB_NAMES else host
