"""Images in a dict."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import trio

from sockerless_ecs.engine.contract import Credentials, Filters, ImageRemoved, PullProgress
from sockerless_ecs.errors import NotFound, SockerlessError, Unimplemented
from sockerless_ecs.model.image import Image, ImageConfig, ImageRef
from sockerless_ecs.model.reference import from_pull


class FakeImages:
    """Images that pull finds unless their name says `missing`."""

    def __init__(self) -> None:
        self.by_ref: dict[str, Image] = {}
        self.credentials: Credentials | None = None
        self.fails_on_the_way: SockerlessError | None = None

    @asynccontextmanager
    async def pull(
        self, reference: str, credentials: Credentials | None, platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        await trio.lowlevel.checkpoint()
        self.credentials = credentials
        wanted = from_pull(reference)
        if "missing" in reference:
            raise NotFound(f"pull access denied for {reference}, repository does not exist")
        image = Image(
            ref=ImageRef(wanted.full),
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

        async def progress() -> AsyncGenerator[PullProgress, None]:
            await trio.lowlevel.checkpoint()
            yield PullProgress(status="Pulling from library/alpine", id="3")
            if self.fails_on_the_way:
                raise self.fails_on_the_way
            self.by_ref[image.ref] = image
            yield PullProgress(status=f"Status: Downloaded newer image for {reference}")

        async with aclosing(progress()) as lines:
            yield lines

    async def inspect(self, name: str) -> Image:
        await trio.lowlevel.checkpoint()
        for image in self.by_ref.values():
            if name in (image.ref, image.id) or from_pull(name).full == image.ref:
                return image
        raise NotFound(f"No such image: {name}")

    async def names(self, image_id: str) -> Sequence[Image]:
        await trio.lowlevel.checkpoint()
        return [image for image in self.by_ref.values() if image.id == image_id]

    async def list(self, filters: Filters) -> Sequence[Image]:
        await trio.lowlevel.checkpoint()
        return list(self.by_ref.values())

    def load(self, body: AsyncIterator[bytes]) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        raise Unimplemented("image load is not implemented yet")

    async def tag(self, name: str, repository: str, tag: str) -> None:
        raise Unimplemented("image tag is not implemented yet")

    async def remove(self, name: str, *, force: bool = False) -> Sequence[ImageRemoved]:
        raise Unimplemented(f"image remove {name} is not implemented yet")
