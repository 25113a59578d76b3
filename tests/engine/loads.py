"""An engine's images over a real registry that plays ECR."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import trio

from sockerless_ecs.engine.values import PullProgress
from sockerless_ecs.model.reference import source_of
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.sandbox.registry import Registry
from tests.images import ANY_LOGIN
from tests.services.fakes import FakeEcr
from tests.services.world import World, engine_images


class Loads:
    """An engine's images over a real registry."""

    def __init__(self, world: World, registry: Registry, client: RegistryClient, host: str) -> None:
        self.world, self.client = world, client
        self.registry = registry
        self.ecr = FakeEcr(host)
        self.images = engine_images(world.ledger, client, world.bus, self.ecr)

    async def load(self, data: bytes, piece: int = 100_000, *, platform: str | None = None) -> list[str]:
        """What it says came."""
        return [line.stream for line in await self.lines(data, piece, platform=platform) if line.stream]

    async def lines(
        self, data: bytes, piece: int = 100_000, *, platform: str | None = None
    ) -> list[PullProgress]:
        async with aclosing(pieces(data, piece)) as body, self.images.load(body, platform) as progress:
            return [line async for line in progress]

    def files(self, name: str) -> list[bytes]:
        """The layers that a task with this image would unpack."""
        image = self.images.find(name)
        resolved = self.registry.resolve(source_of(image).full, image.architecture)
        return [path.read_bytes() for _, path, _ in resolved.layers]


async def pieces(data: bytes, size: int) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def any_login(_registry: str, _refused: str) -> Login:
    await trio.lowlevel.checkpoint()
    return ANY_LOGIN
