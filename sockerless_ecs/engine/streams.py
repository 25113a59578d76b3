"""What a client sees of a process: the streams it asked for, its detach keys, the end of its input."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from typing import Protocol

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.detach import DetachScanner, parse_keys
from sockerless_ecs.model.log import STDERR, STDOUT, LogLine

_HEAD = struct.Struct(">BxxxI")


class Source(Protocol):
    """A process's streams, whole."""

    async def receive(self) -> bytes:
        """Some output; `b""` at the end of all."""

    async def send(self, data: bytes) -> None:
        """Input."""

    async def send_eof(self) -> None:
        """No more input."""

    def end(self) -> None:
        """Nothing more comes: whoever receives gets `b""`."""


class ClientStreams:
    """A source as one client wants it.

    As in Docker, the end of the client's input ends its session too, unless that is the end of the
    process's input (`input_once`) and there is no terminal.
    """

    def __init__(
        self,
        source: Source,
        *,
        tty: bool,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        input_once: bool,
        keys: bytes,
        on_detach: Callable[[], None],
    ) -> None:
        self._source = source
        self._tty = tty
        self._stdin = stdin
        self._sieve = None if tty or (stdout and stderr) else Sieve(stdout=stdout, stderr=stderr)
        self._silent = tty and not stdout
        self._stays = input_once and not tty
        self._scanner = DetachScanner(keys) if tty and stdin else None
        self._on_detach = on_detach
        if not (stdin or stdout or stderr):
            source.end()

    @property
    def tty(self) -> bool:
        """Whether what comes is a terminal's raw bytes, else Docker's 8-byte frames."""
        return self._tty

    async def receive(self) -> bytes:
        """Some of the output; `b""` once all of it was given, or the client has gone from it."""
        while data := await self._source.receive():
            shown = b"" if self._silent else self._sieve.pass_on(data) if self._sieve else data
            if shown:
                return shown
        return b""

    async def send(self, data: bytes) -> None:
        """Standard input; the detach keys end the session."""
        scanner = self._scanner
        if not self._stdin or (scanner and scanner.found):
            return
        if typed := scanner.feed(data) if scanner else data:
            await self._source.send(typed)
        if scanner and scanner.found:
            self._on_detach()
            self._source.end()

    async def send_eof(self) -> None:
        """The client has no more input."""
        if not self._stdin:
            return
        if self._scanner and (typed := self._scanner.rest()):
            await self._source.send(typed)
        await self._source.send_eof()
        if not self._stays:
            self._source.end()


class Sieve:
    """Lets the frames of the wanted streams through, wherever they are cut."""

    def __init__(self, *, stdout: bool, stderr: bool) -> None:
        self._wanted = {STDOUT: stdout, STDERR: stderr}
        self._head = b""
        self._left = 0
        self._passes = False

    def pass_on(self, data: bytes) -> bytes:
        """What of this is wanted."""
        view, wanted = memoryview(data), bytearray()
        while view:
            if self._left:
                piece, view = view[: self._left], view[self._left :]
                self._left -= len(piece)
                if self._passes:
                    wanted += piece
                continue
            missing = _HEAD.size - len(self._head)
            self._head, view = self._head + bytes(view[:missing]), view[missing:]
            if len(self._head) == _HEAD.size:
                stream, self._left = _HEAD.unpack(self._head)
                self._passes = self._wanted.get(stream, False)
                if self._passes:
                    wanted += self._head
                self._head = b""
        return bytes(wanted)


def frames(lines: Iterable[LogLine], *, tty: bool) -> bytes:
    """Lines as a process's streams."""
    if tty:
        return b"".join(line.data for line in lines)
    return b"".join(_HEAD.pack(line.stream, len(line.data)) + line.data for line in lines)


def detach_keys(text: str, kind: str = "detach") -> bytes:
    """What the keys type; raises InvalidParameter in Docker's words."""
    try:
        return parse_keys(text)
    except ValueError as error:
        raise InvalidParameter(f"Invalid {kind} keys ({text}) provided") from error
