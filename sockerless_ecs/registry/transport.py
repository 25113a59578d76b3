"""One request to a registry: its address, credentials, limits and what is worth a second try."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin

import httpx
import msgspec
import structlog
import trio

from sockerless_ecs.errors import Unauthorized, Unavailable
from sockerless_ecs.registry.answer import Answer, error_text
from sockerless_ecs.registry.login import Challenge, Login, Scope, Token, Tokens, challenge
from sockerless_ecs.registry.reasons import reason
from sockerless_ecs.registry.retries import Transient

_BASIC_LIFETIME_SECONDS = 300.0
_TOKEN_LIFETIME_SECONDS = 60.0
_TOKEN_LIMIT = 1 << 20
_CLIENT_ID = "sockerless-ecs"
_PIECE_BYTES = 256 << 10
_TOO_MANY, _BROKEN = 429, 500
_WHOLE_OR_REST = (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT)
_LOG = structlog.get_logger(__name__)

Credentials = Callable[[str, str], Awaitable[Login | None]]
"""Registry name (`docker.io`) and the Authorization that it has just refused, if any → how to log in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    method: str
    url: str
    registry: str
    limit: int
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | AsyncIterator[bytes] | None = None
    sink: Callable[[bytes], Awaitable[None]] | None = None
    offset: int = 0


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a registry takes for a while."""

    authorization: str = field(repr=False)
    lifetime_seconds: float
    identity_token: str = field(default="", repr=False)


class Transport:
    """Sends requests with the right Authorization, buying tokens on the way."""

    def __init__(
        self, questions: httpx.AsyncClient, streams: httpx.AsyncClient, credentials: Credentials
    ) -> None:
        """`questions` is for what is soon over, `streams` for bodies that come or go as they are read."""
        self._questions = questions
        self._streams = streams
        self._credentials = credentials
        self._tokens = Tokens()

    async def request(
        self,
        method: str,
        path: str,
        *,
        registry: str,
        scope: Scope,
        limit: int,
        headers: Mapping[str, str] | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        sink: Callable[[bytes], Awaitable[None]] | None = None,
        offset: int = 0,
    ) -> Answer:
        """One attempt, a second one with credentials if asked for them; any status is an answer.

        Raises `Transient` for what may pass, `Unauthorized` for a login that is refused, `Unavailable` for
        an answer beyond the limit. Content that is a stream has its length among the headers; it goes out
        once, so that a login that has just expired is `Transient`. The body of a success goes to the sink as
        it comes, if there is one: from `offset` on.
        """
        url = urljoin(f"{scope.base_url}/", path)
        _refuse_downgrade(scope.base_url, url, registry)
        ours = _origin(url) == _origin(scope.base_url)
        request = _Request(
            method=method,
            url=url,
            registry=registry,
            limit=limit,
            headers=headers or {},
            content=content,
            sink=sink,
            offset=offset,
        )
        known = self._tokens.get(scope) if ours and not scope.checked else None
        answer = await self._send(request, known.authorization if known else None)
        if answer.status != httpx.codes.UNAUTHORIZED or not ours:
            return replace(_settled(answer, registry), login=known.login if known else None)
        if isinstance(content, AsyncIterator):
            self._tokens.forget(scope)
            raise Transient(f"registry {registry}: {error_text(answer) or 'it wants a login'}")
        offered = challenge(answer.headers.get("WWW-Authenticate", ""))
        login = scope.login or await self._credentials(registry, known.authorization if known else "")
        proof = await self._proof(offered, scope, login, registry) if offered else None
        if proof is None:
            return answer
        if not scope.checked:
            token = Token(authorization=proof.authorization, login=login)
            self._tokens.keep(scope, token, proof.lifetime_seconds)
        answer = _settled(await self._send(request, proof.authorization), registry)
        return replace(answer, login=login, identity_token=proof.identity_token)

    async def _proof(
        self, offered: Challenge, scope: Scope, login: Login | None, registry: str
    ) -> _Proof | None:
        if offered.scheme == "basic":
            return _Proof(login.basic, _BASIC_LIFETIME_SECONDS) if login else None
        bought = await self._buy(offered, scope, login, registry)
        if bought is None:
            return None
        lifetime_seconds = bought.expires_in or _TOKEN_LIFETIME_SECONDS
        return _Proof(f"Bearer {bought.text}", lifetime_seconds, bought.refresh_token or "")

    async def _buy(
        self, offered: Challenge, scope: Scope, login: Login | None, registry: str
    ) -> _Token | None:
        realm = offered.parameters.get("realm", "")
        _refuse_downgrade(scope.base_url, realm, registry)
        asked = {"service": offered.parameters.get("service", ""), "client_id": _CLIENT_ID}
        asked["scope"] = offered.parameters.get("scope") or scope.text
        asked = {name: value for name, value in asked.items() if value}
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, **asked}
            body = str(httpx.QueryParams(form)).encode()
            request = _Request(
                method="POST",
                url=realm,
                registry=registry,
                limit=_TOKEN_LIMIT,
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                content=body,
            )
            answer = await self._send(request, None)
        else:
            asked |= {"offline_token": "true"} if scope.checked else {}
            url = str(httpx.URL(realm).copy_merge_params(asked))
            request = _Request(method="GET", url=url, registry=registry, limit=_TOKEN_LIMIT)
            answer = await self._send(request, login.basic if login else None)
        if _settled(answer, registry).status != httpx.codes.OK:
            if login is None:
                return None
            raise Unauthorized(
                f"unauthorized: {registry} refused the login of {login.username or 'this token'}"
            )
        try:
            token = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.MsgspecError as error:
            raise Unavailable(f"the token server of {registry} sent no token: {error}") from error
        return token if token.text else None

    @asynccontextmanager
    async def _sent(self, request: _Request, headers: Mapping[str, str]) -> AsyncIterator[httpx.Response]:
        body = _Body(request.content)
        streams = request.sink is not None or isinstance(request.content, AsyncIterator)
        http = self._streams if streams else self._questions
        outgoing = http.build_request(request.method, request.url, headers=headers)
        if request.content is not None:
            outgoing.stream = body
        try:
            response = await http.send(
                outgoing, stream=True, follow_redirects=request.method in ("GET", "HEAD")
            )
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await body.aclose()

    async def _send(self, request: _Request, authorization: str | None) -> Answer:
        registry = request.registry
        headers = {"Accept-Encoding": "identity", **request.headers}
        if request.offset:
            headers["Range"] = f"bytes={request.offset}-"
        if isinstance(request.content, bytes):
            headers["Content-Length"] = str(len(request.content))
        if authorization:
            headers["Authorization"] = authorization
        try:
            async with self._sent(request, headers) as response:
                _tell_rate_limit(response, registry)
                if request.sink is not None and response.status_code in _WHOLE_OR_REST:
                    whole = response.status_code == httpx.codes.OK
                    body = await _passed_on(response, request.sink, request.offset if whole else 0)
                else:
                    body = await _bounded(response, request.limit, registry)
                return Answer(
                    status=response.status_code,
                    headers=response.headers,
                    body=body,
                    url=str(response.url),
                )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise Unavailable(f"registry {registry} sends us to an address that cannot be used") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            host = httpx.URL(request.url).netloc.decode()
            where = registry if host == registry else f"{registry} at {host}"
            raise Transient(f"registry {where} cannot be reached: {reason(error)}") from error


class _Body(httpx.AsyncByteStream):
    """What a request sends, in pieces. Not a generator: who ends half-way leaves none open.

    httpx's requests and answers refer to each other till collected: what was sent is let go of before.
    """

    def __init__(self, content: bytes | AsyncIterator[bytes] | None) -> None:
        self._content = content
        self._position = 0

    def __aiter__(self) -> _Body:
        return self

    async def __anext__(self) -> bytes:
        if isinstance(self._content, AsyncIterator):
            return await anext(self._content)
        piece = (self._content or b"")[self._position : self._position + _PIECE_BYTES]
        if not piece:
            raise StopAsyncIteration
        self._position += len(piece)
        return piece

    async def aclose(self) -> None:
        """It was sent, or will not be."""
        self._content = None


class _Token(msgspec.Struct):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None
    refresh_token: str | None = None

    @property
    def text(self) -> str:
        return self.token or self.access_token or ""


def _settled(answer: Answer, registry: str) -> Answer:
    """Raises `Transient` for an answer that a second try may better."""
    if answer.status == _TOO_MANY or answer.status >= _BROKEN:
        wait = answer.headers.get("Retry-After", "")
        raise Transient(_complaint(answer, registry), float(wait) if wait.isdecimal() else None)
    return answer


def _complaint(answer: Answer, registry: str) -> str:
    """Too many requests in the registry's own words, as Docker has it."""
    detail = error_text(answer)
    if answer.status == _TOO_MANY:
        return detail or f"toomanyrequests: registry {registry} answered {answer.status}"
    return f"registry {registry}: {detail or f'HTTP {answer.status}'}"


def _tell_rate_limit(response: httpx.Response, registry: str) -> None:
    """Docker Hub says what is left of an address's or an account's pulls."""
    if left := response.headers.get("RateLimit-Remaining"):
        _LOG.info(
            "registry_rate_limit",
            registry=registry,
            remaining=left,
            limit=response.headers.get("RateLimit-Limit", ""),
            source=response.headers.get("Docker-RateLimit-Source", ""),
        )


async def _bounded(response: httpx.Response, limit: int, registry: str) -> bytes:
    if response.request.method == "HEAD":
        return b""
    chunks: list[bytes] = []
    left = limit
    # Left early, httpx's nested generators would stay open; cancelled at their innermost await they all end.
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_bytes():
            left -= len(chunk)
            if left < 0:
                enough.cancel()
            else:
                chunks.append(chunk)
    if left < 0:
        raise Unavailable(f"registry {registry} sent more than the {limit >> 20} MiB that this may have")
    return b"".join(chunks)


async def _passed_on(response: httpx.Response, sink: Callable[[bytes], Awaitable[None]], known: int) -> bytes:
    """All but what is `known` already."""
    chunks = response.aiter_bytes()
    async for chunk in chunks:
        new, known = chunk[known:], max(0, known - len(chunk))
        try:
            if new:
                await sink(new)
        except BaseException:
            with trio.CancelScope() as over:  # ends httpx's generators, as above
                over.cancel()
                async for _ in chunks:
                    pass
            raise
    return b""


def _refuse_downgrade(base_url: str, url: str, registry: str) -> None:
    plain = url.startswith("http://") and base_url.startswith("http://")
    if not (url.startswith("https://") or plain):
        raise Unavailable(f"registry {registry} sends us to an address that is not HTTPS: refused")


def _origin(url: str) -> tuple[str, str, int | None]:
    parsed = httpx.URL(url)
    return parsed.scheme, parsed.host, parsed.port
