"""Networks and volumes: none yet."""

from __future__ import annotations

from collections.abc import Sequence

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.volume import Volume


class FakeNetworks:
    """None yet."""

    async def create(self, network: Network) -> str:
        raise Unimplemented("network create is not implemented yet")

    async def list(self, filters: Filters) -> Sequence[Network]:
        raise Unimplemented("network list is not implemented yet")

    async def inspect(self, ref: str) -> Network:
        raise Unimplemented("network inspect is not implemented yet")

    async def connect(self, ref: str, container: str) -> None:
        raise Unimplemented("network connect is not implemented yet")

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        raise Unimplemented("network disconnect is not implemented yet")

    async def remove(self, ref: str) -> None:
        raise Unimplemented("network remove is not implemented yet")

    async def prune(self, filters: Filters) -> Sequence[str]:
        raise Unimplemented("network prune is not implemented yet")


class FakeVolumes:
    """None yet."""

    async def create(self, volume: Volume) -> Volume:
        raise Unimplemented("volume create is not implemented yet")

    async def list(self, filters: Filters) -> Sequence[Volume]:
        raise Unimplemented("volume list is not implemented yet")

    async def inspect(self, name: str) -> Volume:
        raise Unimplemented("volume inspect is not implemented yet")

    async def remove(self, name: str, *, force: bool = False) -> None:
        raise Unimplemented("volume remove is not implemented yet")

    async def prune(self, filters: Filters) -> Sequence[str]:
        raise Unimplemented("volume prune is not implemented yet")
