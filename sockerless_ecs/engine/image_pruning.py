"""Pruning: images that no container uses go, with all their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.engine.image_removal import Removal, removal
from sockerless_ecs.engine.values import ImagesPruned
from sockerless_ecs.errors import Conflict
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.layers import layers_bytes
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, now_ns


class Pruner:
    """Prunes, one at a time."""

    def __init__(self, *, ledger: Ledger, names: ImageNames, bus: EventBus) -> None:
        self._ledger = ledger
        self._names = names
        self._bus = bus
        self._pruning = False

    async def prune(self, filters: Filters) -> ImagesPruned:
        """Forget all that pass, at once: all of them, or none where the store refuses.

        Raises InvalidParameter for a filter that is none, Conflict while another prune is at work.
        """
        passes = filtering.prune_filter(filters, now_ns(), filtering.IMAGE_PRUNE)
        tagged_too = filtering.yes_or_no(filters, "dangling") is False
        if self._pruning:
            raise Conflict("a prune operation is already running")
        going = [
            (records[0], removal(records[0].id, records[0], records, (), force=True))
            for records in self._unused(tagged_too=tagged_too)
            if passes(records[0].config.labels, records[0].created_ns)
        ]
        self._pruning = True
        try:
            await self._names.change(put=(), drop={ref for _, one in going for ref in one.drop})
        finally:
            self._pruning = False
        return self._told(going)

    def _unused(self, *, tagged_too: bool) -> Iterator[Sequence[Image]]:
        """The records of each image that no container has, or is about to have."""
        used = self._ledger.used_images
        by_id: dict[str, list[Image]] = {}
        for image in self._ledger.images.values():
            if image.id not in used:
                by_id.setdefault(image.id, []).append(image)
        for records in by_id.values():
            if tagged_too or not any(record.tagged for record in records):
                yield records

    def _told(self, going: Sequence[tuple[Image, Removal]]) -> ImagesPruned:
        for image, one in going:
            for action in one.events:
                self._bus.emit("image", action, image.id, {**image.config.labels, "name": image.id})
        left = list(self._ledger.images.values())
        reclaimed = layers_bytes([*left, *(image for image, _ in going)]) - layers_bytes(left)
        self._bus.emit("image", "prune", "", {"reclaimed": str(reclaimed)})
        return ImagesPruned(
            steps=tuple(step for _, one in going for step in one.steps), reclaimed_bytes=reclaimed
        )
