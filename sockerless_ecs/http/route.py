"""What a route is: a row of a table that says how a call is made, answered and documented."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import msgspec

from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.http.bodies import decode
from sockerless_ecs.http.query import Query

_T = TypeVar("_T")
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer; for the log, what failed and the ids of the AWS requests that did."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    request_ids: tuple[str, ...] = ()


class Output(Protocol):
    """Where a streamed answer goes."""

    async def begin(self, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the head at once; until then a failure is still an ordinary answer."""

    async def write(self, data: bytes) -> None:
        """Send some of the body; waits while the client does not read."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer that is written as it comes.

    A drain lets it finish, unless it is endless: then it stops, and `at_drain` says the rest.
    """

    produce: Callable[[Output], Awaitable[None]]
    endless: bool = False
    at_drain: Callable[[Output], Awaitable[None]] | None = None


class Duplex(Protocol):
    """A connection that was taken over: raw bytes both ways. One task may receive while another sends."""

    async def receive(self) -> bytes:
        """Some bytes, 256 KiB at most; `b""` at the client's half-close, or when it is gone."""

    async def send(self, data: bytes) -> None:
        """Send all of it, waiting while the client does not read. Raises BrokenPipeError when it is gone."""

    async def gone(self) -> None:
        """Return when the client is gone altogether, which is more than a half-close."""


@dataclass(frozen=True, slots=True)
class Hijack:
    """An answer that takes the connection over (Docker's `Upgrade: tcp`, or none asked for).

    `converse` gets a function that switches over, told the content type; until it is called a failure is an
    ordinary answer on a connection that stays usable. The connection ends when `converse` returns, after what
    was sent has left; a drain cancels it.
    """

    converse: Callable[[Callable[[str], Awaitable[Duplex]]], Awaitable[None]]


class Socket(Protocol):
    """A WebSocket."""

    async def accept(self) -> None:
        """Shake hands; until then a failure is still an ordinary answer."""

    async def send(self, text: str | bytes) -> None:
        """Send one message: text, or binary."""

    async def receive(self) -> str | bytes:
        """The client's next message; the route is cancelled when the client goes."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart."""

    backend: Backend
    path: Mapping[str, str]
    query: Query
    read_body: Callable[[], Awaitable[bytes]]
    """The whole body, at most `BODY_BYTES`."""
    stream_body: Callable[[], AsyncIterator[bytes]]
    """The body as it arrives, of any length, with back-pressure; InvalidParameter when it is cut short."""
    headers: Mapping[str, str]
    """By lower-case name, first values only."""
    version: tuple[int, int]
    """The Docker API version that the path asked for, else our newest; (0, 0) on the internal API."""

    @property
    def is_internal(self) -> bool:
        """Whether it came by the internal API."""
        return self.version == (0, 0)

    @property
    def ref(self) -> str:
        """The id or name in the path; Docker's own leading slash is not part of a name."""
        return self.path["ref"].lstrip("/")

    async def body(self, shape: type[_T]) -> _T:
        """The JSON body, whatever its content type says; InvalidParameter names the field at fault."""
        return decode(await self.read_body(), shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An HTTP call: `path` is a Werkzeug rule below the API's prefix."""

    method: str
    path: str
    operation: str
    summary: str
    handle: Callable[[Call], Awaitable[Reply | Streamed | Hijack]]
    query: tuple[str, ...] = ()
    body: Any = None
    answer: Any = None
    status: int = 200
    hot: bool = False
    """Its answer may be given again, to the same target, until `backend.revision` changes."""
    hot_seconds: float = math.inf
    """And no longer than this, for what shows relative times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketRoute:
    """A WebSocket call."""

    path: str
    operation: str
    summary: str
    handle: Callable[[Call, Socket], Awaitable[None]]
    query: tuple[str, ...] = ()


AnyRoute = Route | SocketRoute


def json_reply(value: object, status: int = 200) -> Reply:
    """A JSON answer; Docker's client reads an error only if its type is exactly this."""
    return Reply(status, body=msgspec.json.encode(value), content_type=_JSON)


EMPTY = Reply(200)
NO_CONTENT = Reply(204)
