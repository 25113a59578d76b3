"""A layer of unknown length on its way into a repository: its digests are found while it is sent."""

from __future__ import annotations

from dataclasses import dataclass

import trio

from sockerless_ecs.errors import InvalidParameter, SockerlessError
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.registry.layer import LayerDigest
from sockerless_ecs.registry.push import RepositoryTarget
from sockerless_ecs.registry.upload import CHUNK_BYTES, BlobUpload

NO_FILES = bytes(1024)
"""The tar without an entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLayer:
    """A layer that the repository has now."""

    descriptor: Descriptor
    diff_id: str
    """Of what it unpacks to; empty where that was not looked at."""


class LayerUpload:
    """Takes a layer in pieces of any size and sends it a chunk at a time; two chunks are held at most.

    Raises InvalidParameter for a layer that is corrupt, what a push raises for one that cannot be stored.
    What is left half-way (also by a cancellation) is forgotten by the registry after a while.
    """

    def __init__(self, target: RepositoryTarget, media_type: str, name: str) -> None:
        self._target = target
        self._media_type = media_type
        self._hash = LayerDigest(media_type, name)
        self._upload: BlobUpload | None = None
        self._waiting = bytearray()
        self.sent = 0
        """So many bytes of it."""

    @property
    def digest(self) -> str:
        """Of what was sent."""
        return self._hash.digest

    async def feed(self, piece: bytes) -> None:
        """More of it."""
        self._waiting += piece
        while len(self._waiting) >= CHUNK_BYTES:
            await self._send(CHUNK_BYTES)

    async def flush(self) -> None:
        """There is no more: send what waits. Nothing at all is a tar without files: ECR takes no less."""
        if not self.sent:
            self._waiting = self._waiting or bytearray(NO_FILES)
        if self._waiting:
            await self._send(len(self._waiting))

    async def finish(self) -> SentLayer:
        """Have it stored under its digest."""
        await self.flush()
        assert self._upload is not None
        await self._upload.finish(self.digest)
        stored = Descriptor(digest=self.digest, size=self.sent, media_type=self._media_type)
        return SentLayer(descriptor=stored, diff_id=self._hash.diff_id)

    async def _send(self, size: int) -> None:
        """One chunk: a thread looks at it meanwhile."""
        chunk = bytes(self._waiting[:size])
        del self._waiting[:size]
        upload = self._upload = self._upload or await self._target.upload()
        failures: list[SockerlessError] = []

        async def look() -> None:
            try:
                await trio.to_thread.run_sync(self._hash.feed, chunk)
            except InvalidParameter as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            try:
                await upload.send(chunk)
            except SockerlessError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        self.sent += size
