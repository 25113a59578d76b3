"""Sessions at a container's main process: connected before it starts, and again when a connection is cut."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog
import trio

from sockerless_ecs.agent import AgentClient, AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.agent.streams import AgentStreams
from sockerless_ecs.errors import NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.container import RunId
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import Live

_LOG = structlog.get_logger(__name__)
_AGAIN_SECONDS = 0.1
_PREPARE_SECONDS = 5.0
"""How long a start waits for its sessions: one that is late is connected afterwards, from the first byte."""
_CUT = (AgentLost, AgentUnreachable, WrongAgent, trio.ClosedResourceError)


async def prepare_sessions(live: Live, agent: AgentClient, run_id: RunId) -> None:
    """Connect everybody who waits for the run that is about to start; never fails."""
    waiting = tuple(live.attached)
    if not waiting:
        return
    with trio.move_on_after(_PREPARE_SECONDS):
        async with trio.open_nursery() as nursery:
            for attached in waiting:
                nursery.start_soon(attached.prepare, agent, run_id)


class _Link:
    """One connection of a session."""

    def __init__(self, streams: AgentStreams, owned: AsyncExitStack) -> None:
        self.streams = streams
        self.deaf = False
        """It takes no input any more: it was cut, or the process has ended."""
        self._owned = owned

    async def aclose(self) -> None:
        with trio.CancelScope(shield=True):
            await self._owned.aclose()


class Session:
    """One client at the streams of one run: the one that lives, or the next one from its first byte.

    Output is lossless: it goes on by its position after a cut. Of the input, what was on its way in a
    connection that is cut may be lost; it never arrives twice. One task receives, one sends.
    """

    def __init__(self, live: Live, *, run_id: RunId | None, after: int | None = 0) -> None:
        self._live = live
        self._run_id = run_id
        self._joined_late = run_id is not None
        self._position = after
        self._taken = 0
        self._before = live.moment.value
        self._link: _Link | None = None
        self._preparing = False
        self._was_cut = False
        self._input_ended = False
        self._over = False
        self._receiving: trio.CancelScope | None = None
        live.attached.add(self)

    @property
    def taken(self) -> int | None:
        """How many bytes it has had so far; None when it has all, or waits for a run to come."""
        return None if self._over or self._run_id is None else self._taken

    async def connect(self) -> None:
        """Be there before the client is answered; a run that is still to come is not waited for.

        Raises Unavailable when the agent of one that runs does not answer.
        """
        if self._run_id is not None:
            await self._live.reach()
            await self._connected()

    async def prepare(self, agent: AgentClient, run_id: RunId) -> None:
        """A run is about to start: connect to it now, so that nothing it writes is lost."""
        if self._run_id is not None or self._over:
            return
        self._run_id, self._preparing = run_id, True
        try:
            await self._try(agent)
        except SockerlessError as error:
            _LOG.info("session_late", container_id=self._live.id, reason=str(error))
        finally:
            self._preparing = False
            self._live.touch()

    async def receive(self) -> bytes:
        """Some output; `b""` once all was given or the session was ended. Raises Unavailable."""
        data = b""
        with trio.CancelScope() as self._receiving:
            while not self._over and (link := await self._connected()) is not None:
                try:
                    data = await link.streams.receive()
                    break
                except AgentLost:
                    self._was_cut, self._link = True, None
                    await link.aclose()
        if not data:
            self.end()
        elif self._position is not None:
            self._position += len(data)
        self._taken += len(data)
        return data

    async def send(self, data: bytes) -> None:
        """Input, once there is a process; dropped when there is none any more."""
        await self._pass_on(lambda streams: streams.send(data))

    async def send_eof(self) -> None:
        """The client has no more input; an end that may not have arrived is told again."""
        while not self._over and not self._input_ended:
            self._input_ended = await self._pass_on(lambda streams: streams.send_eof())

    def end(self) -> None:
        """Nothing more comes: whoever receives gets `b""`, whoever sends goes on."""
        self._over = True
        if self._receiving is not None:
            self._receiving.cancel()
        self._live.touch()

    async def aclose(self) -> None:
        """The client has left: the process goes on."""
        self.end()
        self._live.attached.discard(self)
        link, self._link = self._link, None
        if link is not None:
            await link.aclose()

    async def _pass_on(self, send: Callable[[AgentStreams], Awaitable[None]]) -> bool:
        await self._live.until(lambda: self._over or (self._link is not None and not self._link.deaf))
        link = self._link
        if self._over or link is None:
            return False
        try:
            await send(link.streams)
        except _CUT:
            link.deaf = True  # whether it was cut, or is over, the one who receives finds out
            return False
        return True

    async def _connected(self) -> _Link | None:
        """The connection, made anew if need be; None when the run is over, or never came."""
        while self._link is None:
            await self._live.until(
                lambda: self._link is not None or self._agent() is not None or self._is_vain()
            )
            if not await self._try_again():
                self._complain()
                return None
        return self._link

    async def _try_again(self) -> bool:
        """Whether there is a connection, or may be one later."""
        agent = self._agent()
        if self._link is not None or agent is None:  # else lost again since we were woken
            return self._link is not None or not self._is_vain()
        self._run_id = self._run_id or self._live.record.run_id
        return await self._try(agent)

    def _agent(self) -> AgentClient | None:
        """The agent that has the run, if it can be asked now."""
        live = self._live
        if self._preparing:
            return None
        if self._run_id is None:
            came: bool = live.moment.value.starts > self._before.starts
            return live.agent if came else None
        return live.agent if live.record.run_id == self._run_id else None

    def _is_vain(self) -> bool:
        """Whether no connection will come any more."""
        live, moment = self._live, self._live.moment.value
        if self._over or moment.removed:
            return True
        if self._run_id is None:
            return bool(moment.exits > self._before.exits)
        if live.record.run_id != self._run_id:
            return True
        ended = not live.record.state.alive and live.record.state is not State.STARTING
        return ended and live.agent is None and live.record.task is None

    async def _try(self, agent: AgentClient) -> bool:
        """Connect, if that is possible now; whether it makes sense to try again when it was not."""
        assert self._run_id is not None
        async with AsyncExitStack() as stack:
            try:
                streams = await stack.enter_async_context(agent.attach(self._run_id, after=self._position))
            except NotFound:
                return False  # its agent has had so many runs since that it does not keep this one's output
            except _CUT:
                await trio.sleep(_AGAIN_SECONDS)
                return True
            if self._over or self._link is not None:
                return True
            if self._was_cut and streams.position != self._position:
                raise Unavailable(f"output of container {self._live.id} was lost while it was out of reach")
            if self._input_ended:
                try:
                    await streams.send_eof()
                except _CUT:
                    return True
            self._link, self._position = _Link(streams, stack.pop_all()), streams.position
        self._live.touch()
        return True

    def _complain(self) -> None:
        """Raises Unavailable when the end of the output was lost with its agent."""
        moment = self._live.moment.value
        ran = self._joined_late or moment.starts > self._before.starts
        if ran and self._was_cut and not self._over and not moment.removed:
            raise Unavailable(f"the agent of container {self._live.id} was lost: its output is not whole")
