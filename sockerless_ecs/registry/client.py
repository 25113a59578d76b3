"""The client of OCI registries: what an image is, without its layers."""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Self

import httpx
import msgspec

from sockerless_ecs.errors import NotFound, Unauthorized, Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.offers import FoundRepository, Offer
from sockerless_ecs.model.reference import Reference, familiar
from sockerless_ecs.registry import manifest
from sockerless_ecs.registry.addresses import Addresses
from sockerless_ecs.registry.answer import Answer, error_text
from sockerless_ecs.registry.blob import Sink, streamed
from sockerless_ecs.registry.config import decode, read_config
from sockerless_ecs.registry.described import Described, Named, described
from sockerless_ecs.registry.digest import digest_of, is_digest, verify
from sockerless_ecs.registry.login import Login, Logins, Scope
from sockerless_ecs.registry.offered import config_platforms, index_platforms
from sockerless_ecs.registry.platform import Platform
from sockerless_ecs.registry.push import RepositoryTarget
from sockerless_ecs.registry.retries import Retries
from sockerless_ecs.registry.search import search
from sockerless_ecs.registry.transport import Credentials, Transport
from sockerless_ecs.registry.words import check_platform, pull_failure

_QUESTIONS_AT_ONCE = 32
_MANIFEST_LIMIT = 4 << 20
_CONFIG_LIMIT = 4 << 20
_DEEPEST_INDEX = 3
_OK, _PARTIAL, _UNAUTHORIZED, _FORBIDDEN, _MISSING = 200, 206, 401, 403, 404
_MOST_PAGES = 1_000
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")

Kept = Callable[[str], Awaitable[bytes | None]]
"""Digest of a configuration file → the file, where it is known already."""


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class RegistryClient:
    """Asks registries what images are.

    `mirrors` maps a registry's name to the URL that stands in for it, always and alone, and is trusted with
    that registry's credentials. `insecure` registries, and all on loopback, speak plain HTTP.
    `credentials` is asked when a registry wants a login and the caller gave none.
    """

    def __init__(
        self,
        mirrors: Mapping[str, str],
        insecure: Collection[str],
        credentials: Credentials,
        *,
        retries: Retries | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        trust = httpx.create_ssl_context(verify=verify)
        self._questions = _http(trust, _QUESTIONS_AT_ONCE)
        # A stream lasts as long as who reads it likes: it must not take a question's place, nor wait for one.
        self._streams = _http(trust, None)
        self._transport = Transport(self._questions, self._streams, credentials)
        self._addresses = Addresses(mirrors, insecure)
        self._retries = retries or Retries()
        self._logins = Logins()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._questions.aclose()
        await self._streams.aclose()

    async def named(self, reference: Reference, login: Login | None = None) -> Named | None:
        """What a reference names now, by one small request.

        None where the registry does not say: `resolve` then tells why.
        """
        try:
            answer = await self._get(
                reference, f"manifests/{reference.wanted}", login, _MANIFEST_LIMIT, method="HEAD"
            )
        except (Unauthorized, Unavailable):
            return None
        announced = answer.announced_digest
        if answer.status != _OK or not is_digest(announced):
            return None
        return Named(digest=announced, login=answer.login)

    async def resolve(
        self,
        reference: Reference,
        platform: Platform,
        login: Login | None = None,
        *,
        kept: Kept | None = None,
    ) -> Described:
        """What a reference names for a platform. Every digest on the way is verified.

        A configuration that `kept` has is not asked for. Raises `NotFound`, `Unauthorized` or
        `InvalidParameter` in Docker's words, `Unavailable` for a registry that does not answer or not as a
        registry does. `pulled_ns` is the caller's to set. What the image is made of can be read with this
        login from then on, as long as this client lives.
        """
        name = familiar(reference.or_latest())
        answer, digest, found = await self._fetched(reference, reference.wanted, login)
        top, asked_for = digest, answer.login
        for _ in range(_DEEPEST_INDEX):
            if isinstance(found, manifest.Manifest):
                break
            chosen = manifest.choose(found, platform, name)
            _, digest, found = await self._fetched(reference, chosen.digest, login)
        if not isinstance(found, manifest.Manifest):
            raise Unavailable(f"{name}: its index nests too deep")
        text = await kept(found.config.digest) if kept else None
        if text is None:
            text = await self.config(reference, found.config, login)
        file = read_config(text, name)
        check_platform(file.platform, platform, name)
        if login is not None:
            self._logins.keep(reference.name, login)
        return described(
            reference.full,
            found.config,
            text,
            file,
            found.layers,
            digest=top,
            manifest_digest=digest,
            platform=platform,
            login=asked_for,
        )

    async def check_login(self, registry: str, login: Login) -> str:
        """What stands for this login from now on, empty where the registry gives no such token.

        Raises `Unauthorized` when the registry does not take this login.
        """
        scope = Scope(base_url=self._addresses.base_url(registry), login=login, checked=True)
        request = partial(
            self._transport.request, "GET", "v2/", registry=registry, scope=scope, limit=_MANIFEST_LIMIT
        )
        answer = await self._retries.call(request)
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            detail = error_text(answer) or "incorrect username or password"
            raise Unauthorized(f"login attempt to {registry} failed: {detail}")
        if answer.status != _OK:
            raise Unavailable(f"{registry} answered {answer.status}: is it a registry?")
        return answer.identity_token or login.identity_token

    async def search(
        self, registry: str, term: str, limit: int, login: Login | None = None
    ) -> Sequence[FoundRepository]:
        """The repositories that a registry's index finds; `limit` of them at most.

        Raises `Unauthorized`, or `Unavailable` where there is no index or it does not answer as one.
        """
        scope = Scope(base_url=self._addresses.index_url(registry), login=login)
        return await self._retries.call(partial(search, self._transport, registry, scope, term, limit))

    async def offer(
        self, reference: Reference, login: Login | None = None, *, kept: Kept | None = None
    ) -> Offer:
        """What a reference names, for all platforms; raises as `resolve` does."""
        answer, digest, found = await self._fetched(reference, reference.wanted, login)
        descriptor = Descriptor(digest=digest, size=len(answer.body), media_type=found.media_type)
        if isinstance(found, manifest.Index):
            return Offer(descriptor=descriptor, platforms=index_platforms(answer.body, familiar(reference)))
        text = await kept(found.config.digest) if kept else None
        if text is None:
            text = await self.config(reference, found.config, login)
        return Offer(descriptor=descriptor, platforms=config_platforms(text, familiar(reference)))

    async def tags(self, reference: Reference, login: Login | None = None) -> Sequence[str]:
        """Every tag of a repository, page by page."""
        path, found = "tags/list", list[str]()
        for _ in range(_MOST_PAGES):
            answer = await self._get(reference, path, login, _MANIFEST_LIMIT)
            if answer.status != _OK:
                raise pull_failure(answer, replace(reference, tag=None))
            what = f"{familiar(reference)}: the registry sent no list of tags"
            found += decode(answer.body, _Tags, what).tags or ()
            after = _NEXT.search(answer.headers.get("Link", ""))
            if after is None:
                break
            path = f"tags/list?{httpx.URL(after[1]).query.decode()}"
        return list(dict.fromkeys(found))

    async def raw_manifest(self, reference: Reference) -> tuple[bytes, manifest.Manifest]:
        """The manifest that a reference by its digest names, to the letter and taken apart."""
        login = self._logins.get(reference.name)
        answer, _, found = await self._fetched(reference, reference.wanted, login)
        if not isinstance(found, manifest.Manifest):
            raise Unavailable(f"{familiar(reference)}: it names an index, not one image")
        return answer.body, found

    async def config(self, reference: Reference, config: Descriptor, login: Login | None = None) -> bytes:
        """An image's configuration file, verified."""
        name = familiar(reference.or_latest())
        login = login or self._logins.get(reference.name)
        if config.size > _CONFIG_LIMIT:
            raise Unavailable(f"{name}: its configuration is larger than {_CONFIG_LIMIT >> 20} MiB")
        answer = await self._get(reference, f"blobs/{config.digest}", login, _CONFIG_LIMIT)
        if answer.status == _MISSING:
            raise NotFound(f"{name}: its configuration {config.digest} is missing in the registry")
        if answer.status != _OK:
            raise pull_failure(answer, reference)
        verify(config.digest, answer.body, f"the configuration of {name}")
        return answer.body

    def open_blob(
        self, reference: Reference, digest: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A blob as it comes; reading raises `NotFound`, `Unavailable` when it is not what the digest says.

        A connection that breaks is taken up where it broke. Who stops reading before the end has nothing
        that was verified.
        """
        login = self._logins.get(reference.name)

        async def fetch(sink: Sink) -> None:
            received = 0

            async def pass_on(piece: bytes) -> None:
                nonlocal received
                await sink(piece)
                received += len(piece)

            async def attempt() -> Answer:
                return await self._once(
                    reference, f"blobs/{digest}", login, _CONFIG_LIMIT, sink=pass_on, offset=received
                )

            while True:
                before = received
                try:
                    answer = await self._retries.call(attempt)
                    break
                except Unavailable:
                    if received == before:
                        raise
            if answer.status == _MISSING:
                raise NotFound(f"{familiar(reference)}: its layer {digest} is missing in the registry")
            if answer.status not in (_OK, _PARTIAL):
                raise pull_failure(answer, reference)

        return streamed(fetch, digest, familiar(reference))

    def repository(self, reference: Reference, login: Login | None = None) -> RepositoryTarget:
        """The repository of a reference as a place to push to."""
        scope = self._scope(reference, login, push=True)
        return RepositoryTarget(self._transport, self._retries, reference.registry, scope)

    async def _fetched(
        self, reference: Reference, wanted: str, login: Login | None
    ) -> tuple[Answer, str, manifest.Manifest | manifest.Index]:
        answer = await self._get(reference, f"manifests/{wanted}", login, _MANIFEST_LIMIT)
        name = familiar(reference.or_latest())
        if answer.status != _OK:
            raise pull_failure(answer, reference)
        found = manifest.read_manifest(answer.body, answer.headers.get("Content-Type", ""), name)
        digest = wanted if ":" in wanted else answer.announced_digest or digest_of(answer.body)
        verify(digest, answer.body, name)
        return answer, digest, found

    async def _get(
        self, reference: Reference, what: str, login: Login | None, limit: int, *, method: str = "GET"
    ) -> Answer:
        return await self._retries.call(partial(self._once, reference, what, login, limit, method=method))

    async def _once(
        self,
        reference: Reference,
        what: str,
        login: Login | None,
        limit: int,
        *,
        method: str = "GET",
        sink: Sink | None = None,
        offset: int = 0,
    ) -> Answer:
        scope = self._scope(reference, login, push=False)
        accept = {"Accept": manifest.ACCEPT} if what.startswith("manifests/") else {"Accept": "*/*"}
        return await self._transport.request(
            method,
            f"v2/{reference.repository}/{what}",
            registry=reference.registry,
            scope=scope,
            limit=limit,
            headers=accept,
            sink=sink,
            offset=offset,
        )

    def _scope(self, reference: Reference, login: Login | None, *, push: bool) -> Scope:
        base_url = self._addresses.base_url(reference.registry)
        return Scope(base_url=base_url, repository=reference.repository, push=push, login=login)


def _http(trust: ssl.SSLContext, connections: int | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=trust,
        timeout=httpx.Timeout(30.0, connect=10.0, write=300.0, pool=None),
        limits=httpx.Limits(max_connections=connections, max_keepalive_connections=8, keepalive_expiry=30.0),
        max_redirects=5,
        mounts=dict.fromkeys(_LOOPBACK),  # what is on this machine is not reached through a proxy
        headers={"User-Agent": "sockerless-ecs"},
    )
