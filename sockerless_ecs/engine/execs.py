"""Execs: one more process in a container that runs."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

import trio

from sockerless_ecs.agent import StartRefused
from sockerless_ecs.agent.protocol import ExecRequest
from sockerless_ecs.engine.attaching import not_running
from sockerless_ecs.engine.contract import Streams
from sockerless_ecs.engine.running import RunningExec
from sockerless_ecs.engine.streams import ClientStreams, detach_keys, frames
from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError
from sockerless_ecs.model import agentless
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDOUT, LogLine
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.supervisor import attributes, tell_exec_end

_NOT_FOUND, _NOT_STARTED = 127, 126
_RESIZE_SECONDS = 10.0


class EngineExecs:
    """Decides; the agents act, and the ledger remembers."""

    def __init__(self, *, ledger: Ledger, bus: EventBus) -> None:
        self._ledger = ledger
        self._execs = ledger.execs
        self._bus = bus

    async def create(self, ref: str, request: Exec) -> str:
        """The new exec's id; Conflict when the container does not run or is paused."""
        live = self._ledger.find(ref)
        agentless.refuse(live.record, "exec")
        _require_running(live, ref)
        if request.privileged:
            raise InvalidParameter(
                "a privileged exec is not possible: Fargate gives no container more than its own capabilities"
            )
        detach_keys(request.detach_keys, "escape")
        exec_id = secrets.token_hex(32)
        instance = replace(request, id=exec_id, container_id=live.id, created_ns=now_ns())
        self._execs.add(instance)
        self._tell(live, f"exec_create: {_command(instance)}", exec_id)
        return exec_id

    @asynccontextmanager
    async def attached(
        self, exec_id: str, *, tty: bool = False, size: TerminalSize | None = None
    ) -> AsyncIterator[Streams]:
        """Run it with its streams; entering raises Conflict when it has run or its container does not.

        What keeps it from starting is told in its streams, as Docker does, and by its exit code. That code is
        known once `receive` has given all. Leaving does not end the process.
        """
        live, instance = self._claim(exec_id)
        async with AsyncExitStack() as owned:
            yield await self._run(live, instance, size, owned)

    async def start(self, exec_id: str, *, tty: bool = False, size: TerminalSize | None = None) -> None:
        """Run it with nobody attached; raises what keeps it from running. Returns once it runs."""
        live, instance = self._claim(exec_id)
        await self._run_detached(live, instance, size)

    async def resize(self, exec_id: str, size: TerminalSize) -> None:
        """The terminal's size, once it runs; NotFound when it has ended. Without a terminal there is none."""
        instance = self._execs.get(exec_id)
        live = self._live(instance)
        _require_running(live, live.id)
        with trio.move_on_after(_RESIZE_SECONDS) as patience:
            instance = await self._execs.wait_settled(exec_id)
        if patience.cancelled_caught:
            raise SockerlessError("timeout waiting for exec session ready")
        if instance.exit_code is not None:
            raise NotFound("no such exec")
        if instance.tty:
            agent = await live.reach()
            try:
                await agent.resize(exec_id=exec_id, rows=size.rows, columns=size.columns)
            except Conflict as error:
                raise NotFound("no such exec") from error

    async def inspect(self, exec_id: str) -> Exec:
        """Its record."""
        return self._execs.get(exec_id)

    def _live(self, instance: Exec) -> Live:
        live = self._ledger.get(instance.container_id)
        if live is None:
            raise NotFound(f"No such exec instance: {instance.id}")
        return live

    def _claim(self, exec_id: str) -> tuple[Live, Exec]:
        """The caller starts it and nobody else; raises NotFound and Conflict."""
        live = self._live(self._execs.get(exec_id))
        _require_running(live, live.id)
        instance = self._execs.claim(exec_id)
        self._tell(live, f"exec_start: {_command(instance)}", exec_id)
        return live, instance

    async def _run(
        self, live: Live, instance: Exec, size: TerminalSize | None, owned: AsyncExitStack
    ) -> Streams:
        stdin, stdout, stderr = instance.attach_stdin, instance.attach_stdout, instance.attach_stderr
        try:
            if not (stdin or stdout or stderr):
                await self._run_detached(live, instance, size)
                return Told(b"", tty=instance.tty)
            with self._starting(live, instance):
                agent = await live.reach()
                streams = await owned.enter_async_context(agent.exec(_request(live, instance, size)))
        except InvalidParameter as refusal:
            line = LogLine(0, 0, STDOUT, f"{refusal.message}\r\n".encode())
            return Told(frames([line], tty=instance.tty), tty=instance.tty)
        self._execs.begin(instance.id, streams.pid)
        running = RunningExec(
            live, self._execs, instance.id, streams, on_code=lambda code: self._ended(instance, code)
        )
        owned.callback(running.leave)
        return ClientStreams(
            running,
            tty=instance.tty,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            input_once=True,
            keys=detach_keys(instance.detach_keys, "escape"),
            on_detach=lambda: self._tell(live, "exec_detach", instance.id),
        )

    async def _run_detached(self, live: Live, instance: Exec, size: TerminalSize | None) -> None:
        with self._starting(live, instance):
            agent = await live.reach()
            state = await agent.exec_detached(_request(live, instance, size))
        self._execs.begin(instance.id, state.pid)
        if state.code is not None:
            self._ended(instance, state.code)

    @contextmanager
    def _starting(self, live: Live, instance: Exec) -> Iterator[None]:
        """What keeps it from running, in Docker's words, ends it."""
        try:
            yield
        except StartRefused as refusal:
            self._execs.end(instance.id, _exit_code(refusal))
            raise InvalidParameter(_reason(refusal)) from refusal
        except Conflict as refusal:
            self._execs.end(instance.id, _NOT_STARTED)
            _require_running(live, live.id)  # Docker's words, if that is known here already
            raise not_running(live) from refusal
        except BaseException:
            # Cancelled, or cut: should it run after all, its agent tells of its end.
            self._execs.end(instance.id, _NOT_STARTED)
            raise

    def _ended(self, instance: Exec, code: int) -> None:
        live = self._ledger.get(instance.container_id)
        if (ended := self._execs.end(instance.id, code)) and live is not None:
            tell_exec_end(self._bus, live.record, ended)

    def _tell(self, live: Live, action: str, exec_id: str) -> None:
        self._bus.emit("container", action, live.id, {**attributes(live.record), "execID": exec_id})


class Told:
    """The streams of what never ran: what was to be said, and the end."""

    def __init__(self, data: bytes, *, tty: bool) -> None:
        self._data = data
        self._tty = tty

    @property
    def tty(self) -> bool:
        """Whether it would have had a terminal."""
        return self._tty

    async def receive(self) -> bytes:
        """Said once."""
        await trio.lowlevel.checkpoint()
        data, self._data = self._data, b""
        return data

    async def send(self, data: bytes) -> None:
        """Nobody reads it."""
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        """Nobody reads it."""
        await trio.lowlevel.checkpoint()


def _require_running(live: Live, ref: str) -> None:
    if live.record.status == "restarting":
        raise Conflict(f"Container {live.id} is restarting, wait until the container is running")
    if live.record.state is State.PAUSED:
        raise Conflict(f"Container {ref} is paused, unpause the container before exec")
    if not live.record.state.alive:
        raise not_running(live)


def _request(live: Live, instance: Exec, size: TerminalSize | None) -> ExecRequest:
    assert live.record.run_id is not None
    sized = size if instance.tty else None
    return ExecRequest(
        id=instance.id,
        run=live.record.run_id,
        argv=instance.argv,
        env=instance.env,
        cwd=instance.working_dir,
        user=instance.user,
        tty=instance.tty,
        stdin=instance.attach_stdin,
        rows=sized.rows if sized else 0,
        columns=sized.columns if sized else 0,
    )


def _command(instance: Exec) -> str:
    """As Docker's events have it: a command without arguments ends with a space."""
    return f"{instance.argv[0]} {' '.join(instance.argv[1:])}"


def _exit_code(refusal: StartRefused) -> int:
    missing = refusal.kind == "not_found" or "no such file or directory" in refusal.message
    return _NOT_FOUND if missing else _NOT_STARTED


def _reason(refusal: StartRefused) -> str:
    if refusal.kind == "bad_user":
        return refusal.message
    return (
        f"OCI runtime exec failed: exec failed: unable to start container process: {refusal.message}: unknown"
    )
