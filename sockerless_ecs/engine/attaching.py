"""Attaching to a container's main process, before it starts or while it runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from sockerless_ecs.engine.contract import Streams
from sockerless_ecs.engine.control import told
from sockerless_ecs.engine.logs import Logs
from sockerless_ecs.engine.streams import ClientStreams, Source, detach_keys, frames
from sockerless_ecs.engine.values import AttachOptions, TerminalSize
from sockerless_ecs.errors import Conflict
from sockerless_ecs.model.log import LogLine, LogOptions
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.sessions import Session
from sockerless_ecs.services.supervisor import attributes


class Attaching:
    """Decides what a client is attached to; the session does it."""

    def __init__(self, *, ledger: Ledger, logs: Logs, bus: EventBus) -> None:
        self._ledger = ledger
        self._logs = logs
        self._bus = bus

    @asynccontextmanager
    async def attach(self, ref: str, options: AttachOptions) -> AsyncIterator[Streams]:
        """The main process's streams; entering raises what is wrong with the request."""
        keys = detach_keys(options.detach_keys)
        live = self._ledger.find(ref)
        if live.record.status == "paused":
            raise Conflict(f"container {ref} is paused, unpause the container before attach")
        if live.record.status == "restarting":
            raise Conflict(f"container {ref} is restarting, wait until the container is running")
        await told(live)
        config = live.record.config
        async with self._source(live, options) as source:
            self._tell(live, "attach")
            yield ClientStreams(
                source,
                tty=config.tty,
                stdin=options.stdin and options.stream and config.open_stdin,
                stdout=options.stdout,
                stderr=options.stderr,
                input_once=config.stdin_once,
                keys=keys,
                on_detach=lambda: self._tell(live, "detach"),
            )

    @asynccontextmanager
    async def _source(self, live: Live, options: AttachOptions) -> AsyncIterator[Source]:
        """What was written before, if it is wanted, and then what comes, from a byte that is known now."""
        runs = live.record.state.alive
        session = written = None
        async with AsyncExitStack() as stack:
            if options.stream:
                # A run that lives has its output from its first byte in one stream.
                after = 0 if options.logs or not runs else None
                session = Session(live, run_id=live.record.run_id if runs else None, after=after)
                stack.push_async_callback(session.aclose)
                await session.connect()
            if options.logs and not (runs and session) and (options.stdout or options.stderr):
                wanted = LogOptions(stdout=options.stdout, stderr=options.stderr)
                before = [run.id for run in self._ledger.runs_of(live.id)]  # what comes is the session's
                written = await stack.enter_async_context(
                    self._logs.read(live.id, wanted, of_runs=before if session else None)
                )
            yield _Joined(written, session, tty=live.record.config.tty)

    async def resize(self, ref: str, size: TerminalSize) -> None:
        """The terminal's size; Conflict when it does not run. Without a terminal there is nothing to do."""
        live = self._ledger.find(ref)
        run_id = live.record.run_id
        if not live.record.state.alive or run_id is None:
            raise not_running(live)
        if live.record.config.tty:
            agent = await live.reach()
            try:
                await agent.resize(run=run_id, rows=size.rows, columns=size.columns)
            except Conflict as error:
                raise not_running(live) from error
        self._tell(live, "resize", height=str(size.rows), width=str(size.columns))

    def _tell(self, live: Live, action: str, **more: str) -> None:
        self._bus.emit("container", action, live.id, {**attributes(live.record), **more})


class _Joined:
    """Lines, then a session: whichever there is."""

    def __init__(
        self, written: AsyncIterator[Sequence[LogLine]] | None, session: Session | None, *, tty: bool
    ) -> None:
        self._written = written
        self._session = session
        self._tty = tty

    async def receive(self) -> bytes:
        """What comes next."""
        while self._written is not None:
            try:
                return frames(await anext(self._written), tty=self._tty)
            except StopAsyncIteration:
                self._written = None
        return await self._session.receive() if self._session else b""

    async def send(self, data: bytes) -> None:
        """For the process."""
        if self._session:
            await self._session.send(data)

    async def send_eof(self) -> None:
        """No more of it."""
        if self._session:
            await self._session.send_eof()

    def end(self) -> None:
        """After what was written before nothing comes any more."""
        if self._session:
            self._session.end()


def not_running(live: Live) -> Conflict:
    """What Docker says of a container without a process."""
    return Conflict(f"container {live.id} is not running")
