"""A blob on its way into a repository, in chunks, as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import httpx

from sockerless_ecs.registry.answer import Answer
from sockerless_ecs.registry.retries import Retries, Transient

CHUNK_BYTES = 5 << 20
"""The least that ECR takes as a chunk which is not the last."""
_OCTETS = {"Content-Type": "application/octet-stream"}
_OK, _CREATED, _ACCEPTED, _NO_CONTENT, _MISSING, _ELSEWHERE = 200, 201, 202, 204, 404, 416


class Once(Protocol):
    """One attempt at a request to the repository."""

    def __call__(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> Awaitable[Answer]:
        """Any status is an answer; raises Transient for what may pass."""


class BlobUpload:
    """Chunks in order, then the digest that they have together.

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

    async def begin(self) -> None:
        """Ask for the place to send to."""
        answer = await self._retries.call(partial(self._once, "POST", "blobs/uploads/", content=b""))
        self._expect(answer, _ACCEPTED)
        self._go_on(answer)

    async def send(self, data: bytes) -> None:
        """One chunk: `CHUNK_BYTES`, or the last one."""
        await self._retries.call(partial(self._patch, data))

    async def finish(self, digest: str) -> None:
        """All was sent; the registry checks that it is what the digest says."""
        target = str(httpx.URL(self._location).copy_merge_params({"digest": digest}))
        answer = await self._retries.call(partial(self._once, "PUT", target, headers=_OCTETS, content=b""))
        if answer.status == _NO_CONTENT:
            return
        self._expect(answer, _CREATED)

    async def _patch(self, data: bytes) -> None:
        end = self._sent + len(data)
        headers = {**_OCTETS, "Content-Range": f"{self._sent}-{end - 1}"}
        answer = await self._once("PATCH", self._location, headers=headers, content=data)
        if answer.status == _ELSEWHERE and answer.headers.get("Range", "").endswith(f"-{end - 1}"):
            self._sent = end  # the last attempt arrived, its answer did not
            return
        if answer.status == _MISSING:
            raise Transient(f"registry {self._registry}: it forgot the upload")
        self._expect(answer, _ACCEPTED)
        self._go_on(answer)
        self._sent = end

    def _go_on(self, answer: Answer) -> None:
        self._location = str(httpx.URL(answer.url).join(answer.headers.get("Location", answer.url)))
