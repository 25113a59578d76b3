"""Pushing: what a registry lacks of an image goes there from where the image is, a few layers at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial

import trio

from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_names import ImageNames
from sockerless_ecs.engine.progress import Teller, telling
from sockerless_ecs.engine.values import PullProgress
from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Descriptor, Image
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.registry import Login, Platform, RegistryClient, RepositoryTarget, made_for
from sockerless_ecs.registry.copying import Copied, copy_blob
from sockerless_ecs.registry.manifest import is_foreign
from sockerless_ecs.registry.words import check_platform
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger

_SHORT = 12
_AT_ONCE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Route:
    """From where to where."""

    source: Reference
    wanted: Reference
    target: RepositoryTarget


class Pusher:
    """Pushes what names mean, any number of them at a time."""

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

    def push(
        self, wanted: Reference, login: Login | None, platform: Platform | None
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """Push a tag, or every tag of a repository; as Docker has it, iterating raises what is wrong.

        A manifest goes last: what fails or is cancelled half-way leaves no name in the registry, and layers
        that the next push need not send again.
        """
        return telling(partial(self._push, wanted, login, platform))

    async def _push(
        self, wanted: Reference, login: Login | None, platform: Platform | None, teller: Teller
    ) -> None:
        await teller.say(PullProgress(status=f"The push refers to repository [{wanted.name}]"))
        for image in self._found(wanted):
            check_platform(made_for(image), platform, references.familiar(wanted))
            await self._push_one(image, login, teller)
        name = references.familiar(wanted)
        self._bus.emit("image", "push", name, {"name": references.familiar_name(wanted)})

    def _found(self, wanted: Reference) -> Sequence[Image]:
        if wanted.digest is not None:
            raise InvalidParameter("cannot push a digest reference")
        mine = [image for image, _ in self._names.tagged(wanted.name)]
        if not mine:
            short = references.familiar_name(wanted)
            raise NotFound(f"An image does not exist locally with the tag: {short}")
        if wanted.tag is None:
            return mine
        found = [image for image in mine if image.ref == wanted.full]
        if not found:
            raise NotFound(f"tag does not exist: {references.familiar(wanted)}")
        return found

    async def _push_one(self, image: Image, login: Login | None, teller: Teller) -> None:
        wanted, source = references.parse(image.ref), references.source_of(image)
        route = _Route(source=source, wanted=wanted, target=self._registry.repository(wanted, login))
        body, manifest = await self._registry.raw_manifest(source)
        await self._layers(
            route, dict(zip(manifest.layers, _short_ids(image, manifest.layers), strict=True)), teller
        )
        await route.target.push_blob(manifest.config.digest, await self._files.text(image))
        assert wanted.tag is not None
        await route.target.push_manifest(wanted.tag, manifest.media_type, body)
        digest = image.manifest_digest
        await self._remember(image, digest)
        await teller.say(PullProgress(status=f"{wanted.tag}: digest: {digest} size: {len(body)}"))
        await teller.say(PullProgress(pushed=(wanted.tag, digest, len(body)), step=True))

    async def _layers(self, route: _Route, layers: dict[Descriptor, str], teller: Teller) -> None:
        for short in layers.values():
            await teller.say(PullProgress(status="Preparing", id=short, step=True))
        limit, failures = trio.CapacityLimiter(_AT_ONCE), list[SockerlessError]()

        async def push(layer: Descriptor, short: str) -> None:
            try:
                async with limit:
                    await self._layer(route, layer, short, teller)
            except SockerlessError as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for layer, short in layers.items():
                nursery.start_soon(push, layer, short)
        if failures:
            raise failures[0]

    async def _layer(self, route: _Route, layer: Descriptor, short: str, teller: Teller) -> None:
        if is_foreign(layer):
            await teller.say(PullProgress(status="Skipped foreign layer", id=short, step=True))
            return
        mount_from = self._mountable(route, layer)
        copied = await copy_blob(
            partial(self._registry.open_blob, route.source, layer.digest),
            route.target,
            layer,
            teller.bar("Pushing", short, layer.size),
            mount_from=mount_from,
        )
        status = f"Mounted from {mount_from}" if copied is Copied.MOUNTED else str(copied)
        await teller.say(PullProgress(status=status, id=short, step=True))

    def _mountable(self, route: _Route, layer: Descriptor) -> str:
        """Another repository of the registry that has the layer, as far as we know; empty = none."""
        if route.source.registry == route.wanted.registry:
            return route.source.repository
        for image in self._ledger.images.values():
            if image.digest and layer in image.blobs:
                named = references.parse(image.ref)
                if named.registry == route.wanted.registry and named.name != route.wanted.name:
                    return named.repository
        return ""

    async def _remember(self, image: Image, digest: str) -> None:
        """The registry knows this name by this digest now, if the name still means the image."""
        if self._ledger.images.get(image.ref) is image and image.digest != digest:
            await self._names.change(put=[replace(image, digest=digest)], drop=())


def _short_ids(image: Image, layers: Sequence[Descriptor]) -> Sequence[str]:
    """Docker calls a layer by what it is unpacked, where that is known."""
    digests = image.layers if len(image.layers) == len(layers) else [layer.digest for layer in layers]
    return [digest.partition(":")[2][:_SHORT] for digest in digests]
