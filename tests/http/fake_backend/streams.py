"""An attached process whose output a test says and whose input a test reads."""

from __future__ import annotations

import struct
from collections import deque

import trio

from sockerless_ecs.model.log import STDOUT


class FakeStreams:
    """One client's streams of one process."""

    def __init__(self, *, tty: bool = False, echo: bool = False) -> None:
        self._tty = tty
        self._echo = echo
        self._output: deque[bytes] = deque()
        self._told = trio.Event()
        self._ended = False
        self.failure: Exception | None = None
        self.sent = bytearray()
        self.taken = 0
        """Pieces of output that were received."""
        self.reads = True
        """Whether the process takes its input."""
        self.eof = trio.Event()
        self.left = trio.Event()

    @property
    def tty(self) -> bool:
        return self._tty

    def say(self, data: bytes, stream: int = STDOUT) -> None:
        """The process writes."""
        self._output.append(data if self._tty else struct.pack(">BxxxL", stream, len(data)) + data)
        self._told.set()

    def end(self) -> None:
        """The process ends."""
        self._ended = True
        self._told.set()

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        while not self._output:
            if self.failure is not None:
                raise self.failure
            if self._ended:
                return b""
            self._told = trio.Event()
            await self._told.wait()
        self.taken += 1
        return self._output.popleft()

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        while not self.reads:
            await trio.sleep_forever()
        self.sent += data
        if self._echo:
            self.say(data)

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()
        self.eof.set()
        if self._echo:
            self.end()
