"""The client of OCI registries: what an image is, without its layers."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import Self

import httpx

from sockerless_ecs.errors import InvalidParameter, NotFound, Unauthorized, Unavailable
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.reference import Reference, familiar, familiar_name
from sockerless_ecs.registry import manifest
from sockerless_ecs.registry.addresses import Addresses
from sockerless_ecs.registry.answer import Answer, error_code, error_text
from sockerless_ecs.registry.blob import Sink, streamed
from sockerless_ecs.registry.config import ConfigFile, read_config
from sockerless_ecs.registry.digest import digest_of, verify
from sockerless_ecs.registry.login import Login, Scope
from sockerless_ecs.registry.platform import Platform
from sockerless_ecs.registry.push import RepositoryTarget
from sockerless_ecs.registry.retries import Retries, Transient
from sockerless_ecs.registry.transport import Credentials, Transport

_MANIFEST_LIMIT = 4 << 20
_CONFIG_LIMIT = 4 << 20
_DEEPEST_INDEX = 3
_OK, _BAD, _UNAUTHORIZED, _FORBIDDEN, _MISSING = 200, 400, 401, 403, 404
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


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
        self._http = httpx.AsyncClient(
            verify=verify,
            timeout=httpx.Timeout(30.0, connect=10.0, write=300.0, pool=None),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=30.0),
            max_redirects=5,
            mounts=dict.fromkeys(_LOOPBACK),  # what is on this machine is not reached through a proxy
            headers={"User-Agent": "sockerless-ecs"},
        )
        self._transport = Transport(self._http, credentials)
        self._addresses = Addresses(mirrors, insecure)
        self._retries = retries or Retries()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def resolve(self, reference: Reference, platform: Platform, login: Login | None = None) -> Image:
        """What a reference names for a platform. Every digest on the way is verified.

        Raises `NotFound`, `Unauthorized` or `InvalidParameter` in Docker's words, `Unavailable` for a
        registry that does not answer or not as a registry does. `pulled_ns` is the caller's to set.
        """
        name = familiar(reference.or_latest())
        digest, found = await self._manifest(reference, reference.wanted, login)
        top = digest
        for _ in range(_DEEPEST_INDEX):
            if isinstance(found, manifest.Manifest):
                break
            chosen = manifest.choose(found, platform, name)
            digest, found = await self._manifest(reference, chosen.digest, login)
        if not isinstance(found, manifest.Manifest):
            raise Unavailable(f"{name}: its index nests too deep")
        file = await self._config(reference, found.config, login)
        _check_platform(file, platform, name)
        return Image(
            ref=reference.full,
            id=found.config.digest,
            digest=top,
            manifest_digest=digest,
            config=file.config,
            architecture=file.platform.architecture or platform.architecture,
            os=file.platform.os or platform.os,
            variant=file.platform.variant,
            created=file.created,
            author=file.author,
            size_bytes=found.config.size + sum(layer.size for layer in found.layers),
            layers=file.diff_ids,
        )

    async def check_login(self, registry: str, login: Login) -> None:
        """Raises `Unauthorized` when the registry does not take this login."""
        scope = Scope(base_url=self._addresses.base_url(registry), login=login)
        request = partial(
            self._transport.request, "GET", "v2/", registry=registry, scope=scope, limit=_MANIFEST_LIMIT
        )
        answer = await self._retries.call(request)
        if answer.status in (_UNAUTHORIZED, _FORBIDDEN):
            detail = error_text(answer) or "incorrect username or password"
            raise Unauthorized(f"login attempt to {registry} failed: {detail}")
        if answer.status != _OK:
            raise Unavailable(f"{registry} answered {answer.status}: is it a registry?")

    async def layers(self, reference: Reference, login: Login | None = None) -> Sequence[manifest.Descriptor]:
        """The layers of the image that a reference by its manifest's digest names, lowest first."""
        _, found = await self._manifest(reference, reference.wanted, login)
        if not isinstance(found, manifest.Manifest):
            raise Unavailable(f"{familiar(reference)}: it names an index, not one image")
        return found.layers

    def open_blob(
        self, reference: Reference, digest: str, login: Login | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A blob as it comes; reading raises `NotFound`, `Unavailable` when it is not what the digest says.

        Who stops reading before the end has nothing that was verified.
        """

        async def fetch(sink: Sink) -> None:
            begun = False

            async def pass_on(piece: bytes) -> None:
                nonlocal begun
                begun = True
                await sink(piece)

            async def attempt() -> Answer:
                try:
                    return await self._once(reference, f"blobs/{digest}", login, _CONFIG_LIMIT, pass_on)
                except Transient as error:
                    if begun:
                        raise Unavailable(f"{error}, in the middle of {digest}") from error
                    raise

            answer = await self._retries.call(attempt)
            if answer.status == _MISSING:
                raise NotFound(f"{familiar(reference)}: its layer {digest} is missing in the registry")
            if answer.status != _OK:
                raise _failure(answer, reference)

        return streamed(fetch, digest, familiar(reference))

    def repository(self, reference: Reference, login: Login | None = None) -> RepositoryTarget:
        """The repository of a reference as a place to push to."""
        scope = self._scope(reference, login, push=True)
        return RepositoryTarget(self._transport, self._retries, reference.registry, scope)

    async def _manifest(
        self, reference: Reference, wanted: str, login: Login | None
    ) -> tuple[str, manifest.Manifest | manifest.Index]:
        answer = await self._get(reference, f"manifests/{wanted}", login, _MANIFEST_LIMIT)
        name = familiar(reference.or_latest())
        if answer.status != _OK:
            raise _failure(answer, reference)
        found = manifest.read_manifest(answer.body, answer.headers.get("Content-Type", ""), name)
        digest = wanted if ":" in wanted else answer.announced_digest or digest_of(answer.body)
        verify(digest, answer.body, name)
        return digest, found

    async def _config(
        self, reference: Reference, config: manifest.Descriptor, login: Login | None
    ) -> ConfigFile:
        name = familiar(reference.or_latest())
        if config.size > _CONFIG_LIMIT:
            raise Unavailable(f"{name}: its configuration is larger than {_CONFIG_LIMIT >> 20} MiB")
        answer = await self._get(reference, f"blobs/{config.digest}", login, _CONFIG_LIMIT)
        if answer.status == _MISSING:
            raise NotFound(f"{name}: its configuration {config.digest} is missing in the registry")
        if answer.status != _OK:
            raise _failure(answer, reference)
        verify(config.digest, answer.body, f"the configuration of {name}")
        return read_config(answer.body, name)

    async def _get(self, reference: Reference, what: str, login: Login | None, limit: int) -> Answer:
        return await self._retries.call(partial(self._once, reference, what, login, limit))

    async def _once(
        self, reference: Reference, what: str, login: Login | None, limit: int, sink: Sink | None = None
    ) -> Answer:
        scope = self._scope(reference, login, push=False)
        accept = {"Accept": manifest.ACCEPT} if what.startswith("manifests/") else {"Accept": "*/*"}
        return await self._transport.request(
            "GET",
            f"v2/{reference.repository}/{what}",
            registry=reference.registry,
            scope=scope,
            limit=limit,
            headers=accept,
            sink=sink,
        )

    def _scope(self, reference: Reference, login: Login | None, *, push: bool) -> Scope:
        base_url = self._addresses.base_url(reference.registry)
        return Scope(base_url=base_url, repository=reference.repository, push=push, login=login)


def pull_reference(reference: Reference, image: Image) -> str:
    """What Fargate pulls: the platform's manifest by digest, under the registry's own name."""
    return f"{reference.name}@{image.manifest_digest}"


def _check_platform(file: ConfigFile, platform: Platform, name: str) -> None:
    known = file.platform.os and file.platform.architecture
    if known and not platform.runs(file.platform):
        raise NotFound(
            f"image with reference {name} was found but its platform ({file.platform}) "
            f"does not match the specified platform ({platform})"
        )


def _failure(answer: Answer, reference: Reference) -> Exception:
    """Why a pull failed, in Docker's words."""
    detail = error_text(answer)
    match answer.status:
        case 401 if answer.logged_in:
            return Unauthorized(detail or "unauthorized: authentication required")
        case 401 | 403:
            return _denied(reference, detail or "denied: requested access to the resource is denied")
        case 404 if error_code(answer) == "NAME_UNKNOWN":
            return _denied(reference, detail)
        case 404:
            name = familiar(reference.or_latest())
            return NotFound(f"manifest for {name} not found: {detail or 'manifest unknown'}")
        case 400:
            return InvalidParameter(detail or f"registry {reference.registry} refuses the request")
    return Unavailable(
        f"registry {reference.registry} answered {answer.status} for {familiar(reference.or_latest())}"
        + (f": {detail}" if detail else "")
    )


def _denied(reference: Reference, detail: str) -> NotFound:
    return NotFound(
        f"pull access denied for {familiar_name(reference)}, "
        f"repository does not exist or may require 'docker login': {detail}"
    )
