"""An exec that runs, as its client's streams."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import trio

from sockerless_ecs.agent import AgentClient, AgentLost
from sockerless_ecs.agent.streams import AgentStreams
from sockerless_ecs.errors import SockerlessError, Unavailable
from sockerless_ecs.model.container import RunId
from sockerless_ecs.services.execs import ExecTable
from sockerless_ecs.services.ledger import Live

_CODE_SECONDS = 1.0
"""How long the event of its end may be behind the end of its stream before the agent is asked."""
_OVER_SECONDS = 2.0
"""How long a stream that was cut may be ahead of the news that the container is over."""


class RunningExec:
    """Its output comes once: a stream that is cut is not taken up again. The process goes on without it."""

    def __init__(
        self,
        live: Live,
        execs: ExecTable,
        exec_id: str,
        streams: AgentStreams,
        on_code: Callable[[int], None],
    ) -> None:
        self._live = live
        self._execs = execs
        self._exec_id = exec_id
        self._streams = streams
        self._on_code = on_code
        self._over = False
        self._taken = 0
        self._receiving: trio.CancelScope | None = None
        live.attached.add(self)

    @property
    def taken(self) -> int | None:
        """How many bytes it has had so far; None when it has all."""
        return None if self._over else self._taken

    async def prepare(self, agent: AgentClient, run_id: RunId) -> None:
        """An exec belongs to the run that it was made for."""
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        """Some output; `b""` once all was given and its exit code is known. Raises Unavailable."""
        data = b""
        with trio.CancelScope() as self._receiving:
            if not self._over:
                data = await self._next()
        if not data:
            self.end()
        self._taken += len(data)
        return data

    async def send(self, data: bytes) -> None:
        """Input, dropped when nothing reads it any more."""
        with suppress(AgentLost, trio.ClosedResourceError):
            await self._streams.send(data)

    async def send_eof(self) -> None:
        """No more input."""
        with suppress(AgentLost, trio.ClosedResourceError):
            await self._streams.send_eof()

    def end(self) -> None:
        """Nothing more comes: whoever receives gets `b""`."""
        self._over = True
        if self._receiving is not None:
            self._receiving.cancel()
        self._live.touch()

    def leave(self) -> None:
        """The client has left: the process goes on."""
        self.end()
        self._live.attached.discard(self)

    async def _next(self) -> bytes:
        try:
            data = await self._streams.receive()
        except AgentLost as cut:
            with trio.move_on_after(_OVER_SECONDS):
                await self._live.until(self._is_container_over)
            if not self._is_container_over():
                raise Unavailable(f"the connection to exec {self._exec_id} was cut: it goes on") from cut
            return b""
        if not data:
            await self._learn_code()
        return data

    def _is_container_over(self) -> bool:
        return not self._live.record.state.alive or self._live.moment.value.removed

    async def _learn_code(self) -> None:
        with trio.move_on_after(_CODE_SECONDS) as patience:
            await self._execs.wait_over(self._exec_id)
        if not patience.cancelled_caught or self._is_container_over():
            return
        try:
            agent = await self._live.reach()
            code = (await agent.exec_state(self._exec_id)).code
        except SockerlessError as error:
            raise Unavailable(f"the exit code of exec {self._exec_id} is not known: {error}") from error
        if code is not None:
            self._on_code(code)
