"""A layer from one repository into another: not at all where it is there, else as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from enum import StrEnum

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.registry.push import RepositoryTarget
from sockerless_ecs.registry.retries import Transient
from sockerless_ecs.registry.upload import BlobUpload

OpenBlob = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
Told = Callable[[int], Awaitable[None]]
"""Is told how many bytes have gone; what it raises ends the copy."""


class Copied(StrEnum):
    """How a layer came to be where it was to go."""

    EXISTED = "Layer already exists"
    MOUNTED = "Mounted"
    PUSHED = "Pushed"


async def copy_blob(
    source: OpenBlob, target: RepositoryTarget, blob: Descriptor, told: Told, *, mount_from: str = ""
) -> Copied:
    """Bring a blob into a repository; `mount_from` is another one of the same registry that has it.

    What breaks on the way goes on from where the registry has it. Raises what the source raises, and
    `Unavailable` when the registry takes it no more. A cancellation leaves an upload that the registry
    forgets.
    """
    if await target.has_blob(blob.digest):
        return Copied.EXISTED
    if mount_from:
        begun = await target.mounted(blob.digest, mount_from)
        if begun is None:
            return Copied.MOUNTED
    else:
        begun = await target.upload()
    copy = _Copy(source, target, blob, told, begun)
    while True:
        before = copy.offset
        try:
            await target.retries.call(copy.attempt)
        except Unavailable:
            if copy.offset <= before:
                raise
        else:
            return Copied.PUSHED


class _Copy:
    def __init__(
        self, source: OpenBlob, target: RepositoryTarget, blob: Descriptor, told: Told, upload: BlobUpload
    ) -> None:
        self._source = source
        self._target = target
        self._blob = blob
        self._told = told
        self._upload = upload
        self._broken = False
        self.offset = 0
        """From where the last attempt went on."""

    async def attempt(self) -> None:
        self.offset = await self._received() if self._broken else 0
        self._broken = True
        if self.offset < self._blob.size:
            async with self._source() as pieces:
                rest = _Rest(pieces, self.offset, self._blob, self._told)
                await self._upload.stream(rest, self._blob.size, self.offset)
        await self._upload.finish(self._blob.digest)

    async def _received(self) -> int:
        """How much the broken upload has; nothing, of a new one, where it is gone."""
        try:
            return await self._upload.received()
        except Transient:
            self._upload = await self._target.upload()
            return 0


class _Rest:
    """What the registry does not have yet of a source, which verifies itself from its first byte on."""

    def __init__(self, pieces: AsyncIterator[bytes], offset: int, blob: Descriptor, told: Told) -> None:
        self._pieces = pieces
        self._offset = offset
        self._blob = blob
        self._told = told
        self._position = 0

    def __aiter__(self) -> _Rest:
        return self

    async def __anext__(self) -> bytes:
        new = b""
        while not new:
            piece = await anext(self._pieces, b"")
            known = self._offset - self._position
            self._position += len(piece)
            if self._position > self._blob.size or (not piece and self._position != self._blob.size):
                raise Unavailable(
                    f"layer {self._blob.digest} has not the {self._blob.size} bytes that its manifest says"
                )
            if not piece:
                raise StopAsyncIteration
            new = piece[max(0, known) :]
        await self._told(self._position)
        return new
