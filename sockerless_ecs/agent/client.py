"""The daemon's end of the agent protocol: one task's agent, reached over mutual TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
import trio

from sockerless_ecs.agent.exchange import UPGRADED, Answer, Upgraded, exchange
from sockerless_ecs.agent.identity import proves
from sockerless_ecs.agent.protocol import (
    AgentEvent,
    AgentLost,
    AgentUnreachable,
    ExecRequest,
    ExecState,
    Health,
    Names,
    Started,
    StartRefused,
    StartRequest,
    WrongAgent,
)
from sockerless_ecs.agent.streams import AgentStreams, EventStream, LineStream
from sockerless_ecs.agent.tls import TlsStream
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError, Unimplemented
from sockerless_ecs.model.log import LogLine

_T = TypeVar("_T")
_FAILURES: dict[int, type[SockerlessError]] = {
    HTTPStatus.BAD_REQUEST: InvalidParameter,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.NOT_IMPLEMENTED: Unimplemented,
}


class _Refusal(msgspec.Struct):
    kind: str = ""
    message: str = ""


class AgentClient:
    """One task's agent.

    Every call may raise `AgentUnreachable` (nothing answers), `WrongAgent` (somebody else does) and
    `AgentLost` (cut; it may have happened). Nothing is sent before the agent has proved that it is the
    task's. Callers bound calls with cancel scopes; a cancelled call leaves no socket behind. One
    verified connection is kept for the next call; with a nursery it is made ready in the background.
    """

    def __init__(
        self,
        address: str,
        port: int,
        token: bytes,
        context: ssl.SSLContext,
        nursery: trio.Nursery | None = None,
    ) -> None:
        self._address, self._port = address, port
        self._token = token
        self._context = context
        self._nursery = nursery
        self._spare: TlsStream | None = None
        self._preparing = False
        self._closed = False

    async def connect(self) -> None:
        """Have a verified connection ready."""
        if self._spare is None or not self._spare.is_silent():
            self._keep(await self._new_connection())

    async def health(self) -> Health:
        """How the agent is."""
        return await self.call("GET", "/health", Health)

    async def start(self, request: StartRequest) -> Started:
        """Start a run, or learn how its start went; raises `StartRefused`."""
        answer = await self._ask("POST", "/start", request)
        if answer.status != HTTPStatus.OK:
            refusal = msgspec.json.decode(answer.body, type=_Refusal)
            raise StartRefused(refusal.kind, refusal.message)
        return msgspec.json.decode(answer.body, type=Started)

    async def signal(self, run: str, signal: str) -> None:
        """Signal a run's process; raises `NotFound` for an unknown run, `Conflict` when it does not live."""
        await self.call("POST", "/signal", dict, {"run": run, "signal": signal})

    async def signal_exec(self, exec_id: str, signal: str) -> None:
        """Signal an exec's process; raises as `signal` does."""
        await self.call("POST", "/signal", dict, {"exec": exec_id, "signal": signal})

    async def resize(self, *, rows: int, columns: int, run: str = "", exec_id: str = "") -> None:
        """Set the size of a run's or an exec's terminal.

        Raises `NotFound` when it is not known, `Conflict` when it does not live or has no terminal.
        """
        which = {"exec": exec_id} if exec_id else {"run": run}
        await self.call("POST", "/resize", dict, {**which, "rows": rows, "columns": columns})

    async def pause(self, run: str) -> None:
        """Stop every process of the container; raises `Conflict` when it does not run, or is paused."""
        await self.call("POST", "/pause", dict, {"run": run})

    async def unpause(self, run: str) -> None:
        """Let them go on; raises `Conflict` when it does not run, or is not paused."""
        await self.call("POST", "/unpause", dict, {"run": run})

    @asynccontextmanager
    async def attach(self, run: str, *, after: int | None) -> AsyncGenerator[AgentStreams]:
        """A run's streams, its output from a position on; None: what comes from now on.

        A run that is not known yet is waited for: its first byte is the stream's. The stream ends when the
        run's output has, or when the run does not come. While it is open and the run lives, what it was not
        given is not lost: the process is held back instead. Leaving lets go of it, not of the process.
        Raises `NotFound` for a run whose output is gone.
        """
        query = urlencode({"run": run, "after": "now" if after is None else after})
        async with self.upgraded("POST", f"/attach?{query}") as upgraded:
            yield AgentStreams(upgraded)

    @asynccontextmanager
    async def exec(self, request: ExecRequest) -> AsyncGenerator[AgentStreams]:
        """One more process beside a run's, started, and its streams.

        Its end is the stream's, and `exec_state` knows the code by then. Leaving ends its input; the process
        lives on. Raises `StartRefused` when it does not start, `Conflict` when the run does not live or is
        paused, or when the id was used before.
        """
        async with self.upgraded("POST", "/exec", request) as upgraded:
            yield AgentStreams(upgraded)

    async def exec_detached(self, request: ExecRequest) -> ExecState:
        """The same with nobody at its streams, whatever the request says of that; raises as `exec` does."""
        return await self.call("POST", "/exec", ExecState, msgspec.structs.replace(request, detach=True))

    async def exec_state(self, exec_id: str) -> ExecState:
        """How an exec is; raises `NotFound` for one that is not known (any more)."""
        return await self.call("GET", f"/exec/{exec_id}", ExecState)

    async def set_names(self, names: Names) -> None:
        """Replace what the container calls itself and its peers; raises `InvalidParameter`."""
        await self.call("PUT", "/names", dict, names)

    async def ack(self, seq: int) -> None:
        """Say that every event up to this one is safe: an exit that is keeps the task no longer."""
        await self.call("POST", f"/ack?seq={seq}", dict)

    async def quit(self) -> None:
        """End the agent, and a process that lives with it."""
        await self.call("POST", "/quit", dict)

    @asynccontextmanager
    async def events(self, after: int = 0) -> AsyncGenerator[AsyncIterator[AgentEvent]]:
        """What happened past a number, and what happens from now on.

        The iterator ends when the agent ends on purpose, and raises `AgentLost` when it was cut.
        """
        async with self.upgraded("GET", f"/events?after={after}") as events:
            yield EventStream(events.stream, events.early)

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
        """A run's lines, in batches as they arrive; raises `NotFound` for an unknown run.

        The iterator ends when all was sent: with `follow` when the run's output has ended, else where
        the output ended when it was asked. Numbers jump where the agent's ring was overwritten. A line
        without its newline comes when more of it, or the end of the stream, has come.
        """
        query = {
            "run": run,
            "after": after,
            "tail": "all" if tail is None else tail,
            "since": since_ns,
            "until": until_ns,
            "follow": int(follow),
            "stdout": int(stdout),
            "stderr": int(stderr),
        }
        async with self.upgraded("GET", f"/logs?{urlencode(query)}") as lines:
            yield LineStream(lines.stream, lines.early)

    async def aclose(self) -> None:
        """Let the spare connection go. Streams belong to who opened them."""
        self._closed = True
        if self._spare is not None:
            self._spare.close()
            self._spare = None
        await trio.lowlevel.checkpoint()

    async def call(self, method: str, path: str, kind: type[_T], body: object = None) -> _T:
        """Ask, and read the answer as a `kind`; raises what the agent's refusal means."""
        answer = await self._ask(method, path, body)
        _require(answer, HTTPStatus.OK)
        return msgspec.json.decode(answer.body, type=kind)

    @asynccontextmanager
    async def upgraded(self, method: str, path: str, body: object = None) -> AsyncGenerator[Upgraded]:
        """A connection that becomes a stream, closed when the context is left; raises as `call` does."""
        stream = await self._take()
        try:
            answer = await exchange(stream, method, path, body, upgrade=True)
            _require(answer, UPGRADED)
            self._prepare_spare()
            yield Upgraded(stream, answer.headers, answer.body)
        finally:
            stream.close()

    async def _ask(self, method: str, path: str, body: object = None) -> Answer:
        stream = await self._take()
        try:
            answer = await exchange(stream, method, path, body)
        except BaseException:
            stream.close()
            raise
        self._keep(stream)
        return answer

    async def _take(self) -> TlsStream:
        """The spare connection, if it still lives, else a new one."""
        stream, self._spare = self._spare, None
        if stream is not None:
            if stream.is_silent():
                return stream
            stream.close()
        return await self._new_connection()

    def _keep(self, stream: TlsStream) -> None:
        if self._closed or self._spare is not None:
            stream.close()
        else:
            self._spare = stream

    def _prepare_spare(self) -> None:
        if self._nursery is not None and not self._preparing and not self._closed and self._spare is None:
            self._preparing = True
            self._nursery.start_soon(self._make_spare)

    async def _make_spare(self) -> None:
        try:
            if not self._closed:
                self._keep(await self._new_connection())
        except (AgentUnreachable, WrongAgent, AgentLost):
            pass  # the next call tries for itself and tells its caller
        finally:
            self._preparing = False

    async def _new_connection(self) -> TlsStream:
        """Connect, and check that this is our task's agent before anything else is said."""
        stream = await TlsStream.connect(self._address, self._port, self._context)
        try:
            answer = await exchange(stream, "GET", "/health")
            if not proves(_proof(answer), self._token, stream.peer_certificate()):
                raise WrongAgent(f"{self._address}:{self._port} does not hold the task's token")
        except AgentLost as error:
            stream.close()  # in TLS 1.3 a client whose key is refused learns it only now
            raise AgentUnreachable(f"no agent answers at {self._address}:{self._port}: {error}") from error
        except BaseException:
            stream.close()
            raise
        return stream


def _proof(answer: Answer) -> str:
    try:
        return msgspec.json.decode(answer.body, type=Health).proof
    except msgspec.DecodeError:
        return ""


def _require(answer: Answer, status: int) -> None:
    if answer.status == status:
        return
    refusal = msgspec.json.decode(answer.body, type=_Refusal)
    if answer.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        raise StartRefused(refusal.kind, refusal.message)
    raise _FAILURES.get(answer.status, SockerlessError)(f"agent: {refusal.message}")
