"""Logs on the internal API: one long answer, or a WebSocket."""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.frames import MULTIPLEXED, RAW, encoder
from sockerless_ecs.http.query import Query
from sockerless_ecs.http.route import Call, Output, Route, Socket, SocketRoute, Streamed
from sockerless_ecs.model.log import STDERR, LogLine, LogOptions


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the WebSocket form."""

    type: str
    id: str
    data: str


async def logs(call: Call) -> Streamed:
    """A container's output in Docker's frames, or as it is if it has a terminal."""
    options, query = _options(call.query), call.query
    if not (options.stdout or options.stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    container = await call.backend.containers.inspect(call.ref)
    tty = container.config.tty
    encode = encoder(tty=tty, timestamps=query.flag("timestamps"), details=query.flag("details"))

    async def produce(output: Output) -> None:
        async with call.backend.containers.logs(container.id, options) as batches:
            await output.begin(RAW if tty else MULTIPLEXED)
            async for batch in batches:
                await output.write(encode(batch))

    return Streamed(produce, endless=options.follow)


async def logs_stream(call: Call, socket: Socket) -> None:
    """A container's output, a message a line; both streams and following unless told otherwise."""
    options = _options(call.query, default=True)
    container = await call.backend.containers.inspect(call.ref)
    message = _messages(
        container.id,
        encoder(tty=True, timestamps=call.query.flag("timestamps"), details=call.query.flag("details")),
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


def _options(query: Query, *, default: bool = False) -> LogOptions:
    return LogOptions(
        stdout=query.flag("stdout", default=default),
        stderr=query.flag("stderr", default=default),
        follow=query.flag("follow", default=default),
        tail=_tail(query),
        since_ns=query.time_ns("since"),
        until_ns=query.time_ns("until"),
    )


def _tail(query: Query) -> int | None:
    if query.text("tail") == "all":
        return None
    lines = query.number("tail")
    return None if lines is None or lines < 0 else lines


_QUERY = ("stdout", "stderr", "follow", "timestamps", "details", "tail", "since", "until")

ROUTES: tuple[Route | SocketRoute, ...] = (
    Route(
        method="GET",
        path="/containers/<ref:ref>/logs",
        operation="ContainerLogs",
        summary="A container's output",
        handle=logs,
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
