"""A Quart-Trio application made from a table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast
from urllib.parse import unquote

import quart
from quart.routing import QuartRule
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, MapAdapter, PathConverter

from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.http.dialect import Dialect
from sockerless_ecs.http.exchange import (
    DeferredResponse,
    Exchange,
    Record,
    SocketExchange,
    record_of,
    response_of,
)
from sockerless_ecs.http.failures import BODY_BYTES, failure_reply
from sockerless_ecs.http.hot import Hot
from sockerless_ecs.http.query import Query
from sockerless_ecs.http.route import AnyRoute, Call, Reply, Route, Socket, SocketRoute
from sockerless_ecs.http.server import LongLived
from sockerless_ecs.http.upload import Upload

_OK = 200
_SWITCHED = 101
_BROKE_OFF = 1011
"""WebSocket's code for a server that failed."""
_REASON_CHARACTERS = 30
"""A close's reason has 123 bytes, and a character at most four."""


class _Segment(BaseConverter):
    """One segment of the path, in which `%2F` is a slash."""

    def to_python(self, value: str) -> str:
        return unquote(value)


class _Segments(PathConverter):
    """The rest of the path, or all up to what follows: image names with bare slashes."""

    def to_python(self, value: str) -> str:
        return unquote(value)


class _Rule(QuartRule):
    """A rule that answers the methods it names and no HEAD of its own accord."""

    def __init__(self, string: str, *, methods: Any = None, **options: Any) -> None:
        super().__init__(string, methods=methods, **options)
        if self.methods is not None and "HEAD" not in (methods or ()):
            self.methods.discard("HEAD")


class App(QuartTrio):
    """Quart with nothing that truncates, redirects or answers in HTML."""

    asgi_http_class = Exchange
    asgi_websocket_class = SocketExchange
    url_rule_class = _Rule  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        super().__init__(name, static_folder=None)
        self.dialect: Dialect | None = None
        self.hot: Hot | None = None
        self.config.update(RESPONSE_TIMEOUT=None, BODY_TIMEOUT=None, MAX_CONTENT_LENGTH=BODY_BYTES)
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.url_map.redirect_defaults = False
        self.url_map.converters |= {"ref": _Segment, "refs": _Segments}

    def create_url_adapter(self, request: Any) -> MapAdapter | None:
        """Match by path alone: clients send any Host, some a socket's path."""
        if request is None:
            return None
        return self.url_map.bind(
            "localhost", url_scheme=request.scheme, default_method=request.method, path_info=request.path
        )

    async def dispatch_request(self, request_context: Any = None) -> Any:
        """Call the route; every failure becomes an answer here."""
        try:
            return await super().dispatch_request(request_context)
        except BaseException as error:  # noqa: BLE001 (what is not a failure is raised again)
            record = record_of(request_context.request)
            return response_of(failure_reply(self._in_dialect(error), record.request_id), record)

    async def dispatch_websocket(self, websocket_context: Any = None) -> Any:
        """Call the route; a failure becomes an answer, or after the handshake the reason of the close."""
        try:
            return await super().dispatch_websocket(websocket_context)
        except BaseException as error:  # noqa: BLE001 (as above)
            record = record_of(websocket_context.websocket)
            response = response_of(failure_reply(error, record.request_id), record)
            if record.status == _SWITCHED:
                await websocket_context.websocket.close(_BROKE_OFF, record.error[:_REASON_CHARACTERS])
            return response

    def _in_dialect(self, error: BaseException) -> BaseException:
        """Docker knows no 405: a method that a path does not have is a page not found."""
        return NotFound() if self.dialect is not None and isinstance(error, MethodNotAllowed) else error


def add_routes(
    app: App,
    routes: Sequence[AnyRoute],
    *,
    prefix: str,
    backend: Backend,
    long_lived: LongLived,
    dialect: Dialect | None = None,
) -> None:
    """Serve the table's routes below `prefix`; with a `dialect`, below each of its versions as well."""
    app.dialect = dialect
    app.hot = Hot(backend) if any(isinstance(route, Route) and route.hot for route in routes) else None
    for route in routes:
        rule = prefix + route.path
        match route:
            case Route():
                view = _http_view(app, route, backend, long_lived)
                app.add_url_rule(
                    rule, route.operation, view, methods=[route.method], provide_automatic_options=False
                )
            case SocketRoute():
                app.add_websocket(rule, route.operation, _socket_view(app, route, backend, long_lived))


def _http_view(
    app: App, route: Route, backend: Backend, long_lived: LongLived
) -> Callable[..., Awaitable[TrioResponse]]:
    async def view(**path: str) -> TrioResponse:
        request = quart.request
        record = record_of(request)
        record.operation = route.operation
        revision = app.hot.revision if app.hot is not None else 0
        answer = await route.handle(_call(app, backend, path, request, record))
        if not isinstance(answer, Reply):
            return DeferredResponse(answer, long_lived)
        response = response_of(answer, record)
        if app.hot is not None and route.hot and answer.status == _OK:
            app.hot.keep(
                request.method,
                _target(request.scope),
                {**record.headers, **dict(response.headers)},
                answer.body,
                revision=revision,
                seconds=route.hot_seconds,
            )
        return response

    return view


def _socket_view(
    app: App, route: SocketRoute, backend: Backend, long_lived: LongLived
) -> Callable[..., Awaitable[None]]:
    async def view(**path: str) -> None:
        socket = quart.websocket
        record = record_of(socket)
        record.operation = route.operation
        with long_lived.entered():
            await route.handle(_call(app, backend, path, socket, record), cast("Socket", socket))

    return view


def _call(app: App, backend: Backend, path: Mapping[str, str], request: Any, record: Record) -> Call:
    upload = record.upload or Upload.empty()
    return Call(
        backend=backend,
        path=path,
        query=Query(request.args.to_dict(flat=True), request.args.to_dict(flat=False)),
        read_body=partial(upload.read, BODY_BYTES),
        stream_body=upload.__aiter__,
        headers=_headers(request.scope["headers"]),
        version=app.dialect.version(record.version) if app.dialect is not None else (0, 0),
    )


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """First values only."""
    return {name.decode("latin1"): value.decode("latin1") for name, value in reversed(raw)}


def _target(scope: Any) -> bytes:
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return path + b"?" + query if query else path
