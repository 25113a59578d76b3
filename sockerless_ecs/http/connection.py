"""One HTTP connection: Hypercorn's trio connection with its traps mended."""

from __future__ import annotations

import math
import select
import socket
from typing import Any, cast

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.events import Response
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext

_STALL_SECONDS = 2.0
"""While draining, how long a send may wait for a client to read."""
_HANG_UP_SECONDS = 0.5
"""How soon it is noticed that a client which has sent all is gone as well."""
_RECEIVE_BYTES = 1 << 16
_GOODBYE_SECONDS = 1.0
"""How long a close may take."""


class Connection(TCPServer):
    """One connection, from its handshake to its close."""

    def __init__(
        self, app: Any, config: Config, context: WorkerContext, stream: Any, connections: set[Connection]
    ) -> None:
        super().__init__(cast("Any", self._call_app), config, context, {}, stream)
        # Upstream a task per request, which the finished response's own disconnect cancels half-way.
        self.idle_task = _NoIdleTask()  # type: ignore[assignment]
        self._asgi = app
        self._connections = connections
        self._whole = trio.CancelScope()
        self._reader: trio.CancelScope | None = None
        self._sending: trio.CancelScope | None = None
        self._protocol: _Protocol | None = None
        self._idle = True
        self._cut_short = False

    async def run(self) -> None:
        """Serve the connection's requests until either side closes it."""
        self._connections.add(self)
        try:
            with self._whole:
                await super().run()
        finally:
            self._connections.discard(self)

    def drain(self) -> None:
        """Close now if idle; else see that what is being sent waits for nobody."""
        if self._reader is None:
            self._whole.cancel()
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
        await self._asgi(scope, receive, send)

    async def _read_data(self) -> None:
        upstream = self.protocol.protocol
        assert isinstance(upstream, H11Protocol)
        self.protocol.protocol = self._protocol = _Protocol(
            upstream.app,
            upstream.config,
            upstream.context,
            upstream.task_group,
            upstream.connection_state,
            upstream.ssl,
            upstream.client,
            upstream.server,
            upstream.send,
        )
        self._reader = trio.CancelScope()
        self._set_idle(True)
        with self._reader:
            await self._receive()
            await self._hung_up()
            await self.protocol.handle(Closed())

    async def _receive(self) -> None:
        """Feed the protocol until the client has sent all it will."""
        try:
            while data := await self.stream.receive_some(_RECEIVE_BYTES):
                await self.protocol.handle(RawData(bytes(data)))
            await self.protocol.handle(RawData(b""))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def _hung_up(self) -> None:
        """Wait until the client is gone, which is more than done with sending: a Unix socket can tell."""
        transport = getattr(self.stream, "socket", None)
        if transport is None or transport.family != socket.AF_UNIX:
            return
        hang_up = select.poll()
        hang_up.register(transport.fileno(), 0)
        while not (self._idle or hang_up.poll(0)):  # noqa: ASYNC110 (no event tells of it)
            await trio.sleep(_HANG_UP_SECONDS)

    def _set_idle(self, idle: bool) -> None:
        # Synchronous: the finished response's own http.disconnect cannot cancel it half-way.
        self._idle = idle
        assert self._reader is not None
        self._reader.deadline = trio.current_time() + self.config.keep_alive_timeout if idle else math.inf
        if idle and self.context.terminated.is_set():
            self._reader.cancel()

    async def _end(self) -> None:
        assert self._protocol is not None
        self._cut_short = self._protocol.request_unread
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
        stream: Any = self.stream
        try:
            with trio.move_on_after(_GOODBYE_SECONDS):
                if isinstance(stream, trio.abc.HalfCloseableStream):
                    await stream.send_eof()
                while self._cut_short and await self.stream.receive_some(1 << 16):
                    pass  # a reset for unread bytes could overtake the answer
                await self.stream.aclose()
        except (trio.BrokenResourceError, trio.BusyResourceError, trio.ClosedResourceError):
            pass
        finally:
            await trio.aclose_forcefully(self.stream)


class _Protocol(H11Protocol):
    """HTTP/1.1 only, errors as JSON, and a short answer leaves in one piece."""

    _held = b""
    _holding = False

    @property
    def request_unread(self) -> bool:
        """Whether the client may still be sending what nobody will read: a body, a WebSocket's farewell."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR, None)

    async def _check_protocol(self, event: h11.Request) -> None:
        """No h2c: `Upgrade: h2c` is how BuildKit asks for a raw stream."""

    async def stream_send(self, event: StreamEvent) -> None:
        """Hold the head back when a body of known length follows at once."""
        if isinstance(event, Response):
            self._holding = any(name == b"content-length" for name, _ in event.headers)
        await super().stream_send(event)

    async def _send_h11_event(self, event: Any) -> None:
        try:
            data = self.connection.send(event) or b""
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        self._held += data
        if not (self._holding and isinstance(event, h11.Response)):
            data, self._held = self._held, b""
            await self.send(RawData(data=data))

    async def _send_error_response(self, status_code: int) -> None:
        body = b'{"message":"malformed HTTP request"}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())


class _NoIdleTask:
    async def restart(self, *_: object) -> None:
        """Idleness is the connection's own business."""

    async def stop(self) -> None:
        """Idleness is the connection's own business."""
