"""Containers: what each verb means."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import trio
from trio_util import AsyncValue

from sockerless_ecs.agent import AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.aws import Ecs
from sockerless_ecs.engine.contract import Created, Filters, Waiting
from sockerless_ecs.engine.creating import Creator
from sockerless_ecs.engine.listing import Listing
from sockerless_ecs.engine.logs import Logs
from sockerless_ecs.engine.unbuilt import not_built
from sockerless_ecs.errors import Conflict, InvalidParameter, NotModified, SockerlessError, Unavailable
from sockerless_ecs.model import signals
from sockerless_ecs.model.container import Container, CreateRequest, ExitStatus
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import LogLine, LogOptions
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger, Live, Moment
from sockerless_ecs.services.remover import Remover
from sockerless_ecs.services.supervisor import attributes

_GRACE_SECONDS = 10
_KILL_SECONDS = 10.0
"""How long SIGKILL may take before the task itself is stopped."""
_CONDITIONS = ("not-running", "next-exit", "removed")


@dataclass(frozen=True, slots=True)
class _Wait:
    """A wait on a level: `reached` is true of every moment from the awaited one on."""

    moment: AsyncValue[Moment]
    reached: Callable[[Moment], bool]

    @property
    def settled(self) -> bool:
        """Whether `outcome` answers at once."""
        return self.reached(self.moment.value)

    async def outcome(self) -> ExitStatus:
        """The exit that was waited for."""
        moment: Moment = await self.moment.wait_value(self.reached)
        return moment.status


class EngineContainers:
    """Decides; the services act."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        launcher: Launcher,
        remover: Remover,
        creator: Creator,
        listing: Listing,
        logs: Logs,
        bus: EventBus,
        ecs: Ecs,
    ) -> None:
        self._ledger = ledger
        self._launcher = launcher
        self._remover = remover
        self._creator = creator
        self._listing = listing
        self._logs = logs
        self._bus = bus
        self._ecs = ecs

    async def create(self, request: CreateRequest) -> Created:
        """Conflict when the name is in use; NotFound when the image was not pulled."""
        record = await self._creator.create(request)
        return Created(id=record.id, warnings=request.warnings)

    async def start(self, ref: str) -> None:
        """Returns once the process runs; NotModified if it does. Cancelling leaves the start going on."""
        live = self._ledger.find(ref)
        await _told(live)
        if live.record.state.alive:
            raise NotModified(f"container {ref} is already running")
        await self._launcher.begin(live).outcome()

    async def inspect(self, ref: str) -> Container:
        """The container's record."""
        return self._ledger.find(ref).record

    async def list(
        self, filters: Filters, *, include_stopped: bool, limit: int | None = None
    ) -> Sequence[Container]:
        """Newest first; InvalidParameter for an unknown filter."""
        return self._listing.containers(filters, include_stopped=include_stopped, limit=limit)

    def logs(
        self, ref: str, options: LogOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[LogLine]]]:
        """Batches of lines; entering raises what is wrong with the request."""
        return self._logs.read(ref, options)

    async def stop(self, ref: str, grace_seconds: float | None = None) -> None:
        """The stop signal, then SIGKILL. Cancelling leaves it asked, not ended."""
        live = await self._settled(ref)
        if not live.record.state.alive:
            raise NotModified(f"container {ref} is not running")
        await self._stop(live, grace_seconds)

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Any signal, by name or number; Conflict when not running."""
        wanted = signals.parse(signal)
        live = await self._settled(ref)
        if not live.record.state.alive:
            raise Conflict(f"Cannot kill container: {ref}: container {live.id} is not running")
        self._tell(live, "kill", signal=str(wanted.number))
        exits = live.moment.value.exits
        await self._signal(live, wanted.name, ends=wanted.name in ("SIGKILL", "SIGTERM"))
        if wanted.name == "SIGKILL":
            await self._gone(live, exits)

    async def restart(self, ref: str, grace_seconds: float | None = None) -> None:
        """Stop if running, then start."""
        live = await self._settled(ref)
        if live.record.state.alive:
            await self._stop(live, grace_seconds)
        await self._launcher.begin(live).outcome()
        self._tell(live, "restart")

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Conflict when it runs and `force` is not given. What is left in AWS becomes clean-up jobs."""
        live = self._ledger.find(ref)
        state = live.record.state
        if not force and (state.alive or state is State.STARTING):
            doing = {State.PAUSED: "paused", State.STARTING: "starting"}.get(state, "running")
            raise Conflict(
                f"cannot remove container {ref!r}: container is {doing}: stop the container before removing "
                "or force remove"
            )
        await self._launcher.abort(live)
        if live.record.state.alive:
            self._tell(live, "kill", signal="9")
            exits = live.moment.value.exits
            try:
                await self._signal(live, "SIGKILL")
                with trio.move_on_after(_KILL_SECONDS):
                    await _exit_after(live, exits)
            except SockerlessError:
                pass  # the clean-up job stops the task: nothing is left running
        await self._remover.remove(live)

    async def wait(self, ref: str, condition: str = "not-running") -> Waiting:
        """`not-running`, `next-exit` or `removed`; registered before this returns."""
        if condition not in _CONDITIONS:
            raise InvalidParameter(f'invalid condition: "{condition}"')
        live = self._ledger.find(ref)
        exits = live.moment.value.exits
        if condition == "removed":
            return _Wait(live.moment, lambda moment: moment.removed)
        goes_on = live.record.state.alive or live.record.state is State.STARTING or live.exit_pending
        if condition == "not-running" and not goes_on:
            return _Wait(live.moment, lambda _: True)
        return _Wait(live.moment, lambda moment: moment.exits > exits or moment.removed)

    async def rename(self, ref: str, name: str) -> None:
        """Conflict when the name is in use."""
        await self._creator.rename(self._ledger.find(ref), name)

    async def pause(self, ref: str) -> None:
        """Not built."""
        not_built("container pause")

    async def unpause(self, ref: str) -> None:
        """Not built."""
        not_built("container unpause")

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove what is stopped; the ids that went."""
        pruned = []
        for live in self._listing.prunable(filters):
            if live.record.state.alive or live.record.state is State.STARTING:
                continue  # started since
            await self._remover.remove(live)
            pruned.append(live.id)
        return pruned

    async def attach(self, ref: str) -> None:
        """Not built."""
        not_built("container attach", "follow its logs, which lose nothing from the first line")

    async def _settled(self, ref: str) -> Live:
        """The container, after the start that may be under way."""
        live = self._ledger.find(ref)
        if launch := self._launcher.in_flight(live):
            await launch.settled.wait()
        await _told(live)
        return live

    async def _stop(self, live: Live, grace_seconds: float | None) -> None:
        config = live.record.config
        if grace_seconds is None:
            grace_seconds = _GRACE_SECONDS if config.stop_timeout is None else config.stop_timeout
        exits = live.moment.value.exits
        live.become(stopped_by_user=True)
        wanted = signals.parse(config.stop_signal or "SIGTERM")
        self._tell(live, "kill", signal=str(wanted.number))
        await self._signal(live, wanted.name)
        with trio.move_on_after(math.inf if grace_seconds < 0 else grace_seconds) as patience:
            await _exit_after(live, exits)
        if patience.cancelled_caught:
            self._tell(live, "kill", signal="9")
            await self._signal(live, "SIGKILL")
            await self._gone(live, exits)
        self._tell(live, "stop")

    async def _gone(self, live: Live, exits: int) -> None:
        """Wait for the exit after SIGKILL; a process that survives it loses its task."""
        with trio.move_on_after(_KILL_SECONDS) as patience:
            await _exit_after(live, exits)
        if patience.cancelled_caught:
            await self._stop_task(live)
            await _exit_after(live, exits)

    async def _signal(self, live: Live, signal: str, *, ends: bool = True) -> None:
        """Through the agent; where it cannot be reached ECS stops the task, if the signal `ends` it."""
        agent, run_id = live.agent, live.record.run_id
        assert run_id is not None
        if agent is not None:
            try:
                with trio.move_on_after(_GRACE_SECONDS):
                    await agent.signal(run_id, signal)
                    return
            except Conflict:
                return  # it has just ended: its exit is on the way
            except (AgentLost, AgentUnreachable, WrongAgent):
                pass
        if not ends:
            raise Unavailable(f"the agent of container {live.id} does not answer now: {signal} was not sent")
        await self._stop_task(live)

    async def _stop_task(self, live: Live) -> None:
        task = live.record.task
        if task is not None and task.arn is not None:
            await self._ecs.stop_task(task.arn, "its agent does not answer")

    def _tell(self, live: Live, action: str, **more: str) -> None:
        self._bus.emit("container", action, live.id, {**attributes(live.record), **more})


async def _told(live: Live) -> None:
    """Return once an exit that has happened is safe in the store and everybody was told."""
    if live.exit_pending:
        await live.moment.wait_value(lambda _: not live.exit_pending)


async def _exit_after(live: Live, exits: int) -> None:
    await live.moment.wait_value(lambda moment: moment.exits > exits or moment.removed)
