"""A Quart-Trio application made from a table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast
from urllib.parse import unquote

import quart
from quart.routing import QuartRule
from quart_trio import QuartTrio
from quart_trio.wrappers import TrioResponse
from werkzeug.routing import BaseConverter, MapAdapter, PathConverter

from sockerless_ecs.engine.contract import Backend
from sockerless_ecs.http.exchange import Exchange, SocketExchange, StreamedResponse, record_of, response_of
from sockerless_ecs.http.failures import BODY_BYTES, failure_reply
from sockerless_ecs.http.query import Query
from sockerless_ecs.http.route import AnyRoute, Call, Reply, Route, Socket, SocketRoute
from sockerless_ecs.http.server import LongLived

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
            return response_of(failure_reply(error, record.request_id), record)

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


def add_routes(
    app: App, routes: Sequence[AnyRoute], *, prefix: str, backend: Backend, long_lived: LongLived
) -> None:
    """Serve the table's routes below `prefix`."""
    for route in routes:
        rule = prefix + route.path
        match route:
            case Route():
                view = _http_view(route, backend, long_lived)
                app.add_url_rule(
                    rule, route.operation, view, methods=[route.method], provide_automatic_options=False
                )
            case SocketRoute():
                app.add_websocket(rule, route.operation, _socket_view(route, backend, long_lived))


def _http_view(
    route: Route, backend: Backend, long_lived: LongLived
) -> Callable[..., Awaitable[TrioResponse]]:
    async def view(**path: str) -> TrioResponse:
        request = quart.request
        record = record_of(request)
        record.operation = route.operation

        async def read_body() -> bytes:
            return cast("bytes", await request.get_data())

        query = Query(request.args.to_dict(flat=True))
        answer = await route.handle(Call(backend, path, query, read_body))
        if isinstance(answer, Reply):
            return response_of(answer, record)
        return StreamedResponse(answer, long_lived)

    return view


def _socket_view(
    route: SocketRoute, backend: Backend, long_lived: LongLived
) -> Callable[..., Awaitable[None]]:
    async def view(**path: str) -> None:
        record_of(quart.websocket).operation = route.operation
        query = Query(quart.websocket.args.to_dict(flat=True))
        with long_lived.entered():
            await route.handle(Call(backend, path, query, _no_body), cast("Socket", quart.websocket))

    return view


async def _no_body() -> bytes:
    return b""
