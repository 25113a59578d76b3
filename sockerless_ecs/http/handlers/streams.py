"""A container's output and standard input, on a connection that is taken over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from sockerless_ecs.engine.values import AttachOptions
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.conversation import converse
from sockerless_ecs.http.frames import RAW, Encoder, content_type, encoder
from sockerless_ecs.http.query import Query
from sockerless_ecs.http.route import Call, Duplex, Hijack, Output, Streamed
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.log import LogOptions, attributes

Switch = Callable[[str], Awaitable[Duplex]]


async def attach(call: Call) -> Hijack:
    """Streams of the main process; what is wrong with the request is an ordinary answer."""
    return attached(call, attach_options(call.query))


def attached(call: Call, options: AttachOptions) -> Hijack:
    """The connection as the streams of the main process."""

    async def take_over(switch: Switch) -> None:
        async with call.backend.containers.attach(call.ref, options) as streams:
            await converse(await switch(stream_type(call, tty=streams.tty)), streams, stdin=options.stdin)

    return Hijack(take_over)


def stream_type(call: Call, *, tty: bool) -> str:
    """What a connection that is taken over calls what comes; without an upgrade there is one name."""
    return content_type(call.version, tty=tty) if "upgrade" in call.headers else RAW


def attach_options(query: Query) -> AttachOptions:
    """Nothing is attached that was not asked for, as Docker has it."""
    return AttachOptions(
        stream=query.flag("stream"),
        logs=query.flag("logs"),
        stdin=query.flag("stdin"),
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        detach_keys=query.text("detachKeys"),
    )


async def logs(call: Call) -> Streamed:
    """A container's output in Docker's frames, or as it is if it has a terminal."""
    options = log_options(call.query, awaits_start=call.is_internal)
    if not (options.stdout or options.stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    container = await call.backend.containers.inspect(call.ref)
    tty = container.config.tty
    encode = line_encoder(call.query, tty=tty, attributes=log_attributes(container))

    async def produce(output: Output) -> None:
        async with call.backend.containers.logs(container.id, options) as batches:
            await output.begin(content_type(call.version, tty=tty))
            async for batch in batches:
                await output.write(encode(batch))

    return Streamed(produce, endless=options.follow)


def log_attributes(container: Container) -> Mapping[str, str]:
    """What stands before each line when details are wished."""
    config = container.config
    return attributes(container.host.log_options, config.labels, config.variables)


def line_encoder(query: Query, *, tty: bool, attributes: Mapping[str, str]) -> Encoder:
    """How lines are written: with their times and details if wished."""
    details = attributes if query.flag("details") else None
    return encoder(tty=tty, timestamps=query.flag("timestamps"), details=details)


def log_options(query: Query, *, awaits_start: bool, default: bool = False) -> LogOptions:
    """Which lines are asked for."""
    return LogOptions(
        stdout=query.flag("stdout", default=default),
        stderr=query.flag("stderr", default=default),
        follow=query.flag("follow", default=default),
        awaits_start=awaits_start,
        tail=_tail(query),
        since_ns=query.time_ns("since"),
        until_ns=query.time_ns("until"),
    )


def _tail(query: Query) -> int | None:
    """None = all: so says `all`, and in Docker whatever else is no count."""
    wanted = query.text("tail")
    return int(wanted) if wanted.isascii() and wanted.isdigit() else None
