"""What is not built yet: each operation answers so by its own name, and never does half of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.volume import Volume


def not_built(operation: str, instead: str = "") -> NoReturn:
    """Raises Unimplemented that names the operation and, where there is one, the other way."""
    raise Unimplemented(f"{operation} is not implemented by this backend yet{instead and ': ' + instead}")


class UnbuiltNetworks:
    """Networks: every container is on the configured security groups, shown as `bridge`."""

    async def create(self, network: Network) -> str:
        """Not built."""
        not_built("network create")

    async def list(self, filters: Filters) -> Sequence[Network]:
        """Not built."""
        not_built("network list")

    async def inspect(self, ref: str) -> Network:
        """Not built."""
        not_built("network inspect")

    async def connect(self, ref: str, container: str) -> None:
        """Not built."""
        not_built("network connect")

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Not built."""
        not_built("network disconnect")

    async def remove(self, ref: str) -> None:
        """Not built."""
        not_built("network remove")

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Not built."""
        not_built("network prune")


class UnbuiltVolumes:
    """Volumes on EFS."""

    async def create(self, volume: Volume) -> Volume:
        """Not built."""
        not_built("volume create")

    async def list(self, filters: Filters) -> Sequence[Volume]:
        """Not built."""
        not_built("volume list")

    async def inspect(self, name: str) -> Volume:
        """Not built."""
        not_built("volume inspect")

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Not built."""
        not_built("volume remove")

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Not built."""
        not_built("volume prune")
