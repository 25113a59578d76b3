"""Files from the web, as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import trio

from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unauthorized, Unavailable
from sockerless_ecs.registry.reasons import reason

_MOST_REDIRECTS = 5
_PIECE_BYTES = 1 << 18
_SCHEMES = ("http", "https")
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
"""Between two pieces, and till there is a connection."""
_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")
_FAILURES: dict[int, type[SockerlessError]] = {
    httpx.codes.BAD_REQUEST: InvalidParameter,
    httpx.codes.UNAUTHORIZED: Unauthorized,
    httpx.codes.FORBIDDEN: Unauthorized,
    httpx.codes.NOT_FOUND: NotFound,
}


class Download:
    """A file on its way; iterating raises `Unavailable` when it breaks off."""

    def __init__(self, address: str, size: int, pieces: AsyncIterator[bytes]) -> None:
        self.address = address
        self.size = size
        """In bytes; 0 where nobody knows."""
        self.received = 0
        self._pieces = pieces

    def __aiter__(self) -> Download:
        return self

    async def __anext__(self) -> bytes:
        with _told(self.address):
            piece = await anext(self._pieces)
        self.received += len(piece)
        return piece


@asynccontextmanager
async def download(address: str) -> AsyncGenerator[Download]:
    """A file by its address, `http://` where none is said; entering raises what keeps it from coming.

    What a server says beside a failure is told to nobody: it may stand where only the daemon can look.
    """
    url, shown = _url(address), shown_address(address)
    async with httpx.AsyncClient(
        timeout=_TIMEOUT,
        follow_redirects=True,
        max_redirects=_MOST_REDIRECTS,
        mounts=dict.fromkeys(_LOOPBACK),  # what is on this machine is not reached through a proxy
        headers={"User-Agent": "sockerless-ecs", "Accept-Encoding": "identity"},
    ) as client:
        with _told(shown):
            response = await client.send(client.build_request("GET", url), stream=True)
        try:
            _check(response, shown)
            length = response.headers.get("Content-Length", "")
            pieces = response.aiter_raw(_PIECE_BYTES)
            try:
                yield Download(shown, int(length) if length.isdecimal() else 0, pieces)
            finally:
                await _end(pieces)
        finally:
            await response.aclose()


async def _end(pieces: AsyncIterator[bytes]) -> None:
    """Left early, httpx's nested generators would stay open: cancelled at their innermost await all end."""
    with trio.CancelScope() as over:
        over.cancel()
        async for _ in pieces:
            pass


def shown_address(address: str) -> str:
    """As it may be shown: whole, but without a login. Raises InvalidParameter for what is none."""
    return str(_url(address).copy_with(userinfo=b""))


def _url(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address if "://" in address else f"http://{address}")
    except httpx.InvalidURL as error:
        raise InvalidParameter(f"the address {address!r} is none: {error}") from error
    if url.scheme not in _SCHEMES:
        raise InvalidParameter(f'unsupported protocol scheme "{url.scheme}": give http:// or https://')
    if not url.host:
        raise InvalidParameter(f"the address {address!r} names no host")
    return url


def _check(response: httpx.Response, shown: str) -> None:
    if response.is_success:
        return
    failure = _FAILURES.get(response.status_code, Unavailable)
    raise failure(
        f"failed to GET {shown} with status {response.status_code} {response.reason_phrase}".strip()
    )


@contextmanager
def _told(shown: str) -> Iterator[None]:
    try:
        yield
    except httpx.TooManyRedirects:
        raise Unavailable(f"failed to GET {shown}: more than {_MOST_REDIRECTS} redirects") from None
    except httpx.UnsupportedProtocol as error:
        raise Unavailable(f"failed to GET {shown}: it leads to what is neither http nor https") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unavailable(f"failed to GET {shown}: {reason(error)}") from error
