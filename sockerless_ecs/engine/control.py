"""What is done to a process that runs: signals, stopping, killing, pausing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog
import trio

from sockerless_ecs.agent import AgentClient, AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.aws import Ecs
from sockerless_ecs.errors import Conflict, SockerlessError, StoreUnusable, Unavailable
from sockerless_ecs.model import agentless, restart, signals
from sockerless_ecs.model.container import RunId
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.supervisor import attributes, unwatched
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)
_GRACE_SECONDS = 10
_ANSWER_SECONDS = 10
"""How long an agent may take to answer."""
_MEET_SECONDS = 3
"""How long a signal waits for an agent that was cut off, before ECS is asked to stop its task."""
_KILL_SECONDS = 10.0
"""How long SIGKILL may take before the task itself is stopped."""
_OF_ECS = ("SIGKILL", "SIGTERM")
"""What StopTask can send."""
_KILL = signals.parse("SIGKILL")


class Control:
    """Acts on one container at a time, as Docker does: in the same order, with the same events."""

    def __init__(
        self, *, ledger: Ledger, launcher: Launcher, restarts: Restarts, bus: EventBus, ecs: Ecs
    ) -> None:
        self._ledger = ledger
        self._launcher = launcher
        self._restarts = restarts
        self._bus = bus
        self._ecs = ecs
        self._holders: Counter[str] = Counter()
        """By container: who wants it to stand still."""

    async def settled(self, live: Live) -> None:
        """Return after the start that may be under way, and once an exit that has happened was told."""
        if launch := self._launcher.in_flight(live):
            await launch.settled.wait()
        await told(live)

    async def stop(self, live: Live, grace_seconds: float | None, signal: str) -> None:
        """The signal, then SIGKILL; a restart that was to come does not. Returns once nothing runs."""
        config = live.record.config
        if grace_seconds is None:
            grace_seconds = _GRACE_SECONDS if config.stop_timeout is None else config.stop_timeout
        wanted = signals.parse(signal or config.stop_signal or "SIGTERM")
        if signal and wanted.name not in _OF_ECS:
            agentless.refuse(live.record, f"the signal {wanted.name}")
        await self.settled(live)
        if not live.record.active:
            return  # it has ended by itself since this was asked for
        exits = live.moment.value.exits
        await self.send(live, wanted, ends_task=True)
        with trio.move_on_after(math.inf if grace_seconds < 0 else grace_seconds) as patience:
            await _exit_after(live, exits)
        if patience.cancelled_caught:
            await self.kill(live)
        self.tell(live, "stop")

    async def kill(self, live: Live) -> None:
        """SIGKILL, and the task's end for a process that survives it. Returns once nothing runs."""
        await self.settled(live)
        if not live.record.active:
            return
        exits = live.moment.value.exits
        await self.send(live, _KILL, ends_task=True)
        with trio.move_on_after(_KILL_SECONDS) as patience:
            await _exit_after(live, exits)
        if patience.cancelled_caught:
            await self._stop_task(live)
            await _exit_after(live, exits)

    async def force_down(self, live: Live) -> None:
        """What can be done in seconds before a removal: what still runs then ends with its task."""
        await self.settled(live)
        exits = live.moment.value.exits
        try:
            if not live.record.active:
                return
            await self.send(live, _KILL, ends_task=True)
            with trio.move_on_after(_KILL_SECONDS):
                await _exit_after(live, exits)
        except SockerlessError as error:
            _LOG.info("removed_while_it_runs", container_id=live.id, reason=str(error))

    async def send(self, live: Live, wanted: signals.Signal, *, ends_task: bool = False) -> None:
        """One signal. One that is meant to end it calls off restarts, and lets a paused process have it.

        Where the agent does not answer, ECS stops the task if the signal `ends_task`; else Unavailable.
        """
        own = live.record.config.stop_signal
        if wanted.name not in _OF_ECS and not ends_task:
            agentless.refuse(live.record, f"the signal {wanted.name}")
        ends = wanted == _KILL or not own or signals.parse(own) == wanted
        restarting = live.record.state is State.RESTARTING
        if ends:
            self._restarts.call_off(live)
        if not self._launcher.draining:  # what the daemon's end stops is not stopped for good
            await self._remember_stop(live)
        if restarting:
            if ends:
                await self._restarts.stay_down(live)
            return
        paused = live.record.state is State.PAUSED
        self.tell(live, "kill", signal=str(wanted.number))
        await self._signal(live, wanted.name, ends=ends_task or wanted.name == "SIGTERM")
        if ends and paused and wanted != _KILL:
            await self._let_go_on(live)

    async def pause(self, live: Live) -> None:
        """Freeze the processes; Conflict in Docker's words."""
        agentless.refuse(live.record, "pause")
        match live.record.state:
            case State.PAUSED:
                raise Conflict(f"Container {live.id} is already paused")
            case State.RESTARTING:
                raise Conflict(f"Container {live.id} is restarting, wait until the container is running")
            case State.RUNNING:
                pass
            case _:
                raise Conflict(f"Container {live.id} is not running")
        agent, run_id = await self._reached(live, "paused")
        try:
            await agent.pause(run_id)
        except Conflict as refusal:  # the answer to an earlier call was lost, or it has just ended
            if not refusal.message.endswith("already paused"):
                raise Conflict(f"Container {live.id} is not running") from refusal
        if self._runs(live, run_id):
            record = live.become(Event.PAUSE, health=unwatched(live.record.health))
            self.tell(live, "pause")
            await self._ledger.save(Put(record))

    async def unpause(self, live: Live) -> None:
        """Let the processes go on; fails, as Docker does, when they are not paused."""
        agentless.refuse(live.record, "unpause")
        if live.record.state is not State.PAUSED:
            raise SockerlessError(f"Container {live.id} is not paused")
        agent, run_id = await self._reached(live, "unpaused")
        try:
            await agent.unpause(run_id)
        except Conflict as refusal:
            if not refusal.message.endswith("not paused"):
                raise Conflict(f"Container {live.id} is not running") from refusal
        await self._unpaused(live, run_id)

    @asynccontextmanager
    async def held(self, live: Live) -> AsyncGenerator[None]:
        """While this lasts its processes stand still, unless they do so already or there are none.

        They go on when the last one leaves it, however that is; should we die before, with the next daemon.
        A failure to let them is logged.
        """
        if not live.record.held and live.record.state is not State.RUNNING:
            yield
            return
        self._holders[live.id] += 1
        try:
            await self._hold(live)
            yield
        finally:
            self._holders[live.id] -= 1
            if not self._holders[live.id]:
                await self.release(live)

    async def release(self, live: Live) -> None:
        """Let go on what was held; whoever is cancelled. A failure is logged, and left to the next daemon."""
        with trio.CancelScope(shield=True), trio.move_on_after(_ANSWER_SECONDS) as patience:
            await self._release(live)
        if patience.cancelled_caught:
            _LOG.warning("left_paused", container_id=live.id, reason="its agent does not answer")

    def tell(self, live: Live, action: str, **more: str) -> None:
        """An event of this container."""
        self._bus.emit("container", action, live.id, {**attributes(live.record), **more})

    async def _remember_stop(self, live: Live) -> None:
        """Docker's `HasBeenManuallyStopped`: in the store before the process can end of it."""
        known = live.record.stopped_by_user
        record = live.become(stopped_by_user=True)
        if known or not restart.has_policy(record):
            return
        try:
            await self._ledger.save(Put(record))
        except StoreUnusable as error:  # the exit will be stored, and this with it
            _LOG.warning("stop_not_stored", container_id=live.id, error=str(error))

    async def _let_go_on(self, live: Live) -> None:
        """A paused process meets its signal only when it goes on."""
        agent, run_id = live.agent, live.record.run_id
        if agent is None or run_id is None:
            return
        try:
            await agent.unpause(run_id)
        except SockerlessError as error:  # it has ended, or SIGKILL will end it
            _LOG.info("not_unpaused", container_id=live.id, reason=str(error))
            return
        await self._unpaused(live, run_id)

    async def _hold(self, live: Live) -> None:
        """Pause it, also while we are cancelled: what is on its way must not arrive after its undoing."""
        if live.record.held:
            return  # for somebody else, and now for us too
        with (
            trio.CancelScope(shield=True),
            trio.move_on_after(_ANSWER_SECONDS) as patience,
            suppress(Conflict),  # it has just ended
        ):
            await self._ledger.save(Put(live.become(held=True)))
            await self.pause(live)
        if patience.cancelled_caught:
            raise Unavailable(f"the agent of container {live.id} does not answer now; it was not paused")

    async def _release(self, live: Live) -> None:
        """Let it go on, if it was paused or may have been."""
        run_id = live.record.run_id
        try:
            if run_id is not None and live.record.state.alive:
                agent = await live.reach()
                with suppress(Conflict):  # it has ended, or somebody was faster
                    await agent.unpause(run_id)
                await self._unpaused(live, run_id)
            if live.record.held:
                await self._ledger.save(Put(live.become(held=False)))
        except SockerlessError as error:
            _LOG.warning("left_paused", container_id=live.id, reason=str(error))

    async def _unpaused(self, live: Live, run_id: RunId) -> None:
        if live.record.state is State.PAUSED and live.record.run_id == run_id:
            record = live.become(Event.UNPAUSE)
            self.tell(live, "unpause")
            await self._ledger.save(Put(record))

    def _runs(self, live: Live, run_id: RunId) -> bool:
        return live.record.state is State.RUNNING and live.record.run_id == run_id

    async def _reached(self, live: Live, what: str) -> tuple[AgentClient, RunId]:
        """The agent, which may be about to be met again, and the run that lives; Conflict when none does."""
        try:
            agent = await live.reach()
        except Unavailable as error:
            raise Unavailable(f"{error.message}; it was not {what}") from error
        if live.record.run_id is None or not live.record.state.alive:
            raise Conflict(f"Container {live.id} is not running")
        return agent, live.record.run_id

    async def _signal(self, live: Live, signal: str, *, ends: bool) -> None:
        """Through the agent; where it cannot be reached ECS stops the task, if the signal `ends` it."""
        run_id = live.record.run_id
        assert run_id is not None
        try:
            with trio.move_on_after(_ANSWER_SECONDS):
                agent = await self._met(live)
                if live.record.run_id == run_id and live.record.state.alive:
                    await agent.signal(run_id, signal)
                return
        except Conflict:
            return  # it has just ended: its exit is on the way
        except (Unavailable, AgentLost, AgentUnreachable, WrongAgent):
            pass
        if not ends:
            raise Unavailable(f"the agent of container {live.id} does not answer now: {signal} was not sent")
        await self._stop_task(live)

    async def _met(self, live: Live) -> AgentClient:
        """The agent: one that was cut off is met again in a moment, or is lost. Raises Unavailable."""
        if not live.record.agentless:
            with trio.move_on_after(_MEET_SECONDS):
                return await live.reach()
        raise Unavailable(f"the agent of container {live.id} does not answer now")

    async def _stop_task(self, live: Live) -> None:
        task = live.record.task
        if task is not None and task.arn is not None:
            reason = "it was asked to stop" if live.record.agentless else "its agent does not answer"
            await self._ecs.stop_task(task.arn, reason)


async def told(live: Live) -> None:
    """Return once an exit that has happened is safe in the store and everybody was told."""
    if live.exit_pending:
        await live.moment.wait_value(lambda _: not live.exit_pending)


async def _exit_after(live: Live, exits: int) -> None:
    await live.moment.wait_value(lambda moment: moment.exits > exits or moment.removed)
