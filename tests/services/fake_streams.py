"""The streams of a `FakeAgent`'s processes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from sockerless_ecs.agent import AgentLost
from sockerless_ecs.agent.protocol import ExecRequest
from sockerless_ecs.agent.streams import AgentStreams


def frame(data: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


@dataclass
class FakePipes:
    """What a process has written and what was typed to it, as far as it is known at the agent."""

    output: bytearray = field(default_factory=bytearray)
    ended: bool = False
    """All output was read."""
    typed: bytearray = field(default_factory=bytearray)
    input_ends: int = 0
    readers: int = 0
    lost: int = 0
    """The ring begins here."""


@dataclass
class FakeExec:
    """One more process."""

    request: ExecRequest
    pid: int
    pipes: FakePipes = field(default_factory=FakePipes)
    code: int | None = None
    size: tuple[int, int] = (0, 0)


class FakeStreams(AgentStreams):
    """One connection; it breaks with the agent's others."""

    def __init__(
        self, agent: FakeConnections, find: Callable[[], FakePipes | None], after: int | None
    ) -> None:
        self._agent, self._find, self._cuts = agent, find, agent.cuts
        pipes = find()
        begin = len(pipes.output) if pipes and after is None else max(after or 0, pipes.lost if pipes else 0)
        self.position = self._at = begin
        self.pid = 0
        if pipes:
            pipes.readers += 1
        self._pipes = pipes

    def close(self) -> None:
        if self._pipes:
            self._pipes.readers -= 1

    async def receive(self) -> bytes:
        while True:
            await trio.lowlevel.checkpoint()
            if self._agent.cuts != self._cuts:
                raise AgentLost("cut")
            pipes = self._find()
            if pipes and self._pipes is None:
                pipes.readers += 1
                self._pipes = pipes
            if pipes and len(pipes.output) > self._at:
                data = bytes(pipes.output[self._at : self._at + self._agent.stream_chunk])
                self._at += len(data)
                return data
            if self._agent.over or (pipes and pipes.ended):
                return b""
            await self._agent.changed()

    async def send(self, data: bytes) -> None:
        (await self._sending()).typed.extend(data)

    async def send_eof(self) -> None:
        (await self._sending()).input_ends += 1

    async def _sending(self) -> FakePipes:
        await trio.lowlevel.checkpoint()
        while (pipes := self._find()) is None and self._agent.cuts == self._cuts:
            await self._agent.changed()  # the run is still to come
        if self._agent.cuts != self._cuts or pipes is None or pipes.ended:
            raise AgentLost("cut")
        return pipes


class FakeConnections:
    """What streams need to know of their agent."""

    cuts: int
    over: bool
    stream_chunk: int

    async def changed(self) -> None:
        raise NotImplementedError
