"""Logs on the internal API: one long answer, or a WebSocket."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec

from sockerless_ecs.http.handlers import streams
from sockerless_ecs.http.route import Call, Route, Socket, SocketRoute
from sockerless_ecs.model.log import STDERR, LogLine


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the WebSocket form."""

    type: str
    id: str
    data: str


async def logs_stream(call: Call, socket: Socket) -> None:
    """A container's output, a message a line; both streams and following unless told otherwise."""
    options = streams.log_options(call.query, awaits_start=True, default=True)
    container = await call.backend.containers.inspect(call.ref)
    message = _messages(
        container.id,
        streams.line_encoder(call.query, tty=True, attributes=streams.log_attributes(container)),
    )
    async with call.backend.containers.logs(container.id, options) as batches:
        await socket.accept()
        async for batch in batches:
            for line in batch:
                await socket.send(message(line))


def _messages(container_id: str, encode: Callable[[list[LogLine]], bytes]) -> Callable[[LogLine], str]:
    def message(line: LogLine) -> str:
        kind = "stderr" if line.stream == STDERR else "stdout"
        data = base64.b64encode(encode([line])).decode("ascii")
        return msgspec.json.encode(_Message(type=kind, id=container_id, data=data)).decode("ascii")

    return message


_QUERY = ("stdout", "stderr", "follow", "timestamps", "details", "tail", "since", "until")

ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="GET",
        path="/containers/<ref:ref>/logs",
        operation="ContainerLogs",
        summary="A container's output",
        handle=streams.logs,
        query=_QUERY,
    ),
    SocketRoute(
        path="/containers/<ref:ref>/logs/stream",
        operation="ContainerLogsStream",
        summary="A container's output as WebSocket messages",
        handle=logs_stream,
        query=_QUERY,
    ),
)
