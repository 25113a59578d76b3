"""Pushing images into one repository: what is small from memory, what is large in chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from functools import partial

import httpx

from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unauthorized, Unavailable
from sockerless_ecs.registry import manifest
from sockerless_ecs.registry.answer import Answer, error_text
from sockerless_ecs.registry.digest import digest_of, matches, verify
from sockerless_ecs.registry.login import Scope
from sockerless_ecs.registry.retries import Retries, Transient
from sockerless_ecs.registry.transport import Transport
from sockerless_ecs.registry.upload import BlobUpload

_LIMIT = 4 << 20
_OK, _CREATED, _ACCEPTED, _MISSING = 200, 201, 202, 404


class RepositoryTarget:
    """One repository, with the login to write there. What is there already is not sent again."""

    def __init__(self, transport: Transport, retries: Retries, registry: str, scope: Scope) -> None:
        self._transport = transport
        self.retries = retries
        self._registry = registry
        self._scope = scope

    async def has_manifest(self, ref: str) -> str | None:
        """The digest of the manifest with this tag or digest; None if there is none."""
        accept = {"Accept": manifest.ACCEPT}
        answer = await self._call("HEAD", f"manifests/{ref}", headers=accept)
        if answer.status == _MISSING:
            return None
        self._expect(answer, _OK)
        if answer.announced_digest:
            return answer.announced_digest
        answer = await self._call("GET", f"manifests/{ref}", headers=accept)
        self._expect(answer, _OK)
        return digest_of(answer.body)

    async def has_blob(self, digest: str) -> bool:
        """Whether it is there already."""
        return (await self._call("HEAD", f"blobs/{digest}")).status == _OK

    async def push_blob(self, digest: str, data: bytes) -> None:
        """Store a blob. Cancelling may leave an upload that the registry forgets by itself."""
        if not matches(digest, data):
            raise InvalidParameter(f"the blob is not {digest}")
        if not await self.has_blob(digest):
            await self.retries.call(partial(self._upload, digest, data))

    async def upload(self) -> BlobUpload:
        """Begin to store a blob whose digest its end will tell."""
        upload = BlobUpload(self._once, self.retries, self._expect, self._registry)
        await upload.begin()
        return upload

    async def mounted(self, digest: str, repository: str) -> BlobUpload | None:
        """None when the blob was taken over from another repository of the registry, else a begun upload."""
        upload = BlobUpload(self._once, self.retries, self._expect, self._registry)
        return upload if await upload.begin(digest, repository) else None

    async def push_manifest(self, ref: str, media_type: str, data: bytes) -> None:
        """Store a manifest under a tag or its digest; what it names must be there."""
        headers = {"Content-Type": media_type}
        answer = await self._call("PUT", f"manifests/{ref}", headers=headers, content=data)
        self._expect(answer, _OK, _CREATED, _ACCEPTED)
        if answer.announced_digest:
            verify(answer.announced_digest, data, f"{self._registry}/{self._scope.repository}")

    async def _upload(self, digest: str, data: bytes) -> None:
        answer = await self._once("POST", "blobs/uploads/", content=b"")
        if answer.status == _CREATED:
            return
        self._expect(answer, _ACCEPTED)
        location = httpx.URL(answer.url).join(answer.headers.get("Location", ""))
        target = str(location.copy_merge_params({"digest": digest}))
        kind = {"Content-Type": "application/octet-stream"}
        answer = await self._once("PUT", target, headers=kind, content=data)
        if answer.status == _MISSING:
            raise Transient(f"registry {self._registry}: it forgot the upload")
        self._expect(answer, _OK, _CREATED, _ACCEPTED)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Answer:
        return await self.retries.call(partial(self._once, method, path, headers=headers, content=content))

    async def _once(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
    ) -> Answer:
        return await self._transport.request(
            method,
            path if path.startswith(("http://", "https://")) else f"v2/{self._scope.repository}/{path}",
            registry=self._registry,
            scope=self._scope,
            limit=_LIMIT,
            headers=headers,
            content=content,
        )

    def _expect(self, answer: Answer, *statuses: int) -> None:
        if answer.status in statuses:
            return
        raise self._failure(answer)

    def _failure(self, answer: Answer) -> SockerlessError:
        where = f"{self._registry}/{self._scope.repository}"
        detail = error_text(answer) or f"HTTP {answer.status}"
        match answer.status:
            case 401 | 403:
                return Unauthorized(f"push to {where} is denied: {detail}")
            case 404:
                return NotFound(f"push to {where} failed: {detail}")
            case 400 | 413 | 415:
                return InvalidParameter(f"push to {where} is refused: {detail}")
        return Unavailable(f"push to {where} failed: {detail}")
