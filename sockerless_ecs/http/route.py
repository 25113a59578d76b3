"""What a route is: a row of a table that says how a call is made, answered and documented."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
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

    async def begin(self, content_type: str) -> None:
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


class Socket(Protocol):
    """A WebSocket."""

    async def accept(self) -> None:
        """Shake hands; until then a failure is still an ordinary answer."""

    async def send(self, text: str) -> None:
        """Send one message."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, taken apart."""

    backend: Backend
    path: Mapping[str, str]
    query: Query
    read_body: Callable[[], Awaitable[bytes]]

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
    handle: Callable[[Call], Awaitable[Reply | Streamed]]
    query: tuple[str, ...] = ()
    body: Any = None
    answer: Any = None
    status: int = 200


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
