"""Images' configuration files, to the letter: from the store, or once more from where the image is."""

from __future__ import annotations

from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Descriptor, Image, ImageFile
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.store.contract import Put


class ImageFiles:
    """What `Image` has no field for is in them: history, and what only a builder knows."""

    def __init__(self, *, ledger: Ledger, registry: RegistryClient) -> None:
        self._ledger = ledger
        self._registry = registry

    async def text(self, image: Image) -> bytes:
        """The file; kept from now on, as long as the image is. Raises what `RegistryClient.config` raises."""
        kept = await self._ledger.image_file(image.id)
        if kept is not None:
            return kept
        text = await self._registry.config(references.source_of(image), Descriptor(digest=image.id, size=0))
        if any(known.id == image.id for known in self._ledger.images.values()):
            await self._ledger.save(Put(ImageFile(id=image.id, text=text.decode())))
        return text
