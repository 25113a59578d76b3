"""A blob on its way into a repository: in chunks that can be sent again, or in one stream."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Protocol

import httpx

from sockerless_ecs.registry.answer import Answer
from sockerless_ecs.registry.retries import Retries, Transient

CHUNK_BYTES = 5 << 20
"""The least that ECR takes as a chunk which is not the last."""
_OCTETS = {"Content-Type": "application/octet-stream"}
_OK, _CREATED, _ACCEPTED, _NO_CONTENT, _MISSING, _ELSEWHERE = 200, 201, 202, 204, 404, 416
_RANGE = re.compile(r"(?:bytes=)?0-(?P<last>[0-9]+)")


class Once(Protocol):
    """One attempt at a request to the repository."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> Awaitable[Answer]:
        """Any status is an answer; raises Transient for what may pass."""


class BlobUpload:
    """Chunks in order or one stream, then the digest of it all.

    A chunk that a broken connection may have swallowed is sent again, where it belongs. What is left
    half-way (also by a cancellation) is forgotten by the registry after a while.
    """

    def __init__(
        self, once: Once, retries: Retries, expect: Callable[[Answer, int], None], registry: str
    ) -> None:
        self._once = once
        self._retries = retries
        self._expect = expect
        self._registry = registry
        self._location = ""
        self._sent = 0

    async def begin(self, digest: str = "", repository: str = "") -> bool:
        """Ask for the place to send to; False when there is no need to.

        That is when the registry takes the blob over from another repository (its path) of its own.
        """
        query = f"?{httpx.QueryParams({'mount': digest, 'from': repository})}" if repository else ""
        answer = await self._retries.call(partial(self._once, "POST", f"blobs/uploads/{query}", content=b""))
        if repository and answer.status == _CREATED:
            return False
        self._expect(answer, _ACCEPTED)
        self._go_on(answer)
        return True

    async def send(self, data: bytes) -> None:
        """One chunk: `CHUNK_BYTES`, or the last one."""
        await self._retries.call(_Chunk(self, data).attempt)

    async def stream(self, pieces: AsyncIterator[bytes], size: int, offset: int = 0) -> None:
        """The `size` bytes of the blob from `offset` on, as one request, as Docker sends layers.

        Raises `Transient` when it breaks: `received` tells from where to go on.
        """
        headers = {**_OCTETS, "Content-Length": str(size - offset)}
        if offset:
            headers["Content-Range"] = f"{offset}-{size - 1}"
        answer = await self._once("PATCH", self._location, headers=headers, content=pieces)
        if answer.status in (_MISSING, _ELSEWHERE):
            raise self._forgotten()
        self._expect(answer, _ACCEPTED)
        self._go_on(answer)

    async def received(self) -> int:
        """How much of the blob the registry has after a break; raises `Transient` when it does not say."""
        answer = await self._once("GET", self._location)
        last = _last(answer)
        if answer.status != _NO_CONTENT or not last:  # a registry says 0-0 of one byte, and of none
            raise self._forgotten()
        self._go_on(answer)
        return last + 1

    async def finish(self, digest: str) -> None:
        """All was sent; the registry checks that it is what the digest says."""
        target = str(httpx.URL(self._location).copy_merge_params({"digest": digest}))
        answer = await self._retries.call(partial(self._once, "PUT", target, headers=_OCTETS, content=b""))
        if answer.status == _NO_CONTENT:
            return
        self._expect(answer, _CREATED)

    async def patch(self, data: bytes) -> None:
        """Some bytes, behind those that the registry has; once, whatever becomes of it."""
        end = self._sent + len(data)
        headers = {**_OCTETS, "Content-Range": f"{self._sent}-{end - 1}"}
        answer = await self._once("PATCH", self._location, headers=headers, content=data)
        if answer.status == _ELSEWHERE and _last(answer) == end - 1:
            self._sent = end  # an attempt before arrived, its answer did not
            return
        if answer.status in (_MISSING, _ELSEWHERE):
            raise self._forgotten()
        self._expect(answer, _ACCEPTED)
        self._go_on(answer)
        self._sent = end

    @property
    def sent(self) -> int:
        """How many bytes the registry has for certain."""
        return self._sent

    async def look(self, most: int) -> None:
        """After a break see what the registry has, at most so much; nothing new where it does not say."""
        try:
            received = await self.received()
        except Transient:
            return
        if not self._sent <= received <= most:
            raise self._forgotten()
        self._sent = received

    def _forgotten(self) -> Transient:
        return Transient(f"registry {self._registry}: it forgot the upload")

    def _go_on(self, answer: Answer) -> None:
        self._location = str(httpx.URL(answer.url).join(answer.headers.get("Location", answer.url)))


class _Chunk:
    """A chunk that is sent until all of it has arrived, of what has arrived no byte twice."""

    def __init__(self, upload: BlobUpload, data: bytes) -> None:
        self._upload = upload
        self._data = data
        self._start = upload.sent
        self._broken = False

    async def attempt(self) -> None:
        end = self._start + len(self._data)
        if self._broken:
            await self._upload.look(end)
        self._broken = True
        if self._upload.sent < end:
            await self._upload.patch(self._data[self._upload.sent - self._start :])


def _last(answer: Answer) -> int | None:
    """The last byte that an answer says is there."""
    found = _RANGE.fullmatch(answer.headers.get("Range", ""))
    return int(found["last"]) if found else None
