"""Images by their metadata: ECS pulls the layers itself, the daemon only has to know the truth."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace

from sockerless_ecs.engine import image_listing
from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.image_files import ImageFiles
from sockerless_ecs.engine.image_history import history
from sockerless_ecs.engine.image_names import ImageNames, new_name
from sockerless_ecs.engine.image_pruning import Pruner
from sockerless_ecs.engine.image_pulling import Puller
from sockerless_ecs.engine.image_pushing import Pusher
from sockerless_ecs.engine.image_removal import removal
from sockerless_ecs.engine.image_saving import Saver
from sockerless_ecs.engine.importing import Importer
from sockerless_ecs.engine.loading import Loader
from sockerless_ecs.engine.registries import login_of
from sockerless_ecs.engine.values import (
    Credentials,
    ImageRemoved,
    ImagesPruned,
    ImageStep,
    ImportRequest,
    PullProgress,
)
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Image
from sockerless_ecs.registry import Platform, made_for, parse_platform
from sockerless_ecs.registry.config import read_config
from sockerless_ecs.registry.words import check_platform
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, now_ns


class EngineImages:
    """What was pulled or loaded, by full reference and by id."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        names: ImageNames,
        bus: EventBus,
        architecture: str,
        puller: Puller,
        loader: Loader,
        pusher: Pusher,
        saver: Saver,
        files: ImageFiles,
        pruner: Pruner,
        importer: Importer,
    ) -> None:
        self._ledger = ledger
        self._names = names
        self._bus = bus
        self._platform = Platform(architecture={"x86_64": "amd64"}.get(architecture, architecture))
        self._puller = puller
        self._loader = loader
        self._pusher = pusher
        self._saver = saver
        self._files = files
        self._pruner = pruner
        self._importer = importer

    def pull(
        self,
        reference: str,
        credentials: Credentials | None,
        platform: str | None = None,
        *,
        all_tags: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """Progress; calling or entering raises what is wrong before any answer."""
        if not reference or reference.startswith(":"):
            raise InvalidParameter("no image to pull was named")
        chosen = self._asked(platform) or self._platform
        login = login_of(credentials)
        if all_tags:
            return self._puller.pull_all(references.parse(reference), login, chosen)
        return self._puller.pull(references.from_pull(reference), login, chosen)

    def find(self, name: str) -> Image:
        """An image by reference, digest or id; raises NotFound in Docker's words."""
        if not name:
            raise InvalidParameter("no image was named")
        return self._names.find(name)

    def _asked(self, platform: str | None) -> Platform | None:
        return parse_platform(platform, self._platform.architecture) if platform else None

    def check_platform(self, image: Image, name: str, platform: str | None) -> None:
        """Raises NotFound, in the words that have clients pull, for an image of another platform."""
        check_platform(made_for(image), self._asked(platform), name)

    async def inspect(self, name: str, platform: str | None = None) -> Image:
        """By reference or id; NotFound also for one that was made for another platform."""
        image = self.find(name)
        self.check_platform(image, name, platform)
        return image

    async def names(self, image_id: str) -> Sequence[Image]:
        """Every record with this id (its tags and digests)."""
        return self._names.of(image_id)

    async def list(self, filters: Filters) -> Sequence[Image]:
        """All that pass; of an image with several names only those that pass."""
        return image_listing.listed(list(self._ledger.images.values()), filters, self.find)

    @asynccontextmanager
    async def load(
        self, body: AsyncIterator[bytes], platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        """From a tar (docker-archive or OCI layout), streamed to ECR; the last lines name what was loaded.

        Nothing is recorded before all of it is in ECR: what was pushed of a load that fails is named by no
        manifest there. Iterating raises InvalidParameter for what is no image or has none for `platform`,
        Unavailable when ECR fails.
        """
        async with aclosing(self._loaded(body, self._asked(platform))) as progress:
            yield progress

    async def _loaded(
        self, body: AsyncIterator[bytes], only: Platform | None
    ) -> AsyncGenerator[PullProgress, None]:
        loading = self._loader.load(body, self._platform, only)
        async with aclosing(loading.progress()) as progress:
            async for line in progress:
                yield line
        for found in loading.images:
            image = found.image
            await self._names.give(image, found.file)
            self._tell("load", image, image.id)
            if image.nameless:
                yield PullProgress(stream=f"Loaded image ID: {image.id}\n")
            else:
                short = references.familiar(references.parse(image.ref))
                yield PullProgress(stream=f"Loaded image: {short}\n")

    def push(
        self, reference: str, tag: str, credentials: Credentials | None, platform: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """Every tag of a repository, or one; iterating raises what is wrong, after the first line."""
        wanted = references.parse(reference)
        if tag:
            if not references.is_tag(tag):
                raise InvalidParameter("invalid tag format")
            wanted = replace(wanted, tag=tag)
        return self._pusher.push(wanted, login_of(credentials), self._asked(platform))

    def save(
        self, names: Sequence[str], platform: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A tar of images; entering raises NotFound, leaving what broke on the way."""
        return self._saver.save(names, self._asked(platform))

    def import_(
        self, wanted: ImportRequest, body: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """A tar of a file system, as an image of one layer; the last line is its id.

        Calling or entering raises what is wrong with the request, iterating InvalidParameter for what is no
        tar, Unavailable when ECR or the address fails. Nothing is recorded then.
        """
        platform = self._asked(wanted.platform) or self._platform
        return self._importer.import_(wanted, platform, body)

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """One more name; what had it before loses it."""
        wanted = new_name(repository, tag)
        image = self.find(name)
        await self._names.give(self._names.renamed(image, wanted, now_ns()))
        self._tell("tag", image, references.familiar(wanted))

    async def remove(
        self, name: str, *, force: bool = False, platforms: Sequence[str] = ()
    ) -> Sequence[ImageRemoved]:
        """Forget a name, and with the last one the image; Conflict while a container uses it.

        Only this daemon's records go: nothing is removed in any registry, ECR's repository of loaded images
        included.
        """
        if not name:
            raise InvalidParameter("no image was named")
        image = self._names.find(name)
        for platform in platforms:
            self.check_platform(image, name, platform)
        users = [live.record for live in self._ledger if live.record.image_id == image.id]
        going = removal(name, image, self._names.of(image.id), users, force=force)
        await self._names.change(put=going.put, drop=going.drop)
        for action in going.events:
            self._tell(action, image, image.id)
        return going.steps

    async def history(self, name: str, platform: str | None = None) -> Sequence[ImageStep]:
        """How it came to be, newest first; raises NotFound, or Unavailable for a registry that is silent."""
        image = await self.inspect(name, platform)
        file = read_config(await self._files.text(image), image.id)
        return history(image, file.history, self._names.of)

    async def prune(self, filters: Filters) -> ImagesPruned:
        """Forget what no container uses: what has no tag, with `dangling=false` all of it."""
        return await self._pruner.prune(filters)

    def _tell(self, action: str, image: Image, name: str) -> None:
        self._bus.emit("image", action, image.id, {**image.config.labels, "name": name})
