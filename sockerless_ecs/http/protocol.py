"""HTTP/1.1 as Hypercorn speaks it, with its traps mended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, cast

import h11
import trio
from hypercorn.events import Closed, RawData, Updated
from hypercorn.protocol.events import Body, Data, EndBody, Response
from hypercorn.protocol.events import Event as StreamEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol
from hypercorn.protocol.http_stream import HTTPStream

from sockerless_ecs.http.inbox import Applications
from sockerless_ecs.http.upload import CUT_SHORT

INVITE = "sockerless.invite"
"""The ASGI extension that asks the client for its body."""

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}

_COMPLAINTS = {HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "the request's head is too large"}


class Protocol(H11Protocol):
    """One connection's protocol: errors as JSON, short answers in one piece, no h2c.

    `hung_up` returns when the client is gone, for while nothing is read.
    """

    def __init__(self, upstream: H11Protocol, hung_up: Callable[[], Awaitable[None]]) -> None:
        super().__init__(
            upstream.app,
            upstream.config,
            upstream.context,
            cast("Any", Applications(upstream.task_group.spawn)),
            upstream.connection_state,
            upstream.ssl,
            upstream.client,
            upstream.server,
            upstream.send,
        )
        self._hung_up = hung_up
        self._held = b""
        self._holding = False

    @property
    def at_rest(self) -> bool:
        """Whether nothing of a next request has come."""
        return self.connection.their_state is h11.IDLE and not self.read_ahead

    @property
    def request_unread(self) -> bool:
        """Whether the client may still be sending what nobody will read: a body, a WebSocket's farewell."""
        return self.connection.their_state in (h11.SEND_BODY, h11.ERROR, None)

    @property
    def cut_short(self) -> bool:
        """Whether the request ended half-way, which its handler has still to answer."""
        return self.stream is not None and self.connection.their_state is h11.ERROR

    async def invite(self) -> None:
        """Tell a client that waits for it (`Expect: 100-continue`) to send its body."""
        if self.connection.they_are_waiting_for_100_continue:
            await self._send_h11_event(h11.InformationalResponse(status_code=100, headers=[]))

    def abandon(self) -> bool:
        """Let go of the request: no answer, and no disconnect. False if it has been told of one already."""
        if not isinstance(self.stream, HTTPStream):
            return False
        self.stream.closed = True
        return True

    def release(self) -> bytes:
        """Forget all about HTTP, which takes room; returns what came behind the request."""
        rest = self.read_ahead
        self.stream, self.connection = None, cast("Any", None)
        return rest

    @property
    def read_ahead(self) -> bytes:
        """What came behind the request."""
        return bytes(self.connection.trailing_data[0])

    async def stream_send(self, event: StreamEvent) -> None:
        """Hold the head back when a body of known length follows at once."""
        if isinstance(event, Response):
            self._holding = any(name == b"content-length" for name, _ in event.headers)
            if isinstance(self.stream, HTTPStream) and self.request_unread:
                event = replace(event, headers=[*event.headers, (b"connection", b"close")])
        await super().stream_send(event)

    async def _handle_events(self) -> None:
        while True:
            try:
                event = self.connection.next_event()
            except h11.RemoteProtocolError as error:
                await self._broken(error)
                return
            if isinstance(event, h11.Request):
                await self.send(Updated(idle=False))
                await self._create_stream(event)
            elif event is h11.PAUSED:
                if not await self._answered():
                    return
            elif event is h11.NEED_DATA or isinstance(event, h11.ConnectionClosed) or self.stream is None:
                return
            elif isinstance(event, h11.Data):
                await self.stream.handle(Body(stream_id=STREAM_ID, data=event.data))
            elif isinstance(event, h11.EndOfMessage):
                await self.stream.handle(EndBody(stream_id=STREAM_ID))
            elif isinstance(event, Data):  # a WebSocket's
                await self.stream.handle(event)

    async def _answered(self) -> bool:
        """Wait, reading nothing, until the request is answered; False when its client has hung up."""
        await self.can_read.clear()
        gone = False

        async def notice(whole: trio.CancelScope) -> None:
            nonlocal gone
            await self._hung_up()
            gone = True
            whole.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(notice, nursery.cancel_scope)
            await self.can_read.wait()
            nursery.cancel_scope.cancel()
        if gone:
            await self.handle(Closed())
        return not gone

    async def _broken(self, error: h11.RemoteProtocolError) -> None:
        """What is not HTTP: answered here, or by the handler whose body ends half-way."""
        if isinstance(self.stream, HTTPStream):
            await self.stream.app_put({"type": CUT_SHORT, "reason": str(error)})  # type: ignore[arg-type]
            return
        if self.connection.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self._send_error_response(error.error_status_hint)
        await self.send(Closed())

    async def _send_h11_event(self, event: Any) -> None:
        if isinstance(event, h11.Response | h11.InformationalResponse) and not event.reason:
            event = replace(event, reason=_REASONS.get(event.status_code, b""))  # clients show it to people
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
        complaint = _COMPLAINTS.get(HTTPStatus(status_code), "malformed HTTP request")
        body = b'{"message":"%s"}' % complaint.encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.Data(data=body))
        await self._send_h11_event(h11.EndOfMessage())
