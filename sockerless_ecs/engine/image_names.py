"""What images are called: every name finds its image, and a name that moves leaves its image findable."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace

import trio

from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Image, ImageFile, ImageRef
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.store.contract import Delete, Put

_ID = re.compile(r"(?:sha256:)?(?P<digits>[a-f0-9]{1,64})")


class ImageNames:
    """The records of images in the ledger, kept so that no image is lost by losing its name."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def of(self, image_id: str) -> Sequence[Image]:
        """Every record of an image, by name."""
        mine = [image for image in self._ledger.images.values() if image.id == image_id]
        return sorted(mine, key=lambda image: image.ref)

    def tagged(self, name: str) -> Sequence[tuple[Image, references.Reference]]:
        """What the tags of a repository (`docker.io/library/alpine`) mean, by tag."""
        named = [
            (image, references.parse(image.ref))
            for image in self._ledger.images.values()
            if not image.nameless
        ]
        mine = [(image, found) for image, found in named if found.name == name and found.digest is None]
        return sorted(mine, key=lambda one: one[0].ref)

    def find(self, name: str) -> Image:
        """By reference, digest, id or the beginning of one; raises NotFound in Docker's words."""
        if found := self._by_id(name) if references.is_image_id(name) else None:
            return found
        try:
            wanted = references.from_pull(name)
        except InvalidParameter:
            if references.is_image_id(name):
                raise NotFound(f"No such image: {name}") from None
            raise
        found = self._ledger.images.get(wanted.full) or self._by_digest(wanted) or self._by_id(name)
        if found is None:
            raise NotFound(f"No such image: {references.familiar(wanted)}")
        return found

    def _by_digest(self, wanted: references.Reference) -> Image | None:
        """`alpine@sha256:…`, where that came as `alpine:3`."""
        if wanted.digest is None:
            return None
        for image in self._ledger.images.values():
            mine = not image.nameless and references.parse(image.ref).name == wanted.name
            if mine and image.digest and wanted.digest in (image.digest, image.manifest_digest):
                return image
        return None

    def _by_id(self, name: str) -> Image | None:
        if not (looks := _ID.fullmatch(name)):
            return None
        found = {
            image.id: image
            for image in self._ledger.images.values()
            if image.id.removeprefix("sha256:").startswith(looks["digits"])
        }
        if len(found) > 1:
            raise InvalidParameter(f"image id prefix {name} is ambiguous")
        return next(iter(found.values()), None)

    def renamed(self, image: Image, wanted: references.Reference, given_ns: int) -> Image:
        """The record of one more name; registries know the image only by where it came from."""
        at = references.source_of(image).name
        home = not image.nameless and references.parse(image.ref).name == wanted.name
        return replace(
            image,
            ref=wanted.full,
            digest=image.digest if home else "",
            repository="" if at == wanted.name else at,
            pulled_ns=given_ns,
        )

    async def give(self, image: Image, file: ImageFile | None = None) -> None:
        """Let a name mean this image. The one that it meant before stays under its digest or its id.

        `file` is its configuration file, where that is not kept yet.
        """
        put, drop = [image], []
        before = self._ledger.images.get(image.ref)
        if before is not None and before.id != image.id and len(self.of(before.id)) == 1:
            put.append(left_alone(before))
        if not image.nameless and ImageRef(image.id) in self._ledger.images:
            drop.append(ImageRef(image.id))
        await self.change(put=put, drop=drop, files=[file] if file else [])

    async def change(
        self, *, put: Collection[Image], drop: Collection[ImageRef], files: Collection[ImageFile] = ()
    ) -> None:
        """Keep and forget records, in the store and in memory alike, whoever is cancelled.

        With an image's last record goes its configuration file.
        """
        images = self._ledger.images
        left = {image.id for ref, image in images.items() if ref not in drop} | {image.id for image in put}
        gone = {images[ref].id for ref in drop if ref in images} - left
        with trio.CancelScope(shield=True):
            await self._ledger.save(
                *(Delete(Image, ref) for ref in drop),
                *(Delete(ImageFile, image_id) for image_id in gone),
                *(Put(image) for image in put),
                *(Put(file) for file in files),
            )
        for ref in drop:
            self._ledger.images.pop(ref, None)
        for image in put:
            self._ledger.images[image.ref] = image


def new_name(repository: str, tag: str) -> references.Reference:
    """What Docker makes of the two parameters that name an image; raises InvalidParameter in its words."""
    wanted = references.parse(repository)
    if wanted.digest is not None:
        raise InvalidParameter("cannot import digest reference")
    if tag:
        if not references.is_tag(tag):
            raise InvalidParameter("invalid tag format")
        wanted = replace(wanted, tag=tag)
    if wanted.repository == "library/sha256":
        raise InvalidParameter("refusing to create an ambiguous tag using digest algorithm as name")
    return wanted.or_latest()


def left_alone(image: Image) -> Image:
    """The record of an image whose last tag went: under its digest where a registry gave one, else its id."""
    if image.digest:
        return replace(image, ref=ImageRef(f"{references.parse(image.ref).name}@{image.digest}"))
    at = references.source_of(image).name
    return replace(image, ref=ImageRef(image.id), digest="", repository=at)
