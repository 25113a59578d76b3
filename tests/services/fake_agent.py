"""A task's agent in memory, and a daemon's connections to it.

The client derives from the real one, so that mypy holds its signatures to it.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import trio

from sockerless_ecs.agent import (
    AgentClient,
    AgentEvent,
    AgentLost,
    AgentUnreachable,
    Names,
    Started,
    StartRequest,
)
from sockerless_ecs.agent.protocol import ExecRequest, ExecState
from sockerless_ecs.agent.streams import AgentStreams
from sockerless_ecs.errors import Conflict, NotFound
from sockerless_ecs.model.log import STDOUT, LogLine
from tests.services.fake_streams import FakeConnections, FakeExec, FakePipes, FakeStreams, frame

START_NS = 1_000


@dataclass
class FakeRun:
    """A run's output as the agent has it."""

    lines: list[LogLine] = field(default_factory=list)
    pipes: FakePipes = field(default_factory=FakePipes)
    tty: bool = False
    size: tuple[int, int] = (0, 0)
    drained: bool = False
    overwritten: int = 0
    """The agent's ring has lost the lines up to this one."""
    holes: set[int] = field(default_factory=set)
    """Lines that are lost in the middle."""


class FakeAgent(FakeConnections):
    """The agent of one task; every `FakeClient` of it is one daemon's connection."""

    def __init__(self) -> None:
        self.reachable = True
        self.over = False
        self.runs: dict[str, FakeRun] = {}
        self.events: list[AgentEvent] = []
        self.started: list[StartRequest] = []
        self.signals: list[str] = []
        self.names: list[Names] = []
        self.acked = 0
        self.paused = False
        self.pending = ""
        """The signal that a paused process has not met yet."""
        self.execs: dict[str, FakeExec] = {}
        self.attaches: list[tuple[str, int | None]] = []
        """What the connections to streams have asked for."""
        self.stream_chunk = 1 << 18
        self.chunk = 100
        self.faults: dict[str, deque[Exception]] = defaultdict(deque)
        """What the next calls of a name raise instead."""
        self.dies_of: tuple[str, ...] = ("SIGTERM", "SIGKILL")
        self.exits_at_once: int | None = None
        self.hold = trio.Event()
        """The answer to `/start` waits for it."""
        self.hold.set()
        self.log_cuts: deque[int] = deque()
        """After how many lines the next connections to the log are cut."""
        self.log_reads = 0
        self.open_clients = 0
        self.open_streams = 0
        self.cuts = 0
        self._changed = trio.Event()

    @property
    def live(self) -> str:
        """The run whose process lives."""
        exited = {event.run for event in self.events if event.type == "exited"}
        return next((run for run in self.runs if run not in exited), "")

    def ring(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def changed(self) -> None:
        await self._changed.wait()

    def tell(self, kind: str, run: str, **more: object) -> None:
        number = len(self.events)
        event = {"seq": number + 1, "time": START_NS + number, "type": kind, "run": run, **more}
        self.events.append(msgspec.convert(event, AgentEvent))
        self.ring()

    def print(self, *texts: str, stream: int = STDOUT, run: str | None = None) -> None:
        lines = self.runs[run or self.live].lines
        for text in texts:
            number = len(lines) + 1
            lines.append(LogLine(number, START_NS + number, stream, f"{text}\n".encode()))
            self.write(f"{text}\n".encode(), stream=stream, run=run)
        self.ring()

    def write(self, data: bytes, *, stream: int = STDOUT, run: str | None = None) -> None:
        """The run's process writes, in one piece."""
        written = self.runs[run or self.live]
        written.pipes.output.extend(data if written.tty else frame(data, stream))
        self.ring()

    def end_exec(self, exec_id: str, code: int, *, told: bool = True) -> None:
        """An exec's process ends, and its output with it."""
        ended = self.execs[exec_id]
        ended.code, ended.pipes.ended = code, True
        if told:
            self.tell("exec_exited", ended.request.run, exec=exec_id, pid=ended.pid, code=code)
        self.ring()

    def exit(self, code: int = 0, *, oom: bool = False, drain: bool = True) -> None:
        run = self.live
        self.paused, self.pending = False, ""
        self.tell("exited", run, code=code, oom=oom)
        if drain:
            self.drain(run)

    def die(self, signal: str) -> None:
        """Of a signal: a process that is paused meets it, unless it is SIGKILL, when it goes on."""
        if self.paused and signal != "SIGKILL":
            self.pending = signal
        else:
            self.exit({"SIGTERM": 143, "SIGKILL": 137}.get(signal, 1))

    def go_on(self) -> None:
        """A paused process runs again."""
        self.paused = False
        if self.pending:
            self.die(self.pending)

    def probe(self, status: str, *codes: int) -> None:
        """A health check's result."""
        log = [{"start_ns": 1, "end_ns": 2, "exit_code": code, "output": ""} for code in codes]
        streak = len([code for code in codes if code])
        self.tell("health", self.live, health={"status": status, "failing_streak": streak, "log": log})

    def drain(self, run: str) -> None:
        self.runs[run].drained = self.runs[run].pipes.ended = True
        self.tell("drained", run, lines=len(self.runs[run].lines))

    def cut(self) -> None:
        """Every connection breaks; new ones can be made."""
        self.cuts += 1
        self.ring()

    def end(self) -> None:
        """The agent ends on purpose: streams end properly, nobody answers any more."""
        self.over, self.reachable = True, False
        self.ring()


class FakeClient(AgentClient):
    """A connection to a `FakeAgent`."""

    def __init__(self, agent: FakeAgent) -> None:
        self.agent = agent
        self.is_open = False

    async def connect(self) -> None:
        await self._reach("connect")
        self.is_open = True
        self.agent.open_clients += 1

    async def aclose(self) -> None:
        if self.is_open:
            self.is_open = False
            self.agent.open_clients -= 1
        await trio.lowlevel.checkpoint()

    async def start(self, request: StartRequest) -> Started:
        await self._reach("start")
        agent = self.agent
        if request.run not in agent.runs:
            if agent.live:
                raise AssertionError("a second process in one task")
            agent.started.append(request)
            agent.runs[request.run] = FakeRun(tty=request.tty)
            agent.tell("started", request.run, pid=7)
            if agent.exits_at_once is not None:
                agent.exit(agent.exits_at_once)
        await agent.hold.wait()
        self._fail("answer")
        return Started(pid=7, seq=1, time_ns=START_NS)

    async def signal(self, run: str, signal: str) -> None:
        await self._reach("signal")
        self.agent.signals.append(signal)
        if self.agent.live != run:
            raise Conflict("agent: it does not live")
        if signal in self.agent.dies_of:
            self.agent.die(signal)

    async def pause(self, run: str) -> None:
        await self._reach("pause")
        self._check_paused(run, paused=False)
        self.agent.paused = True

    async def unpause(self, run: str) -> None:
        await self._reach("unpause")
        self._check_paused(run, paused=True)
        self.agent.go_on()

    def _check_paused(self, run: str, *, paused: bool) -> None:
        if self.agent.live != run:
            raise Conflict(f"agent: run {run} is not running")
        if self.agent.paused is not paused:
            raise Conflict(f"agent: run {run} is {'already' if self.agent.paused else 'not'} paused")

    async def set_names(self, names: Names) -> None:
        await self._reach("names")
        self.agent.names.append(names)

    async def ack(self, seq: int) -> None:
        await self._reach("ack")
        self.agent.acked = max(self.agent.acked, seq)

    @asynccontextmanager
    async def attach(self, run: str, *, after: int | None) -> AsyncGenerator[AgentStreams]:
        await self._reach("attach")
        self.agent.attaches.append((run, after))

        def pipes() -> FakePipes | None:
            return self.agent.runs[run].pipes if run in self.agent.runs else None

        async with self._open(FakeStreams(self.agent, pipes, after)) as streams:
            yield streams

    @asynccontextmanager
    async def exec(self, request: ExecRequest) -> AsyncGenerator[AgentStreams]:
        started = await self._exec("exec", request)
        streams = FakeStreams(self.agent, lambda: started.pipes, 0)
        streams.pid = started.pid
        async with self._open(streams):
            yield streams

    async def exec_detached(self, request: ExecRequest) -> ExecState:
        started = await self._exec("exec_detached", request)
        return ExecState(id=request.id, pid=started.pid, code=started.code)

    async def exec_state(self, exec_id: str) -> ExecState:
        await self._reach("exec_state")
        known = self.agent.execs.get(exec_id)
        if known is None:
            raise NotFound("agent: no such exec")
        return ExecState(id=exec_id, pid=known.pid, code=known.code)

    async def resize(self, *, rows: int, columns: int, run: str = "", exec_id: str = "") -> None:
        await self._reach("resize")
        if exec_id:
            self.agent.execs[exec_id].size = (rows, columns)
        else:
            self.agent.runs[run].size = (rows, columns)

    @asynccontextmanager
    async def _open(self, streams: FakeStreams) -> AsyncGenerator[FakeStreams]:
        self.agent.open_streams += 1
        try:
            yield streams
        finally:
            self.agent.open_streams -= 1
            streams.close()

    async def _exec(self, call: str, request: ExecRequest) -> FakeExec:
        await self._reach(call)
        if self.agent.live != request.run or self.agent.paused:
            raise Conflict("agent: it does not live")
        started = self.agent.execs[request.id] = FakeExec(request, pid=100 + len(self.agent.execs))
        return started

    @asynccontextmanager
    async def events(self, after: int = 0) -> AsyncGenerator[AsyncIterator[AgentEvent]]:
        await self._reach("events")
        yield _Events(self.agent, after)

    @asynccontextmanager
    async def logs(
        self,
        run: str,
        *,
        after: int = 0,
        tail: int | None = None,
        since_ns: int = 0,
        until_ns: int = 0,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
    ) -> AsyncGenerator[AsyncIterator[list[LogLine]]]:
        await self._reach("logs")
        if run not in self.agent.runs:
            raise NotFound("agent: no output of that run")
        self.agent.log_reads += 1
        if tail is not None:
            after = max(after, len(self.agent.runs[run].lines) - tail)
        yield _Lines(self.agent, self.agent.runs[run], after, follow=follow)

    async def _reach(self, call: str) -> None:
        await trio.lowlevel.checkpoint()
        self._fail(call)
        if not self.agent.reachable:
            raise AgentUnreachable("refused")

    def _fail(self, call: str) -> None:
        if self.agent.faults[call]:
            raise self.agent.faults[call].popleft()


class _Events:
    """One connection's events."""

    def __init__(self, agent: FakeAgent, after: int) -> None:
        self._agent, self._after, self._cuts = agent, after, agent.cuts

    def __aiter__(self) -> _Events:
        return self

    async def __anext__(self) -> AgentEvent:
        agent = self._agent
        while True:
            await trio.lowlevel.checkpoint()
            if agent.cuts != self._cuts:
                raise AgentLost("cut")
            if self._after < len(agent.events):
                self._after += 1
                return agent.events[self._after - 1]
            if agent.over:
                raise StopAsyncIteration
            await agent.changed()


class _Lines:
    """One connection's lines, which may be cut after some of them."""

    def __init__(self, agent: FakeAgent, run: FakeRun, after: int, *, follow: bool) -> None:
        self._agent, self._run, self._after, self._follow = agent, run, after, follow
        self._cuts, self._until = agent.cuts, len(run.lines)
        self._left = agent.log_cuts.popleft() if agent.log_cuts else None

    def __aiter__(self) -> _Lines:
        return self

    async def __anext__(self) -> list[LogLine]:
        agent, run = self._agent, self._run
        while True:
            await trio.lowlevel.checkpoint()
            if agent.cuts != self._cuts or self._left == 0:
                raise AgentLost("cut")
            if batch := self._batch():
                self._after = batch[-1].number
                if self._left is not None:
                    self._left -= len(batch)
                return batch
            if agent.over:
                raise AgentLost("cut")
            if run.drained or not self._follow:
                raise StopAsyncIteration
            await agent.changed()

    def _batch(self) -> list[LogLine]:
        run = self._run
        lost = {*range(1, run.overwritten + 1), *run.holes}
        there = run.lines[self._after : None if self._follow else self._until]
        return [line for line in there if line.number not in lost][
            : min(self._agent.chunk, self._left or 10**9)
        ]
