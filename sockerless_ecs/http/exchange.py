"""One request and its answer: path, request id, streaming, and the line in the log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

import trio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioResponse

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.http.failures import failure_reply
from sockerless_ecs.http.route import Reply, Streamed
from sockerless_ecs.http.server import LongLived
from sockerless_ecs.telemetry import bound, get_logger, new_request_id

_RECORD = "sockerless.record"
_NO_BODY = frozenset({204, 304})
_Send = Callable[[Any], Awaitable[None]]

_LOG = get_logger(__name__)


@dataclass(slots=True)
class Record:
    """What the log will say of a request."""

    request_id: str
    operation: str | None = None
    status: int | None = None
    whole: bool = False
    error: str = ""
    aws_request_ids: tuple[str, ...] = ()

    def watching(self, send: _Send) -> _Send:
        """`send`, noting what goes out and adding the request id."""

        async def watched(message: dict[str, Any]) -> None:
            match message["type"]:
                case "http.response.start" | "websocket.http.response.start":
                    self.status = message["status"]
                    message["headers"] = [*message["headers"], (b"x-request-id", self.request_id.encode())]
                case "websocket.accept":
                    self.status = 101
                case "http.response.body" | "websocket.http.response.body":
                    self.whole = not message.get("more_body", False)
                case "websocket.close":
                    self.whole = True
            await send(message)

        return watched


def record_of(request: Any) -> Record:
    """The record of a Quart request or WebSocket."""
    record: Record = request.scope[_RECORD]
    return record


@contextmanager
def _recorded(scope: Any) -> Iterator[Record]:
    """Bind the request id to the context, and log the request once it is over."""
    record: Record = scope[_RECORD]
    started = time.monotonic()
    with bound(request_id=record.request_id):
        try:
            yield record
        finally:
            details: dict[str, object] = {}
            if not record.whole:
                details["cut_short"] = True
            if record.error:
                details["error"] = record.error
            if record.aws_request_ids:
                details["aws_request_ids"] = record.aws_request_ids
            _LOG.info(
                "request",
                method=scope.get("method", "WEBSOCKET"),
                path=scope["raw_path"].decode("ascii", "replace"),
                operation=record.operation,
                status=record.status,
                duration_ms=round((time.monotonic() - started) * 1000, 1),
                **details,
            )


def _prepared(scope: Any) -> Any:
    return scope | {"path": _routing_path(scope["raw_path"]), _RECORD: Record(new_request_id())}


def _routing_path(raw_path: bytes) -> str:
    """The path with empty segments gone and `%2F` kept: frontends send `//internal` and `docker.io%2Fx`."""
    raw = raw_path.decode("ascii", "replace")
    path = raw if raw.startswith("/") else urlsplit(raw).path
    segments = (unquote(segment) for segment in path.split("/") if segment)
    return "/" + "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


class StreamedResponse(TrioResponse):
    """An answer that its producer writes; Quart never sees its body."""

    def __init__(self, streamed: Streamed, ends: LongLived) -> None:
        super().__init__(b"")
        self.streamed = streamed
        self.ends = ends


class Exchange(TrioASGIHTTPConnection):
    """An HTTP request."""

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, _prepared(scope))

    async def __call__(self, receive: Any, send: Any) -> None:
        """Handle it, and log it."""
        with _recorded(self.scope) as record:
            await super().__call__(receive, record.watching(send))

    async def handle_request(  # type: ignore[override]
        self, nursery: trio.Nursery, request: Any, send: Any
    ) -> None:
        """Answer; the client's disconnect cancels it."""
        response = await self.app.handle_request(request)
        if isinstance(response, StreamedResponse):
            await self._stream(response, record_of(request), send)
        else:
            await self._send_response(send, response)
        nursery.cancel_scope.cancel()

    async def _stream(self, response: StreamedResponse, record: Record, send: _Send) -> None:
        output, streamed, ends = _Output(send), response.streamed, response.ends
        try:
            if not streamed.endless:
                await streamed.produce(output)
            elif not await _ends(streamed, output, ends):
                return
        except BaseException as error:  # noqa: BLE001 (what is not a failure is raised again)
            reply = failure_reply(error, record.request_id)
            answer = response_of(reply, record)
            if not output.begun:  # else the missing end tells the client
                await self._send_response(send, answer)
            return
        await output.end()


async def _ends(streamed: Streamed, output: _Output, ends: LongLived) -> bool:
    """Write an endless answer; whether its end can still be told after a drain."""
    if not ends.ended:
        with ends.entered() as scope:
            await streamed.produce(output)
        if not scope.cancelled_caught:
            return True
    if not output.begun:
        raise Unavailable("the daemon is shutting down")
    if output.head_sent and streamed.at_drain is not None:
        await streamed.at_drain(output)
    return output.head_sent


class SocketExchange(TrioASGIWebsocketConnection):
    """A WebSocket, from its handshake to its close."""

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, _prepared(scope))

    async def __call__(self, receive: Any, send: Any) -> None:
        """Handle it, and log it."""
        with _recorded(self.scope) as record:
            await super().__call__(receive, record.watching(send))


class _Output:
    """A chunked answer on its way."""

    def __init__(self, send: _Send) -> None:
        self._send = send
        self.begun = self.head_sent = False

    async def begin(self, content_type: str, headers: Mapping[str, str] | None = None) -> None:
        """Send the head at once."""
        self.begun = True
        fields = {"content-type": content_type, **(headers or {})}
        sent = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
        await self._send({"type": "http.response.start", "status": 200, "headers": sent})
        self.head_sent = True

    async def write(self, data: bytes) -> None:
        """Send some of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """Say that it was all."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def response_of(reply: Reply, record: Record) -> TrioResponse:
    """`reply` as Quart sends it; 204 and 304 carry nothing, for leftovers poison the connection."""
    record.error, record.aws_request_ids = reply.error, reply.request_ids
    response = TrioResponse(reply.body, reply.status, dict(reply.headers))
    del response.headers["Content-Type"]
    if reply.content_type is not None:
        response.headers["Content-Type"] = reply.content_type
    if reply.status in _NO_BODY:
        del response.headers["Content-Length"]
    return response
