"""What an agent streams: events as JSON lines, log lines as binary records, a process's bytes as they come.

These are plain iterators, not generators: who leaves one half-way owes it nothing.
"""

from __future__ import annotations

import struct
from collections import deque
from contextlib import suppress

import msgspec
import trio

from sockerless_ecs.agent.exchange import Upgraded
from sockerless_ecs.agent.protocol import AgentEvent
from sockerless_ecs.agent.tls import TlsStream
from sockerless_ecs.model.log import LogLine

_RECORD_HEAD = struct.Struct(">QQB3xI")
_INPUT_HEAD = struct.Struct(">xxxxI")
_INPUT_BYTES = 64 * 1024
"""What the agent passes on in one piece: inputs of several clients mix between pieces only."""


class EventStream:
    """The events of a connection; it ends with close_notify and raises `AgentLost` when it was cut."""

    def __init__(self, stream: TlsStream, early: bytes) -> None:
        self._stream = stream
        self._decoder = msgspec.json.Decoder(AgentEvent)
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._feed(early)

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> AgentEvent:
        while not self._lines:
            data = await self._stream.receive_some()
            if not data:
                raise StopAsyncIteration
            self._feed(data)
        return self._decoder.decode(self._lines.popleft())

    def _feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)


class LineStream:
    """The log lines of a connection, in batches; it ends and fails as `EventStream` does."""

    def __init__(self, stream: TlsStream, early: bytes) -> None:
        self._stream = stream
        self._parser = RecordParser()
        self._early = self._parser.feed(early)

    def __aiter__(self) -> LineStream:
        return self

    async def __anext__(self) -> list[LogLine]:
        lines, self._early = self._early, []
        while not lines:
            data = await self._stream.receive_some()
            if not data:
                raise StopAsyncIteration
            lines = self._parser.feed(data)
        return lines


class RecordParser:
    """Turns what arrives, cut anywhere, into whole lines; followers are paid by the line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[LogLine]:
        """The lines that are complete now."""
        if self._rest:
            data = self._rest + data
        unpack, head, end = _RECORD_HEAD.unpack_from, _RECORD_HEAD.size, len(data)
        new, kind = tuple.__new__, LogLine  # half the time of LogLine(...)
        lines: list[LogLine] = []
        add = lines.append
        start = head
        while start <= end:
            number, time_ns, stream, length = unpack(data, start - head)
            after = start + length
            if after > end:
                break
            add(new(kind, (number, time_ns, stream, data[start:after])))
            start = after + head
        self._rest = data[start - head :]
        return lines


class AgentStreams:
    """A process at the other end: its output as it comes, its standard input. One task receives, one sends.

    Output is Docker's 8-byte frames, or the raw bytes of a terminal, cut anywhere.
    """

    def __init__(self, upgraded: Upgraded) -> None:
        self._stream = upgraded.stream
        self._early = upgraded.early
        self._ended = False
        self.position = int(upgraded.headers.get("sockerless-position", "0"))
        """Where an attach stream begins, in bytes since the run's first."""
        self.pid = int(upgraded.headers.get("sockerless-pid", "0"))
        """Of an exec."""

    async def receive(self) -> bytes:
        """Some output, at most 256 KiB; `b""` at its proper end. Raises `AgentLost` when it was cut."""
        if self._early:
            early, self._early = self._early, b""
            return early
        if self._ended:
            return b""
        data = await self._stream.receive_some()
        if not data:
            self._ended = True
            self._stream.close()  # an agent that is about to end waits for that
        return data

    async def send(self, data: bytes) -> None:
        """Input for the process, waiting while it reads none; dropped when it has ended.

        Raises `AgentLost` when the connection is cut. A cancellation leaves a stream that can no longer send.
        """
        view = memoryview(data)
        for start in range(0, len(view), _INPUT_BYTES):
            piece = view[start : start + _INPUT_BYTES]
            await self._send(_INPUT_HEAD.pack(len(piece)) + piece)

    async def send_eof(self) -> None:
        """This client has no more input; fails as `send` does."""
        await self._send(_INPUT_HEAD.pack(0))

    async def _send(self, frame: bytes) -> None:
        if self._ended:
            await trio.lowlevel.checkpoint()
            return
        with suppress(trio.ClosedResourceError):  # it ended meanwhile
            await self._stream.send_all(frame)
