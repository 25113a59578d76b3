"""One request and its answer: path, request id, streaming, and the line in the log."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import trio
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioResponse

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.http.dialect import Dialect
from sockerless_ecs.http.failures import failure_reply
from sockerless_ecs.http.hijack import TAKE_OVER, TakenOver, TakeOver, switching_head
from sockerless_ecs.http.protocol import INVITE
from sockerless_ecs.http.route import Duplex, Hijack, Reply, Streamed
from sockerless_ecs.http.server import LongLived
from sockerless_ecs.http.upload import Upload
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
    version: str = ""
    """The API version that the path asked for."""
    upload: Upload | None = None
    taken: TakenOver | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    """What every answer carries."""

    def watching(self, send: _Send) -> _Send:
        """`send`, noting what goes out and adding the request id."""

        async def watched(message: dict[str, Any]) -> None:
            match message["type"]:
                case "http.response.start" | "websocket.http.response.start":
                    self.status = message["status"]
                    message["headers"] = [*message["headers"], *self._own_headers()]
                case "websocket.accept":
                    self.status = 101
                case "http.response.body" | "websocket.http.response.body":
                    self.whole = not message.get("more_body", False)
                case "websocket.close":
                    self.whole = True
            await send(message)

        return watched

    def _own_headers(self) -> Iterator[tuple[bytes, bytes]]:
        for name, value in self.headers.items():
            yield name.lower().encode(), value.encode()
        yield b"x-request-id", self.request_id.encode()


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
            if record.taken is not None:
                details |= {
                    "received_bytes": record.taken.received_bytes,
                    "sent_bytes": record.taken.sent_bytes,
                }
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


def _prepared(scope: Any, dialect: Dialect | None) -> Any:
    record, path = Record(new_request_id()), _routing_path(scope["raw_path"])
    if dialect is not None:
        record.version, path = dialect.split(path)
        record.headers = dialect.headers
    return scope | {"path": path, _RECORD: record}


def _routing_path(raw_path: bytes) -> str:
    """The path with empty segments gone and `%2F` kept: frontends send `//internal` and `docker.io%2Fx`."""
    raw = raw_path.decode("ascii", "replace")
    path = raw if raw.startswith("/") else urlsplit(raw).path
    segments = (unquote(segment) for segment in path.split("/") if segment)
    return "/" + "/".join(segment.replace("%", "%25").replace("/", "%2F") for segment in segments)


class DeferredResponse(TrioResponse):
    """An answer that is written by its producer, or by whom takes the connection over; never by Quart."""

    def __init__(self, answer: Streamed | Hijack, ends: LongLived) -> None:
        super().__init__(b"")
        self.answer = answer
        self.ends = ends


class Exchange(TrioASGIHTTPConnection):
    """An HTTP request."""

    def __init__(self, app: Any, scope: Any) -> None:
        super().__init__(app, _prepared(scope, app.dialect))
        self._watching = trio.CancelScope()

    async def __call__(self, receive: Any, send: Any) -> None:
        """Answer it, and log it; the client's disconnect cancels it."""
        with _recorded(self.scope) as record:
            extensions: Any = self.scope["extensions"]
            waits = any(name == b"expect" for name, _ in self.scope["headers"])
            upload = record.upload = Upload(receive, extensions[INVITE] if waits else None)
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    with self._watching:
                        await upload.watch()
                        nursery.cancel_scope.cancel()

                nursery.start_soon(watch)
                await self._answer(record, record.watching(send))
                nursery.cancel_scope.cancel()

    async def _answer(self, record: Record, send: _Send) -> None:
        response: Any = await self.app.handle_request(self._create_request_from_scope(cast("Any", send)))
        if not isinstance(response, DeferredResponse):
            await self._send_whole(response, record, send)
            return
        answer, ends = response.answer, response.ends
        del response  # it may be long
        match answer:
            case Streamed():
                await self._stream(answer, ends, record, send)
            case Hijack():
                await self._hijack(answer, ends, record, send)

    async def _send_whole(self, response: Any, record: Record, send: _Send) -> None:
        await _upload(record).settle()
        await self._send_response(send, response)

    async def _stream(self, streamed: Streamed, ends: LongLived, record: Record, send: _Send) -> None:
        output = _Output(send)
        try:
            if not streamed.endless:
                await streamed.produce(output)
            elif not await _ends(streamed, output, ends):
                return
        except BaseException as error:  # noqa: BLE001 (what is not a failure is raised again)
            reply = failure_reply(error, record.request_id)
            answer = response_of(reply, record)
            if not output.begun:  # else the missing end tells the client
                await self._send_whole(answer, record, send)
            return
        _upload(record).leave()
        await output.end()

    async def _hijack(self, hijack: Hijack, ends: LongLived, record: Record, send: _Send) -> None:
        extensions: Any = self.scope["extensions"]
        take_over: TakeOver = extensions[TAKE_OVER]

        async def switch(content_type: str) -> Duplex:
            await _upload(record).finish()  # what comes behind it belongs to the stream
            status, head = switching_head(self._upgrade(), {"Content-Type": content_type, **record.headers})
            record.status = status
            record.taken = await take_over(head)
            self._watching.cancel()  # whether the client is there is now the conversation's business
            return record.taken

        try:
            await _conversed(hijack, switch, ends, record)
        except BaseException as error:  # noqa: BLE001 (what is not a failure is raised again)
            if record.status is not None and _is_hang_up(error):
                return
            answer = response_of(failure_reply(error, record.request_id), record)
            if record.status is None:
                await self._send_whole(answer, record, send)

    def _upgrade(self) -> str:
        asked = (value for name, value in self.scope["headers"] if name == b"upgrade")
        return next(asked, b"").decode("latin1")


async def _conversed(
    hijack: Hijack, switch: Callable[[str], Awaitable[Duplex]], ends: LongLived, record: Record
) -> None:
    with ends.entered() as scope:
        await hijack.converse(switch)
    if record.taken is None:
        if scope.cancelled_caught:
            raise Unavailable("the daemon is shutting down")
        raise RuntimeError("a conversation ended before it began")
    record.whole = not scope.cancelled_caught


def _is_hang_up(error: BaseException) -> bool:
    """Whether all that failed is that the client went away."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_hang_up(one) for one in error.exceptions)
    return isinstance(error, BrokenPipeError)


def _upload(record: Record) -> Upload:
    assert record.upload is not None
    return record.upload


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
        super().__init__(app, _prepared(scope, app.dialect))

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
