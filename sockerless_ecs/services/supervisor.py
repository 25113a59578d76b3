"""Follows the agent of every container that has a task: what the agent says becomes state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import structlog
import trio

from sockerless_ecs.agent import AgentClient, AgentEvent, AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.errors import NotFound, SockerlessError
from sockerless_ecs.model.container import Container, ExitStatus, RunId, Task
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.health import Health, HealthStatus
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.model.task import OOM_REASON, TaskSnapshot
from sockerless_ecs.model.taskdef import MAIN_CONTAINER
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.reach import reach_unless
from sockerless_ecs.services.remover import Remover
from sockerless_ecs.services.requests import health_check
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.tails import Tails
from sockerless_ecs.services.watcher import TaskWatcher
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)
_KILLED = 137
_AGAIN_SECONDS = 1.0


class Supervisor:
    """Owns one task for each container that has a Fargate task; it ends when that task is over."""

    def __init__(
        self,
        *,
        nursery: trio.Nursery,
        ledger: Ledger,
        watcher: TaskWatcher,
        bus: EventBus,
        tails: Tails,
        remover: Remover,
        restarts: Restarts,
        connect: Callable[[Task], AgentClient],
    ) -> None:
        self._nursery = nursery
        self._ledger = ledger
        self._watcher = watcher
        self._bus = bus
        self._tails = tails
        self._remover = remover
        self._restarts = restarts
        self._connect = connect
        self._followed: set[str] = set()

    def follow(self, live: Live) -> None:
        """Follow the container's task until it is over; harmless when it is followed already."""
        task = live.record.task
        assert task is not None
        assert task.arn is not None
        if task.arn not in self._followed:
            self._followed.add(task.arn)
            self._nursery.start_soon(self._guard, live, task.arn, name=f"follow {live.id[:12]}")

    def mark_started(self, live: Live, run_id: RunId, time_ns: int) -> tuple[Put, ...]:
        """The process runs: change the records, to be saved by the caller; () when that is known already."""
        if live.record.state is not State.STARTING or live.record.run_id != run_id:
            return ()
        record = live.become(
            Event.STARTED,
            started_ns=time_ns,
            finished_ns=0,
            exit_code=0,
            oom_killed=False,
            error="",
            health=_health_at_start(live.record),
        )
        run = self._ledger.runs[run_id] = replace(self._ledger.runs[run_id], started_ns=time_ns)
        self._bus.emit("container", "start", record.id, attributes(record), time_ns)
        live.announce_start()
        return Put(record), Put(run)

    def start_failed(self, live: Live, message: str) -> None:
        """Tell who waits that this start ended without a process, and keep `--rm`'s promise."""
        record = live.record
        live.announce_exit(ExitStatus(code=record.exit_code, error=message))
        if record.host.auto_remove:
            self._nursery.start_soon(self._remover.insist, live, name=f"remove {live.id[:12]}")

    async def _guard(self, live: Live, arn: str) -> None:
        try:
            while True:
                try:
                    return await self._follow(live, arn)
                except SockerlessError as error:
                    told = {"error": str(error), "aws_request_ids": error.request_ids}
                    _LOG.error("supervision_failed", container_id=live.id, **told)
                    await trio.sleep(_AGAIN_SECONDS)
        except Exception:  # noqa: BLE001 - a supervisor's edge
            _LOG.exception("supervision_broke", container_id=live.id)
        finally:
            self._followed.discard(arn)

    async def _follow(self, live: Live, arn: str) -> None:
        while self._concerns(live, arn):
            agent = live.agent
            task = live.record.task
            assert task is not None
            if agent is None:
                agent = await self._meet_again(live, task, arn)
                if agent is None:
                    return
                live.agent = agent
            cut = await self._listen(live, arn, agent, task.event_seq)
            if live.record.state is State.STARTING:
                return  # the launcher meets the agent again, and has it followed again
            if self._concerns(live, arn):
                live.agent = None
                with trio.CancelScope(shield=True):
                    await agent.aclose()
                # An agent that was cut off may still have the end of the output, and keep the task for it.
                if not cut and self._concerns(live, arn) and not live.record.state.alive:
                    await self._over(live)
                    return

    async def _listen(self, live: Live, arn: str, agent: AgentClient, after: int) -> bool:
        """Take the agent's events for as long as they concern us; whether the connection was cut."""
        try:
            async with agent.events(after=after) as events:
                async for event in events:
                    await self._take(live, arn, agent, event)
                    if not self._concerns(live, arn):
                        break
        except (AgentLost, AgentUnreachable, WrongAgent):
            _LOG.info("agent_connection_cut", container_id=live.id, task_arn=arn)
            return True
        return False

    def _concerns(self, live: Live, arn: str) -> bool:
        task = live.record.task
        return task is not None and task.arn == arn and self._ledger.get(live.id) is live

    async def _take(self, live: Live, arn: str, agent: AgentClient, event: AgentEvent) -> None:
        match event.type:
            case "exited" if event.run == live.record.run_id:
                await self._exited(live, event)
            case "drained":
                await self._drained(live, agent, event)
            case "health" if event.run == live.record.run_id and event.health is not None:
                self._probed(live, event.health, event.time_ns)
            case "exec_exited":
                self._exec_exited(live, event)
        if self._concerns(live, arn):
            task = live.record.task
            assert task is not None
            live.become(task=replace(task, event_seq=max(task.event_seq, event.seq)))

    def _exec_exited(self, live: Live, event: AgentEvent) -> None:
        """One more process of the container ended; one of before this daemon nobody knows."""
        code = event.code if event.code is not None else _KILLED
        if ended := self._ledger.execs.end(event.exec, code, event.pid):
            tell_exec_end(self._bus, live.record, ended, event.time_ns)

    def _execs_lost(self, live: Live) -> None:
        """The task is gone: nothing runs in it any more, and nobody tells how it ended."""
        for ended in self._ledger.execs.lose(live.id):
            tell_exec_end(self._bus, live.record, ended)

    async def _exited(self, live: Live, event: AgentEvent) -> None:
        """The process ended: persisted first, then told."""
        task, run_id = live.record.task, live.record.run_id
        assert task is not None
        assert run_id is not None
        self.mark_started(live, run_id, self._ledger.runs[run_id].started_ns or event.time_ns)
        if not live.record.state.alive:
            return
        await self._ended(
            live,
            Event.EXITED,
            code=event.code or 0,
            oom=event.oom,
            finished_ns=event.time_ns,
            task=replace(task, event_seq=event.seq),
        )

    async def _ended(
        self,
        live: Live,
        how: Event,
        *,
        code: int,
        oom: bool,
        finished_ns: int,
        task: Task | None,
        error: str = "",
    ) -> None:
        self._ledger.execs.give_up_waiting(live.id)
        lasted_seconds = (finished_ns - live.record.started_ns) / 1e9
        again = self._restarts.decide(live, code, lasted_seconds)
        record = live.become(
            Event.EXITED_TO_RESTART if again else how,
            exit_code=code,
            oom_killed=oom,
            finished_ns=finished_ns,
            task=task,
            error=error,
            health=unwatched(live.record.health),
            by_policy=again,
            restart_count=live.record.restart_count + again,
        )
        assert record.run_id is not None
        run = replace(self._ledger.runs[record.run_id], finished_ns=finished_ns, exit_code=code)
        self._ledger.runs[run.id] = run
        await self._ledger.insist(Put(record), Put(run))
        if oom:
            self._bus.emit("container", "oom", record.id, attributes(record), finished_ns)
        told = {"exitCode": str(code), "execDuration": str(max(0, int(lasted_seconds)))}
        self._bus.emit("container", "die", record.id, {**attributes(record), **told}, finished_ns)
        live.announce_exit(ExitStatus(code=code, error=error or None))
        if again:
            self._restarts.schedule(live)

    def _probed(self, live: Live, health: Health, time_ns: int) -> None:
        """A health check's result: kept in memory, told when it changes what the container is."""
        before = live.record.health
        if before is None or not live.record.state.alive:
            return
        if health.status is HealthStatus.STARTING and not health.log:
            return  # it has just begun, which is known
        live.become(health=health)
        if health.status is not before.status:
            action = f"health_status: {health.status.value}"
            self._bus.emit("container", action, live.id, attributes(live.record), time_ns)

    async def _drained(self, live: Live, agent: AgentClient, event: AgentEvent) -> None:
        """The output is whole: keep its end, let followers have it, then let the agent go."""
        run_id = RunId(event.run)
        if run_id not in self._ledger.runs:
            return
        run = self._ledger.runs[run_id] = replace(self._ledger.runs[run_id], lines=event.lines)
        await self._tails.keep(agent, run_id, event.lines or 0)
        live.announce_drained(run_id)
        await self._tails.farewell(run_id)
        if _goes_at_its_end(live) and run_id == live.record.run_id:
            await live.heard()
            with trio.move_on_after(1):
                await agent.ack(event.seq)
                if run_id == live.record.run_id:
                    live.become(task=None)  # it ends by itself: such a container's agent does not linger
            if run_id == live.record.run_id:
                await self._remover.insist(live)
            return
        await self._ledger.insist(Put(live.record), Put(run))
        await agent.ack(event.seq)

    async def _over(self, live: Live) -> None:
        """The container has ended and so has its task: a new start is a new task."""
        self._execs_lost(live)
        if live.record.run_id is not None:
            live.announce_drained(live.record.run_id)
        run_id = live.record.run_id
        await self._ledger.insist(Put(live.become(task=None)))
        never_ran = live.record.state is State.CREATED  # it was prepared, and nobody started it
        if live.record.host.auto_remove and live.record.run_id == run_id and not never_ran:
            await self._remover.insist(live)

    async def _meet_again(self, live: Live, task: Task, arn: str) -> AgentClient | None:
        """Reach the agent again, or find that the task has stopped and settle what that means."""
        stopped: list[TaskSnapshot | None] = []

        over = _stopped if task.agent_address else _main_ended

        async def ask_ecs() -> None:
            try:
                stopped.append(await self._watcher.wait_for(arn, over))
            except NotFound:
                stopped.append(None)

        if task.agent_address is None:
            await ask_ecs()
        elif agent := await reach_unless(lambda: self._connect(task), ask_ecs):
            if self._concerns(live, arn):
                return agent
            with trio.CancelScope(shield=True):  # started anew or removed meanwhile
                await agent.aclose()
            return None
        if self._concerns(live, arn) and live.record.state.alive:
            await self._lost(live, stopped[0])
        elif self._concerns(live, arn) and live.record.state is not State.STARTING:
            await self._over(live)
        return None

    async def _lost(self, live: Live, snapshot: TaskSnapshot | None) -> None:
        """The agent vanished with its task: ECS's word on the main container, else 137."""
        self._execs_lost(live)
        main = snapshot.container(MAIN_CONTAINER) if snapshot else None
        reason = (main.reason if main else "") or (snapshot.stopped_reason if snapshot else "")
        oom = OOM_REASON in reason
        code = main.exit_code if main else None
        how = Event.LOST if code is None and not oom else Event.EXITED
        run_id = live.record.run_id
        if not live.record.agentless:
            _LOG.warning("task_lost", container_id=live.id, code=code, reason=reason)
        await self._ended(
            live,
            how,
            code=_KILLED if code is None else code,
            oom=oom,
            finished_ns=now_ns(),
            task=None,
            error="" if code is not None else f"the task was lost: {reason or 'ECS no longer knows it'}",
        )
        if run_id is not None:
            live.announce_drained(run_id)
        if _goes_at_its_end(live) and live.record.run_id == run_id:
            await self._remover.insist(live)


def _stopped(snapshot: TaskSnapshot) -> bool:
    return snapshot.stopped


def _main_ended(snapshot: TaskSnapshot) -> bool:
    """Where no agent tells it, ECS does before the task has stopped."""
    main = snapshot.container(MAIN_CONTAINER)
    return snapshot.stopped or (main is not None and main.exit_code is not None)


def unwatched(health: Health | None) -> Health | None:
    """What is shown once nobody probes any more: as in Docker, what is not known to be healthy is not."""
    return None if health is None else replace(health, status=HealthStatus.UNHEALTHY)


def _health_at_start(record: Container) -> Health | None:
    if health_check(record.config) is None:
        return None
    return Health(log=record.health.log) if record.health else Health()


def _goes_at_its_end(live: Live) -> bool:
    return live.record.host.auto_remove and not live.kept


def attributes(record: Container) -> Mapping[str, str]:
    """What Docker puts into the Actor of a container's event."""
    return {**record.config.labels, "image": record.config.image, "name": record.name}


def tell_exec_end(bus: EventBus, record: Container, ended: Exec, time_ns: int = 0) -> None:
    """Docker's event of an exec's end."""
    told = {**attributes(record), "execID": ended.id, "exitCode": str(ended.exit_code)}
    bus.emit("container", "exec_die", record.id, told, time_ns)
