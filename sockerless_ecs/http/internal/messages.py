"""Streams as WebSocket messages, for frontends that bridge them: JSON with a type, the id and base64 data."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import trio

from sockerless_ecs.engine.contract import Streams, System
from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import InvalidParameter, SockerlessError
from sockerless_ecs.http.bodies import decode
from sockerless_ecs.http.frames import Unframer
from sockerless_ecs.http.route import Socket
from sockerless_ecs.model.log import STDERR

_EXIT_SECONDS = 10.0
"""How long after the last output an exit code is waited for; after detach keys there is none."""


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message, either way: what a type has no use for is left out."""

    type: str
    id: str = ""
    data: str = ""
    signal: str = ""
    width: int = 0
    height: int = 0
    code: int | None = None
    message: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """A process behind a WebSocket: how it is signalled and resized, and how its end is learned."""

    id: str
    signal: Callable[[str], Awaitable[object]]
    resize: Callable[[TerminalSize], Awaitable[object]]
    exit_code: Callable[[], Awaitable[int]]
    health_from: System | None = None
    """Whose events tell of its health; None where no health check is."""


async def bridge(socket: Socket, streams: Streams, process: Bridged) -> None:
    """Carry messages both ways until all output was sent, then tell the exit code.

    A message that makes no sense, or that cannot be followed, is answered by one of type `error`.
    """
    outgoing = _Outgoing(socket, process.id)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_listen, socket, streams, process, outgoing)
        if process.health_from is not None:
            nursery.start_soon(_watch, process.health_from, process.id, outgoing)
        unframer = Unframer(tty=streams.tty)
        while data := await streams.receive():
            for stream, piece in unframer.pieces(data):
                await outgoing.send("stderr" if stream == STDERR else "stdout", data=_words(piece))
        with trio.move_on_after(_EXIT_SECONDS):
            await outgoing.send("exit", code=await process.exit_code())
        nursery.cancel_scope.cancel()


class _Outgoing:
    """Messages to the client, one at a time."""

    def __init__(self, socket: Socket, process_id: str) -> None:
        self._socket = socket
        self._id = process_id
        self._turn = trio.Lock()

    async def send(
        self, kind: str, *, data: str = "", code: int | None = None, message: str = "", status: str = ""
    ) -> None:
        told = Message(type=kind, id=self._id, data=data, code=code, message=message, status=status)
        async with self._turn:
            await self._socket.send(msgspec.json.encode(told).decode())


async def _watch(system: System, container_id: str, outgoing: _Outgoing) -> None:
    async with system.events(filters={"type": ["container"], "container": [container_id]}) as events:
        async for event in events:
            kind, _, status = event.action.partition(": ")
            if kind == "health_status":
                await outgoing.send("health", status=status)


async def _listen(socket: Socket, streams: Streams, process: Bridged, outgoing: _Outgoing) -> None:
    while True:
        raw = await socket.receive()
        try:
            await _obey(decode(raw.encode() if isinstance(raw, str) else raw, Message), streams, process)
        except SockerlessError as error:
            await outgoing.send("error", message=error.message)


async def _obey(message: Message, streams: Streams, process: Bridged) -> None:
    match message.type:
        case "stdin":
            await streams.send(_bytes(message.data))
        case "close_stdin":
            await streams.send_eof()
        case "signal":
            await process.signal(message.signal or "SIGTERM")
        case "resize":
            await process.resize(TerminalSize(rows=message.height, columns=message.width))
        case "attach" | "exec":
            pass  # the address has said it
        case kind:
            raise InvalidParameter(f"type: {kind!r} is no message of a client")


def _words(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(words: str) -> bytes:
    try:
        return base64.b64decode(words, validate=True)
    except binascii.Error:
        raise InvalidParameter("data: base64 is wanted") from None
