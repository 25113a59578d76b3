"""Execs whose programs are `true`, `cat`, or a test's own."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import trio

from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.lifecycle import State
from tests.http.fake_backend.containers import FakeContainers
from tests.http.fake_backend.streams import FakeStreams

MISSING = 'OCI runtime exec failed: exec: "missing": executable file not found in $PATH'


class FakeExecs:
    """`true` ends, `cat` says what it is told, `missing` is not there; the rest waits for a test."""

    def __init__(self, containers: FakeContainers) -> None:
        self._containers = containers
        self.by_id: dict[str, Exec] = {}
        self.streams: dict[str, FakeStreams] = {}
        self.on_start: Callable[[str, FakeStreams], None] = lambda _, __: None
        self.sizes: list[tuple[str, TerminalSize | None]] = []

    def find(self, exec_id: str) -> Exec:
        if exec_id not in self.by_id:
            raise NotFound(f"No such exec instance: {exec_id}")
        return self.by_id[exec_id]

    def end(self, exec_id: str, code: int) -> None:
        """Its process ends."""
        self.by_id[exec_id] = replace(self.find(exec_id), exit_code=code)
        if exec_id in self.streams:
            self.streams[exec_id].end()

    async def create(self, ref: str, request: Exec) -> str:
        await trio.lowlevel.checkpoint()
        container = self._containers.find(ref)
        if container.state is State.PAUSED:
            raise Conflict(f"Container {ref} is paused, unpause the container before exec")
        if not container.state.alive:
            raise Conflict(f"Container {container.id} is not running")
        exec_id = secrets.token_hex(32)
        self.by_id[exec_id] = replace(
            request, id=exec_id, container_id=container.id, created_ns=time.time_ns()
        )
        return exec_id

    def _begin(self, exec_id: str, tty: bool, size: TerminalSize | None) -> Exec:
        record = self.find(exec_id)
        if record.started:
            state = "already running" if record.running else "has already run"
            raise Conflict(f"Error: Exec command {exec_id} {state}")
        self.sizes.append((exec_id, size))
        if record.argv[0] == "missing":
            self.by_id[exec_id] = replace(record, started=True, exit_code=127)
            raise InvalidParameter(MISSING)
        self.by_id[exec_id] = replace(record, started=True, pid=7, tty=record.tty or tty)
        return self.by_id[exec_id]

    @asynccontextmanager
    async def attached(
        self, exec_id: str, *, tty: bool = False, size: TerminalSize | None = None
    ) -> AsyncIterator[FakeStreams]:
        await trio.lowlevel.checkpoint()
        try:
            record = self._begin(exec_id, tty, size)
        except InvalidParameter as refusal:  # told in its streams, as Docker does
            streams = FakeStreams(tty=self.find(exec_id).tty)
            streams.say(f"{refusal.message}\r\n".encode())
            streams.end()
            yield streams
            return
        streams = self.streams[exec_id] = FakeStreams(tty=record.tty, echo=record.argv[0] == "cat")
        if record.argv[0] == "true":
            self.end(exec_id, 0)
        self.on_start(exec_id, streams)
        try:
            yield streams
        finally:
            streams.left.set()
            if record.argv[0] == "cat" and streams.eof.is_set():
                self.end(exec_id, 0)

    async def start(self, exec_id: str, *, tty: bool = False, size: TerminalSize | None = None) -> None:
        await trio.lowlevel.checkpoint()
        if self._begin(exec_id, tty, size).argv[0] == "true":
            self.end(exec_id, 0)

    async def resize(self, exec_id: str, size: TerminalSize) -> None:
        await trio.lowlevel.checkpoint()
        record = self.find(exec_id)
        if not record.running:
            raise NotFound("no such exec")
        self.sizes.append((exec_id, size))

    async def inspect(self, exec_id: str) -> Exec:
        await trio.lowlevel.checkpoint()
        return self.find(exec_id)
