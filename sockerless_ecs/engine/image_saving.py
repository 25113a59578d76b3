"""Saving: images as a tar, whose layers come from where the images are while the tar is read."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.errors import NotFound, Unavailable, Unimplemented
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Descriptor, Image
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.registry import Platform, RegistryClient, made_for, saved
from sockerless_ecs.registry.manifest import is_foreign
from sockerless_ecs.registry.saved import SavedImage
from sockerless_ecs.registry.words import check_platform
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger


class Saver:
    """Saves any number of images at a time; what they share is in the tar once."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        names: ImageNames,
        files: ImageFiles,
        registry: RegistryClient,
        bus: EventBus,
    ) -> None:
        self._ledger = ledger
        self._names = names
        self._files = files
        self._registry = registry
        self._bus = bus

    @asynccontextmanager
    async def save(
        self, names: Sequence[str], platform: Platform | None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The tar; entering raises what is wrong with the names, and when a registry has no such image.

        A layer that cannot be read to its end ends the tar before its own: leaving raises it.
        """
        wanted = self._wanted(names, platform)
        images = [(image, await self._opened(image, tags)) for image, tags in wanted]
        async with self._tar(images) as pieces:
            yield pieces
        for image, _ in images:
            attributes = {**image.config.labels, "name": image.id}
            self._bus.emit("image", "save", image.id, attributes)

    def _wanted(self, names: Sequence[str], platform: Platform | None) -> list[tuple[Image, list[Reference]]]:
        """Each image once, with the tags by which it was asked for; a mere repository is all its tags."""
        found: dict[str, tuple[Image, list[Reference]]] = {}
        for name in names:
            for image, tag in self._meant(name):
                check_platform(made_for(image), platform, name)
                _, tags = found.setdefault(image.id, (image, []))
                if tag is not None and tag not in tags:
                    tags.append(tag)
        return list(found.values())

    def _meant(self, name: str) -> list[tuple[Image, Reference | None]]:
        if references.is_image_id(name):
            return [(self._names.find(name), None)]
        wanted = references.parse(name)
        if wanted.digest is not None:
            return [(self._names.find(name), None)]
        if wanted.tag is not None:
            image = self._ledger.images.get(wanted.full)
            if image is None:
                raise NotFound("reference does not exist")
            return [(image, wanted)]
        return [*self._names.tagged(wanted.name)] or [(self._names.find(name), None)]

    async def _opened(self, image: Image, tags: Sequence[Reference]) -> SavedImage:
        body, manifest = await self._registry.raw_manifest(references.source_of(image))
        if any(map(is_foreign, manifest.layers)):
            raise Unimplemented(
                f"{image.id} cannot be saved: it has a layer that only its maker's registry may have"
            )
        return SavedImage(
            body=body, manifest=manifest, tags=tags, architecture=image.architecture, os=image.os
        )

    @trio.as_safe_channel
    async def _tar(self, images: Sequence[tuple[Image, SavedImage]]) -> AsyncGenerator[bytes, None]:
        written: set[str] = set()
        yield saved.folders()
        for image, one in images:
            for layer in one.manifest.layers:
                if layer.digest not in written:
                    written.add(layer.digest)
                    yield saved.blob_header(layer)
                    async with self._registry.open_blob(references.source_of(image), layer.digest) as blob:
                        left = layer.size
                        async for piece in blob:
                            left -= len(piece)
                            if left < 0:
                                break
                            yield piece
                    _check_size(left, layer)
                    yield saved.padding(layer.size)
            for data in (await self._files.text(image), one.body):
                yield saved.blob_file(data)
        yield saved.directory_files([one for _, one in images]) + saved.END


def _check_size(left: int, layer: Descriptor) -> None:
    if left:
        raise Unavailable(
            f"layer {layer.digest} has not the {layer.size} bytes that its image's manifest says"
        )
