"""One HTTP connection: Hypercorn's trio connection with its traps mended, and able to be taken over."""

from __future__ import annotations

import math
import socket
from typing import Any, cast

import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

from sockerless_ecs.http.goodbye import say_goodbye
from sockerless_ecs.http.hangups import HangUps
from sockerless_ecs.http.hijack import TAKE_OVER, TakenOver
from sockerless_ecs.http.hot import Hot
from sockerless_ecs.http.protocol import INVITE, Protocol

_STALL_SECONDS = 2.0
"""While draining, how long a send may wait for a client to read."""
_ANSWER_SECONDS = 2.0
"""How long a client that ended half-way through a body is thought to wait for its answer."""
_TAKE_OVER_SECONDS = 0.5
"""And one that has sent all, on TCP: its half-close, before an answer that takes over, looks like its end."""
_RECEIVE_BYTES = 1 << 18
_GOODBYE_SECONDS = 5.0
"""How long a close may take."""
_LAST_GOODBYE_SECONDS = 0.5
"""How long it may take while draining."""


class Surroundings:
    """What all connections of a server share."""

    def __init__(
        self, app: Any, config: Config, hang_ups: HangUps, hot: Hot | None, head_seconds: float
    ) -> None:
        self.app = app
        self.head_seconds = head_seconds
        self.config = config
        self.hang_ups = hang_ups
        self.hot = hot
        self.context = WorkerContext(None)
        self.connections: set[Connection] = set()


class Connection(TCPServer):
    """One connection, from its handshake to its close."""

    def __init__(self, surroundings: Surroundings, stream: Any) -> None:
        around = surroundings
        super().__init__(cast("Any", self._call_app), around.config, around.context, {}, stream)
        # Upstream a task per request, which the finished response's own disconnect cancels half-way.
        self.idle_task = _NoIdleTask()  # type: ignore[assignment]
        self._around = around
        self._transport = getattr(stream, "transport_stream", stream)
        self._whole = trio.CancelScope()
        self._reader: trio.CancelScope | None = None
        self._reading_ended = trio.Event()
        self._sending: trio.CancelScope | None = None
        self._closing: trio.CancelScope | None = None
        self._protocol: Protocol | None = None
        self._idle = True
        self._expect_more = False

    async def run(self) -> None:
        """Serve the connection's requests until either side closes it."""
        self._around.connections.add(self)
        try:
            with self._whole:
                await super().run()
        finally:
            self._around.connections.discard(self)

    def drain(self) -> None:
        """Close now if idle; else see that what is being sent waits for nobody."""
        if self._reader is None:
            self._whole.cancel()
        elif self._closing is not None:
            self._closing.deadline = trio.current_time() + _LAST_GOODBYE_SECONDS
        elif self._idle:
            self._reader.cancel()
        elif self._sending is not None:
            self._sending.deadline = trio.current_time() + _STALL_SECONDS

    async def protocol_send(self, event: Event) -> None:
        """What the protocol wants done: bytes sent, the connection closed, or idleness noted."""
        match event:
            case Updated():
                self._set_idle(event.idle)
            case Closed():
                await self._end()
            case RawData() if event.data:
                await self._send(event.data)

    async def _call_app(self, scope: Any, receive: Any, send: Any, *_: object) -> None:
        if scope["type"] == "http":
            assert self._protocol is not None
            scope["extensions"] |= {TAKE_OVER: self._take_over, INVITE: self._protocol.invite}
        await self._around.app(scope, receive, send)

    async def _take_over(self, head: bytes) -> TakenOver:
        assert self._protocol is not None
        assert self._reader is not None
        if not self._protocol.abandon():
            raise BrokenPipeError("the client is gone")
        self._expect_more = True
        self._reader.cancel()
        await self._reading_ended.wait()
        try:
            await self.stream.send_all(head)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise BrokenPipeError("the client is gone") from error
        return TakenOver(self.stream, self._transport.socket, self._protocol.release(), self._hung_up)

    async def _read_data(self) -> None:
        upstream = self.protocol.protocol
        assert isinstance(upstream, H11Protocol)
        self.protocol.protocol = self._protocol = Protocol(upstream, self._hung_up)
        del upstream
        self._reader = trio.CancelScope()
        self._set_idle(True)
        try:
            with self._reader:
                await self._receive(self._protocol)
                await self._answered(self._protocol)
                await self.protocol.handle(Closed())
        finally:
            self._reading_ended.set()

    async def _receive(self, protocol: Protocol) -> None:
        """Feed the protocol until the client has sent all it will."""
        try:
            while data := await self.stream.receive_some(_RECEIVE_BYTES):
                if not await self._answer_hot(bytes(data), protocol):
                    await self._feed(bytes(data), protocol)
                if protocol.cut_short:
                    return
            await self.protocol.handle(RawData(b""))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _feed(self, data: bytes, protocol: Protocol) -> None:
        begins = self._idle and protocol.at_rest
        await self.protocol.handle(RawData(data))
        if begins and self._idle and not protocol.at_rest:  # the first part of a head
            assert self._reader is not None
            self._reader.deadline = trio.current_time() + self._around.head_seconds

    async def _answer_hot(self, data: bytes, protocol: Protocol) -> bool:
        """Answer from memory what was answered so before; False for what must take the normal road."""
        hot = self._around.hot
        if hot is None or not (self._idle and protocol.at_rest) or self.context.terminated.is_set():
            return False
        if (answer := hot.answer(data)) is None:
            return False
        self._idle = False
        await self._send(answer)
        self._set_idle(True)
        return True

    async def _answered(self, protocol: Protocol) -> None:
        """The client sends no more: wait until it has its answer, or is gone as far as that can be told."""
        if self._idle:
            return
        seconds = math.inf
        if self._transport.socket.family != socket.AF_UNIX:
            seconds = _ANSWER_SECONDS if protocol.cut_short else _TAKE_OVER_SECONDS
        with trio.move_on_after(seconds):
            await self._hung_up()

    async def _hung_up(self) -> None:
        await self._around.hang_ups.wait(self._transport.socket.fileno())

    def _set_idle(self, idle: bool) -> None:
        # Synchronous: the finished response's own http.disconnect cannot cancel it half-way.
        self._idle = idle
        assert self._reader is not None
        self._reader.deadline = trio.current_time() + self.config.keep_alive_timeout if idle else math.inf
        if idle and self.context.terminated.is_set():
            self._reader.cancel()

    async def _end(self) -> None:
        assert self._protocol is not None
        self._expect_more = self._protocol.request_unread
        try:
            await self.protocol.handle(Closed())
        finally:
            assert self._reader is not None
            self._reader.cancel()  # run() then closes the socket

    async def _send(self, data: bytes) -> None:
        # Not shielded: a client that stops reading must not hold up anything but itself.
        seconds = _STALL_SECONDS if self.context.terminated.is_set() else math.inf
        try:
            async with self.send_lock:
                with trio.move_on_after(seconds) as self._sending:
                    await self.stream.send_all(data)
                    return
                await trio.aclose_forcefully(self.stream)
        except trio.Cancelled:
            await trio.aclose_forcefully(self.stream)  # part of it may be out
            raise
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        await self.protocol.handle(Closed())

    async def _close(self) -> None:
        draining = self.context.terminated.is_set()
        try:
            with trio.move_on_after(_LAST_GOODBYE_SECONDS if draining else _GOODBYE_SECONDS) as self._closing:
                await say_goodbye(self.stream, self._transport, expect_more=self._expect_more)
        except (OSError, trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(self.stream)
            await trio.aclose_forcefully(self._transport)


class _NoIdleTask:
    async def restart(self, *_: object) -> None:
        """Idleness is the connection's own business."""

    async def stop(self) -> None:
        """Idleness is the connection's own business."""
