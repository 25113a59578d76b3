"""A container's streams as a WebSocket of raw bytes, as dockerd has it."""

from __future__ import annotations

import trio

from sockerless_ecs.engine.contract import Streams
from sockerless_ecs.engine.values import AttachOptions
from sockerless_ecs.http.frames import Unframer
from sockerless_ecs.http.handlers.streams import attach_options
from sockerless_ecs.http.route import Call, Socket
from sockerless_ecs.model.log import STDERR, STDOUT

_BINARY_SINCE = (1, 28)
_STREAMS_CHOSEN_SINCE = (1, 42)


async def attach_socket(call: Call, socket: Socket) -> None:
    """Both output streams as they are, without frames, and standard input; the client's leaving ends it."""
    options = _options(call)
    async with call.backend.containers.attach(call.ref, options) as streams:
        await socket.accept()
        async with trio.open_nursery() as nursery:
            if options.stdin:
                nursery.start_soon(_listen, socket, streams)
            await _tell(socket, streams, options, text=call.version < _BINARY_SINCE)
            nursery.cancel_scope.cancel()


def _options(call: Call) -> AttachOptions:
    options = attach_options(call.query)
    if call.version >= _STREAMS_CHOSEN_SINCE:
        return options
    return AttachOptions(
        stream=options.stream,
        logs=options.logs,
        stdin=True,
        stdout=True,
        stderr=True,
        detach_keys=options.detach_keys,
    )


async def _tell(socket: Socket, streams: Streams, options: AttachOptions, *, text: bool) -> None:
    wanted = {STDOUT} if options.stdout else set()
    wanted |= {STDERR} if options.stderr else set()
    unframer = Unframer(tty=streams.tty)
    while data := await streams.receive():
        plain = b"".join(piece for stream, piece in unframer.pieces(data) if stream in wanted)
        if plain:
            await socket.send(plain.decode(errors="replace") if text else plain)


async def _listen(socket: Socket, streams: Streams) -> None:
    while True:
        message = await socket.receive()
        await streams.send(message.encode() if isinstance(message, str) else message)
