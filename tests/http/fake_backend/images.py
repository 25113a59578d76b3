"""Images in a dict."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace

import trio

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.values import (
    Credentials,
    ImageRemoved,
    ImagesPruned,
    ImageStep,
    ImportRequest,
    PullProgress,
)
from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError
from sockerless_ecs.model.image import Image, ImageConfig, ImageRef
from sockerless_ecs.model.reference import familiar, from_pull, parse

LOADED = "loaded:latest"


class FakeImages:
    """Images that pull finds unless their name says `missing`, and one that every load brings."""

    def __init__(self) -> None:
        self.by_ref: dict[str, Image] = {}
        self.credentials: Credentials | None = None
        self.pulled: list[tuple[str, str | None]] = []
        self.pushed: list[tuple[str, str]] = []
        self.platforms: list[str] = []
        self.filters: list[Filters] = []
        self.loaded_bytes = 0
        self.imported: list[ImportRequest] = []
        self.fails_on_the_way: SockerlessError | None = None

    @asynccontextmanager
    async def pull(
        self,
        reference: str,
        credentials: Credentials | None,
        platform: str | None = None,
        *,
        all_tags: bool = False,
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        await trio.lowlevel.checkpoint()
        self.credentials = credentials
        self.pulled.append((reference, platform))
        wanted = from_pull(reference)
        if "missing" in reference:
            raise NotFound(f"pull access denied for {reference}, repository does not exist")
        image = an_image(wanted.full)

        async def progress() -> AsyncGenerator[PullProgress, None]:
            await trio.lowlevel.checkpoint()
            yield PullProgress(status="Pulling from library/alpine", id="3")
            if self.fails_on_the_way:
                raise self.fails_on_the_way
            self.by_ref[image.ref] = image
            yield PullProgress(status=f"Status: Downloaded newer image for {reference}")

        async with aclosing(progress()) as lines:
            yield lines

    @asynccontextmanager
    async def push(
        self, reference: str, tag: str, credentials: Credentials | None, platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        self.credentials = credentials
        self.pushed.append((reference, tag))
        self.platforms += [platform] if platform else []
        digest = "sha256:" + "1" * 64

        async def progress() -> AsyncGenerator[PullProgress, None]:
            await trio.lowlevel.checkpoint()
            yield PullProgress(status=f"The push refers to repository [{reference}]")
            if "missing" in reference:
                raise NotFound(f"An image does not exist locally with the tag: {reference}")
            yield PullProgress(status="Pushing", id="a", current_bytes=1, total_bytes=2, step=True)
            yield PullProgress(status="Pushed", id="a", step=True)
            yield PullProgress(pushed=(tag, digest, 7), step=True)

        async with aclosing(progress()) as lines:
            yield lines

    @asynccontextmanager
    async def save(
        self, names: Sequence[str], platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        await trio.lowlevel.checkpoint()
        self.platforms += [platform] if platform else []
        for name in names:
            if "missing" in name:
                raise NotFound("reference does not exist")

        async def tar() -> AsyncGenerator[bytes, None]:
            for name in names:
                await trio.lowlevel.checkpoint()
                yield name.encode()
            if self.fails_on_the_way:
                raise self.fails_on_the_way

        async with aclosing(tar()) as pieces:
            yield pieces

    async def inspect(self, name: str, platform: str | None = None) -> Image:
        await trio.lowlevel.checkpoint()
        self.platforms += [platform] if platform else []
        for image in self.by_ref.values():
            if name in (image.ref, image.id) or from_pull(name).full == image.ref:
                return image
        raise NotFound(f"No such image: {name}")

    async def names(self, image_id: str) -> Sequence[Image]:
        await trio.lowlevel.checkpoint()
        return [image for image in self.by_ref.values() if image.id == image_id]

    async def list(self, filters: Filters) -> Sequence[Image]:
        await trio.lowlevel.checkpoint()
        self.filters.append(filters)
        return list(self.by_ref.values())

    @asynccontextmanager
    async def load(
        self, body: AsyncIterator[bytes], platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        self.platforms += [platform] if platform else []

        async def progress() -> AsyncGenerator[PullProgress, None]:
            async for piece in body:
                if not self.loaded_bytes and piece.startswith(b"nonsense"):
                    raise InvalidParameter("not a tar archive: bad checksum")
                self.loaded_bytes += len(piece)
            yield PullProgress(status="Loading layer", id="abc", current_bytes=1, total_bytes=2)
            if self.fails_on_the_way:
                raise self.fails_on_the_way
            self.by_ref[parse(LOADED).full] = an_image(parse(LOADED).full)
            yield PullProgress(stream=f"Loaded image: {LOADED}\n")

        async with aclosing(progress()) as lines:
            yield lines

    @asynccontextmanager
    async def import_(
        self, wanted: ImportRequest, body: AsyncIterator[bytes]
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        await trio.lowlevel.checkpoint()
        if "BAD" in wanted.repository:
            raise InvalidParameter("invalid reference format: repository name must be lowercase")

        async def progress() -> AsyncGenerator[PullProgress, None]:
            if wanted.source != "-":
                yield PullProgress(status=f"Downloading from {wanted.source}")
            async for piece in body:
                if piece.startswith(b"nonsense"):
                    raise InvalidParameter("the archive is no tar: bad checksum")
                self.loaded_bytes += len(piece)
            if self.fails_on_the_way:
                raise self.fails_on_the_way
            self.imported.append(wanted)
            yield PullProgress(status="sha256:" + "a" * 64)

        async with aclosing(progress()) as lines:
            yield lines

    async def tag(self, name: str, repository: str, tag: str) -> None:
        image = await self.inspect(name)
        wanted = from_pull(f"{repository}:{tag}" if tag else repository).full
        self.by_ref[wanted] = replace(image, ref=wanted)

    async def remove(
        self, name: str, *, force: bool = False, platforms: Sequence[str] = ()
    ) -> Sequence[ImageRemoved]:
        self.platforms += platforms
        image = await self.inspect(name)
        del self.by_ref[image.ref]
        steps = [ImageRemoved(untagged=familiar(parse(image.ref)))]
        return steps if await self.names(image.id) else [*steps, ImageRemoved(deleted=image.id)]

    async def history(self, name: str, platform: str | None = None) -> Sequence[ImageStep]:
        image = await self.inspect(name, platform)
        tags = tuple(familiar(parse(one.ref)) for one in await self.names(image.id))
        return [
            ImageStep(
                id=image.id,
                created_ns=1_767_323_045_000_000_000,
                created_by="CMD sh",
                comment="c",
                size_bytes=0,
                tags=tags,
            ),
            ImageStep(id="<missing>", created_ns=None, created_by="ADD /", comment="", size_bytes=7),
        ]

    async def prune(self, filters: Filters) -> ImagesPruned:
        await trio.lowlevel.checkpoint()
        self.filters.append(filters)
        gone, self.by_ref = list(self.by_ref.values()), {}
        if not gone:
            return ImagesPruned()
        steps = [ImageRemoved(untagged=familiar(parse(image.ref))) for image in gone]
        return ImagesPruned(steps=(*steps, ImageRemoved(deleted=gone[0].id)), reclaimed_bytes=7)


def an_image(ref: ImageRef) -> Image:
    """The one that there is, under a name."""
    return Image(
        ref=ref,
        id="sha256:" + "a" * 64,
        digest="sha256:" + "b" * 64,
        manifest_digest="sha256:" + "c" * 64,
        config=ImageConfig(env=("PATH=/bin",), cmd=("sh",)),
        architecture="amd64",
        created="2026-01-02T03:04:05Z",
        size_bytes=7,
        layers=("sha256:" + "d" * 64,),
        pulled_ns=1_700_000_000_000_000_000,
    )
