"""Imports: a tar of a whole file system becomes an image of one layer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import trio

from sockerless_ecs.engine.image_names import ImageNames, new_name
from sockerless_ecs.engine.image_repository import ImageRepository, OpenRepository, own_access
from sockerless_ecs.engine.values import ImportRequest, PullProgress
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Image, ImageConfig
from sockerless_ecs.model.instructions import changed
from sockerless_ecs.registry import Platform, Unpacked
from sockerless_ecs.registry.config import ConfigFile, Step, created_at, write_config
from sockerless_ecs.registry.layer_names import LayerNames
from sockerless_ecs.registry.layer_upload import LayerUpload, SentLayer
from sockerless_ecs.registry.manifest import OCI_LAYER
from sockerless_ecs.services.downloads import Download, download, shown_address
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import now_ns

_LARGEST_BYTES = 200 << 30
"""More than the largest Fargate task could unpack."""
_BODY = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """The image but for its files."""

    name: references.Reference | None
    platform: Platform
    config: ImageConfig
    message: str


class Importer:
    """Imports, any number at a time."""

    def __init__(self, *, repository: ImageRepository, names: ImageNames, bus: EventBus) -> None:
        self._repository = repository
        self._names = names
        self._bus = bus

    @asynccontextmanager
    async def import_(
        self, wanted: ImportRequest, platform: Platform, body: AsyncIterator[bytes]
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        """Progress, the new image's id last; entering raises what can be known before the files come.

        Iterating raises InvalidParameter for what is no whole tar, Unavailable when ECR fails. Nothing is
        recorded then: what ECR has of it no manifest names.
        """
        name = new_name(wanted.repository, wanted.tag) if wanted.repository else None
        if platform.os != "linux":
            raise InvalidParameter("operating system is not supported")
        config = changed(ImageConfig(), wanted.changes)
        source = _BODY if wanted.source == _BODY else shown_address(wanted.source)
        message = wanted.message or f"Imported from {source}"
        draft = _Draft(name=name, platform=platform, config=config, message=message)
        if source == _BODY:
            async with aclosing(self._imported(draft, body)) as progress:
                yield progress
            return
        async with download(wanted.source) as found, aclosing(self._downloaded(draft, found)) as progress:
            yield progress

    async def _downloaded(self, draft: _Draft, found: Download) -> AsyncGenerator[PullProgress, None]:
        yield PullProgress(status=f"Downloading from {found.address}")
        async with aclosing(self._imported(draft, found)) as progress:
            async for line in progress:
                yield line

    async def _imported(
        self, draft: _Draft, packed: AsyncIterator[bytes]
    ) -> AsyncGenerator[PullProgress, None]:
        with own_access():
            repository = await self._repository.open()
            upload = LayerUpload(repository.target, OCI_LAYER, "the archive")
            check, shown = LayerNames("the archive", InvalidParameter), 0
            async for piece in Unpacked(packed, _LARGEST_BYTES):
                await trio.to_thread.run_sync(check.feed, piece)
                check.entries.clear()  # that it has them is enough
                await upload.feed(piece)
                if isinstance(packed, Download) and upload.sent > shown:
                    shown = upload.sent
                    yield PullProgress(
                        status="Importing",
                        current_bytes=packed.received,
                        total_bytes=packed.size,
                        step=True,
                    )
            check.finish()
            image = await self._keep(draft, repository, await upload.finish())
        if draft.name is not None:
            self._tell("tag", image, references.familiar(draft.name))
        self._tell("import", image, image.id)
        yield PullProgress(status=image.id)

    async def _keep(self, draft: _Draft, repository: OpenRepository, layer: SentLayer) -> Image:
        created = created_at(now_ns())
        file = ConfigFile(
            config=draft.config,
            platform=draft.platform,
            created=created,
            author="",
            comment=draft.message,
            docker_version="",
            diff_ids=(layer.diff_id,),
            history=(Step(created=created, comment=draft.message),),
        )
        [kept] = await repository.keep(
            write_config(file), [layer.descriptor], [draft.name] if draft.name else [], draft.platform
        )
        await self._names.give(kept.image, kept.file)
        return kept.image

    def _tell(self, action: str, image: Image, name: str) -> None:
        self._bus.emit("image", action, image.id, {**image.config.labels, "name": name})
