"""Commits: what a container has made of its image becomes one more layer, and the two an image in ECR."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

import trio

from sockerless_ecs.engine.control import Control
from sockerless_ecs.engine.files import Files
from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_names import ImageNames, new_name
from sockerless_ecs.engine.image_repository import ImageRepository, OpenRepository, own_access
from sockerless_ecs.engine.merging import filled, image_config
from sockerless_ecs.engine.values import CommitRequest
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    Unavailable,
    Unimplemented,
)
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.image import Descriptor, Image, ImageConfig
from sockerless_ecs.model.instructions import changed
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.registry import Described, RegistryClient, made_for
from sockerless_ecs.registry.config import ConfigFile, Step, created_at, read_config, write_config
from sockerless_ecs.registry.copying import copy_blob
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer_upload import NO_FILES, LayerUpload, SentLayer
from sockerless_ecs.registry.manifest import OCI_LAYER, is_foreign, oci_layer
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Live, now_ns
from sockerless_ecs.services.supervisor import attributes

_MOST_LAYERS = 125
"""Docker's, and not many more than overlayfs can stack."""
_NOTHING = digest_of(NO_FILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parent:
    """The image of the container, as far as it goes into the new one."""

    image: Image
    file: ConfigFile
    layers: Sequence[Descriptor]
    """In our repository."""


class Committer:
    """Commits containers, any number at a time."""

    def __init__(
        self,
        *,
        names: ImageNames,
        image_files: ImageFiles,
        registry: RegistryClient,
        repository: ImageRepository,
        files: Files,
        control: Control,
        bus: EventBus,
    ) -> None:
        self._names = names
        self._image_files = image_files
        self._registry = registry
        self._repository = repository
        self._files = files
        self._control = control
        self._bus = bus

    async def commit(self, live: Live, wanted: CommitRequest) -> str:
        """The new image's id.

        The container stands still only while its own files are read, and goes on whatever becomes of this.
        Cancelled or failed it records nothing: what ECR has of it no manifest names.
        """
        name = new_name(wanted.repository, wanted.tag) if wanted.repository else None
        self._files.check_own(live, "commit")
        _check_there(live)
        config = _config(live.record, wanted)
        image = self._image(live.record)
        await self._control.settled(live)
        untouched = self._files.untouched(live)
        if not untouched:
            await self._files.present(live)
        with own_access():
            repository = await self._repository.open()
            parent = await self._bring(image, repository)
        layer = None if untouched else await self._layer(live, repository, pause=wanted.pause)
        file = _file(live.record, parent.file, layer, config, wanted)
        with own_access():
            kept = await _keep(repository, parent, file, layer, name)
        await self._names.give(kept.image, kept.file)
        self._tell(live, kept.image, wanted.comment, references.familiar(name) if name else "")
        return kept.image.id

    def _image(self, record: Container) -> Image:
        records = self._names.of(record.image_id)
        if not records:
            raise NotFound(f"No such image: {record.image_id}")
        return records[0]

    async def _bring(self, image: Image, repository: OpenRepository) -> _Parent:
        """Have the image's layers where the new image's are to be, each as it is."""
        source, there = references.source_of(image), references.parse(repository.name)
        file = read_config(await self._image_files.text(image), image.id)
        _, manifest = await self._registry.raw_manifest(source)
        if any(map(is_foreign, manifest.layers)):
            raise Unimplemented(
                f"container commit: {image.id} has a layer that only its maker's registry may have"
            )
        if len(manifest.layers) != len(file.diff_ids):
            raise Unavailable(f"the manifest and the configuration of {image.id} do not fit each other")
        if len(manifest.layers) >= _MOST_LAYERS:
            raise InvalidParameter("max depth exceeded")
        for layer in dict.fromkeys(manifest.layers):
            await copy_blob(
                partial(self._registry.open_blob, source, layer.digest),
                repository.target,
                layer,
                _untold,
                mount_from=source.repository if source.registry == there.registry else "",
            )
        return _Parent(image=image, file=file, layers=[oci_layer(layer) for layer in manifest.layers])

    async def _layer(self, live: Live, repository: OpenRepository, *, pause: bool) -> SentLayer | None:
        """The container's own; None where it has changed nothing."""
        with own_access():
            tree = await self._files.tree(live)
        upload = LayerUpload(repository.target, OCI_LAYER, "the container's layer")
        async with AsyncExitStack() as stack:
            if pause:
                await stack.enter_async_context(self._control.held(live))
            tar = await stack.enter_async_context(self._files.layer(live, tree))
            if tar is None:
                return None
            async for piece in tar:
                with own_access():
                    await upload.feed(piece)
        with own_access():
            layer = await upload.finish()
        return None if layer.diff_id == _NOTHING else layer

    def _tell(self, live: Live, image: Image, comment: str, name: str) -> None:
        if name:
            self._bus.emit("image", "tag", image.id, {**image.config.labels, "name": name})
        more = {"comment": comment, "imageID": image.id, "imageRef": name}
        self._bus.emit("container", "commit", live.id, {**attributes(live.record), **more})


def _check_there(live: Live) -> None:
    if live.record.state is State.DEAD:
        raise Conflict(f"You cannot commit container {live.id} which is Dead")
    if live.leaving:
        raise Conflict(f"You cannot commit container {live.id} which is being removed")


def _config(record: Container, wanted: CommitRequest) -> ImageConfig:
    own = image_config(record.config)
    return filled(changed(wanted.config or own, wanted.changes), own)


def _file(
    record: Container, parent: ConfigFile, layer: SentLayer | None, config: ImageConfig, wanted: CommitRequest
) -> ConfigFile:
    """The new image's configuration file."""
    created = created_at(now_ns())
    step = Step(
        created=created,
        created_by=" ".join(record.config.cmd or ()) or None,
        author=wanted.author or None,
        comment=wanted.comment or None,
        empty_layer=layer is None,
    )
    return replace(
        parent,
        config=config,
        created=created,
        author=wanted.author,
        comment="",
        docker_version="",
        container=record.id,
        diff_ids=(*parent.diff_ids, *([layer.diff_id] if layer else ())),
        history=(*parent.history, step),
    )


async def _keep(
    repository: OpenRepository,
    parent: _Parent,
    file: ConfigFile,
    layer: SentLayer | None,
    name: references.Reference | None,
) -> Described:
    [kept] = await repository.keep(
        write_config(file),
        [*parent.layers, *([layer.descriptor] if layer else ())],
        [name] if name else [],
        made_for(parent.image),
    )
    return replace(kept, image=replace(kept.image, parent=parent.image.id))


async def _untold(_: int) -> None:
    await trio.lowlevel.checkpoint()
