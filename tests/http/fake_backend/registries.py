"""Registries that have one image."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.values import Credentials
from sockerless_ecs.errors import NotFound
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.offers import FoundRepository, Offer, OfferedPlatform

PLATFORMS = (
    OfferedPlatform(architecture="amd64", os="linux"),
    OfferedPlatform(architecture="arm64", os="linux", variant="v8"),
    OfferedPlatform(architecture="amd64", os="windows", os_version="10.0", os_features=("win32k",)),
)


class FakeRegistries:
    """What is asked is remembered; a name that says `missing` is not there."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, Filters]] = []
        self.credentials: Credentials | None = None

    async def search(
        self, term: str, *, limit: int = 0, filters: Filters, credentials: Credentials | None = None
    ) -> Sequence[FoundRepository]:
        await trio.lowlevel.checkpoint()
        self.asked.append((term, limit, filters))
        self.credentials = credentials
        return [FoundRepository(name=term, description="d", stars=3, official=True)]

    async def offer(self, name: str, credentials: Credentials | None = None) -> Offer:
        await trio.lowlevel.checkpoint()
        self.credentials = credentials
        if "missing" in name:
            raise NotFound(f"manifest for {name} not found: manifest unknown")
        descriptor = Descriptor(digest="sha256:" + "b" * 64, size=9, media_type="application/index")
        return Offer(descriptor=descriptor, platforms=PLATFORMS)
