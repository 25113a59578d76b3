"""Starts in flight: each belongs to the daemon, and requests only watch it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import structlog
import trio

from sockerless_ecs.agent import (
    AgentClient,
    AgentLost,
    AgentUnreachable,
    StartRefused,
    WrongAgent,
)
from sockerless_ecs.aws import Ecs, TokenReused
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.container import Container, Run, RunId, Task, TaskArn, new_run_id
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.model.taskdef import log_stream
from sockerless_ecs.services.definitions import Definitions
from sockerless_ecs.services.janitor import Janitor, clean_up_job
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.meeting import Meeting
from sockerless_ecs.services.requests import Place, names, new_task, start_request
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)
_EXIT_CODES = {"not_found": 127, "not_executable": 126, "bad_format": 126}
_EXIT_UNKNOWN = 128
"""What Docker records when a start fails for another reason."""


@dataclass(slots=True)
class Launch:
    """The outcome of one start, shared by every request that waits for it."""

    ran_before: bool
    left: Task | None = None
    """The task of the run before, when it cannot be used again."""
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    settled: trio.Event = field(default_factory=trio.Event)
    error: SockerlessError | None = None

    def settle(self, error: SockerlessError | None = None) -> None:
        """Let everybody know."""
        self.error = error
        self.settled.set()

    async def outcome(self) -> None:
        """Return once the process runs; raises why it does not. Cancelling only stops the waiting."""
        await self.settled.wait()
        if self.error is not None:
            raise self.error


class Launcher:
    """Owns every start in flight."""

    def __init__(
        self,
        *,
        jobs: trio.Nursery,
        ledger: Ledger,
        ecs: Ecs,
        supervisor: Supervisor,
        janitor: Janitor,
        definitions: Definitions,
        meeting: Meeting,
        place: Place,
    ) -> None:
        self._jobs = jobs
        self._ledger = ledger
        self._ecs = ecs
        self._supervisor = supervisor
        self._janitor = janitor
        self._definitions = definitions
        self._meeting = meeting
        self._place = place
        self._in_flight: dict[str, Launch] = {}
        self.draining = False

    def begin(self, live: Live) -> Launch:
        """Start a container, or join the start that is under way; raises `Conflict` from any other state.

        Not async: no cancellation can fall between the change of state and the job that follows it up.
        """
        if launch := self._in_flight.get(live.id):
            return launch
        if self.draining:
            raise Unavailable("the daemon is shutting down and starts nothing new")
        if self._ledger.get(live.id) is not live:
            raise NotFound(f"No such container: {live.id}")
        if live.leaving:
            raise Conflict("container is marked for removal and cannot be started")
        ran_before = live.record.state in (State.EXITED, State.DEAD)
        task, lingers = live.record.task, live.agent is not None
        live.become(
            Event.BEGIN,
            run_id=new_run_id(),
            task=replace(task, run_sent=False) if task and lingers else None,
            error="",
            stopped_by_user=False,
        )
        return self._launch(live, ran_before=ran_before, left=None if lingers else task)

    def resume(self, live: Live) -> Launch:
        """Take up a start that a daemon before us left half-way."""
        return self._launch(live, ran_before=bool(live.record.started_ns))

    def expect(self, live: Live) -> None:
        """A start that `resume` will take up soon: who asks for it meanwhile joins it."""
        self._in_flight[live.id] = Launch(ran_before=bool(live.record.started_ns))

    def in_flight(self, live: Live) -> Launch | None:
        """The start under way, if there is one."""
        return self._in_flight.get(live.id)

    async def abort(self, live: Live) -> None:
        """End the start under way, if any: its task is stopped by the janitor."""
        if launch := self._in_flight.get(live.id):
            launch.scope.cancel()
            await launch.settled.wait()

    def _launch(self, live: Live, *, ran_before: bool, left: Task | None = None) -> Launch:
        launch = self._in_flight.setdefault(live.id, Launch(ran_before=ran_before, left=left))
        self._jobs.start_soon(self._run, live, launch, name=f"launch {live.id[:12]}")
        return launch

    async def _run(self, live: Live, launch: Launch) -> None:
        log = _LOG.bind(container_id=live.id)
        began = trio.current_time()
        error: SockerlessError | None = None
        try:
            with launch.scope:
                if launch.left is not None:
                    await self._give_back(live, launch.left)
                await self._bring_up(live)
            if launch.scope.cancelled_caught:
                error = Unavailable("the container was removed while it was starting")
        except SockerlessError as failure:
            error = failure
        except Exception as failure:
            log.exception("launch_broke")
            error = SockerlessError(f"the start failed inside the daemon: {failure!r}")
        finally:
            del self._in_flight[live.id]
            if error is None and live.record.state is not State.STARTING:
                launch.settle()
            elif error is None:  # cancelled by the drain
                launch.settle(
                    Unavailable("the daemon is shutting down; the next one goes on with this start")
                )
        if error is None:
            log.info("container_started", seconds=round(trio.current_time() - began, 3))
        else:
            log.warning("start_failed", error=str(error), aws_request_ids=error.request_ids)
            with trio.CancelScope(shield=True):
                await self._failed(live, error, ran_before=launch.ran_before)
        launch.settle(error)

    async def _bring_up(self, live: Live) -> None:
        """The process runs: in the task that lingers from the last run if it can, else in a new one."""
        if live.agent is not None:
            try:
                return await self._start_again(live, live.agent)
            except (AgentLost, AgentUnreachable, WrongAgent, Conflict) as error:
                _LOG.info("lingering_task_gone", container_id=live.id, reason=str(error))
                left = live.record.task
                live.become(task=None)
                await self._give_back(live, left)
        task = live.record.task
        if task is None:
            task = await self._request(live)
        if task.arn is None:
            task = await self._run_task(live, task)
        while True:
            agent = live.agent = await self._meeting.meet(live, task)
            self._supervisor.follow(live)
            try:
                return await self._start(live, agent)
            except (AgentLost, AgentUnreachable, WrongAgent):
                if live.record.state is not State.STARTING or live.record.task is None:
                    return None  # its exit was told already: it did start
                # Whether it heard us is not known; it is asked again with the same run id.
                task, live.agent = live.record.task, None
                await agent.aclose()

    async def _start_again(self, live: Live, agent: AgentClient) -> None:
        record = live.record
        assert record.task is not None
        assert record.task.arn is not None
        assert record.run_id is not None
        await self._ledger.save(Put(record), Put(self._new_run(record, record.run_id, record.task.arn)))
        await self._start(live, agent)

    async def _give_back(self, live: Live, left: Task | None) -> None:
        """The task of the last run cannot serve this one: its end is the janitor's."""
        agent, live.agent = live.agent, None
        job = clean_up_job(left, "a new start needs a new task")
        if job:
            try:
                await self._ledger.save(Put(job))
            finally:
                self._janitor.add(job)  # nobody else knows of that task any more
        if agent is not None:
            await agent.aclose()

    async def _request(self, live: Live) -> Task:
        """Persist the whole request before anything happens in AWS."""
        task = new_task(live.record, self._place)
        await self._ledger.save(Put(live.become(task=task)))
        return task

    async def _run_task(self, live: Live, task: Task) -> Task:
        try:
            arn_of_task = TaskArn((await self._ecs.run_task(task.request)).arn)
        except NotFound:
            # Somebody deregistered the definition. Nothing was launched: ask for a new one with a new token.
            await self._definitions.renew(live.record.task_definition_arn)
            record = live.record
            arn = await self._definitions.ensure(
                record.image_pull, record.architecture, readonly_root=record.host.readonly_rootfs
            )
            live.become(task_definition_arn=arn)
            task = await self._request(live)
            arn_of_task = TaskArn((await self._ecs.run_task(task.request)).arn)
        except TokenReused as reused:
            if not reused.task_arns:
                raise
            arn_of_task = reused.task_arns[0]  # what the token made is what was asked for
        # The thread is never abandoned: an ARN that exists reaches this line, even when cancelled.
        with trio.CancelScope(shield=True):
            task = await self.adopt(live, task, arn_of_task)
        return task  # noqa: RET504 - mypy cannot know that a shield swallows nothing

    async def adopt(self, live: Live, task: Task, arn: TaskArn) -> Task:
        """Persist which task it became."""
        task = replace(task, arn=arn)
        record = live.become(task=task)
        assert record.run_id is not None
        await self._ledger.save(Put(record), Put(self._new_run(record, record.run_id, arn)))
        return task

    def _new_run(self, record: Container, run_id: RunId, arn: TaskArn) -> Run:
        number = len([run for run in self._ledger.runs_of(record.id) if run.id != run_id]) + 1
        run = Run(id=run_id, container_id=record.id, number=number, task_arn=arn, log_stream=log_stream(arn))
        self._ledger.runs[run_id] = run
        return run

    async def _start(self, live: Live, agent: AgentClient) -> None:
        """Tell the agent what to run. From `run_sent` on it is asked again, never run twice."""
        record = live.record
        assert record.task is not None
        assert record.run_id is not None
        await agent.set_names(names(record, record.task.agent_address or ""))
        await self._ledger.save(Put(live.become(task=replace(record.task, run_sent=True))))
        try:
            started = await agent.start(start_request(record, record.run_id, self._place))
        except StartRefused as refusal:
            if refusal.kind == "conflict":  # the task is about to end, or its last run has not yet
                raise Conflict(refusal.message) from refusal
            raise InvalidParameter(
                "failed to create task for container: failed to start the process: " + refusal.message
            ) from refusal
        # The exit may have been told already: the supervisor then has marked it started.
        if changed := self._supervisor.mark_started(live, record.run_id, started.time_ns or now_ns()):
            await self._ledger.insist(*changed)
        if live.record.task is not None:
            self._supervisor.follow(live)  # its stream may have been cut while this start was under way

    async def _failed(self, live: Live, error: SockerlessError, *, ran_before: bool) -> None:
        """Back to where it was, with the reason; nothing stays behind in AWS."""
        if live.record.state is not State.STARTING:
            return
        refusal = error.__cause__ if isinstance(error.__cause__, StartRefused) else None
        code = _EXIT_CODES.get(refusal.kind, _EXIT_UNKNOWN) if refusal else _EXIT_UNKNOWN
        task, agent, live.agent = live.record.task, live.agent, None
        record = live.become(
            Event.FAILED_AGAIN if ran_before else Event.FAILED,
            task=None,
            error=error.message,
            exit_code=code,
        )
        job = clean_up_job(task, f"start failed: {error.message}")
        await self._ledger.insist(Put(record), *([Put(job)] if job else []))
        if job:
            self._janitor.add(job)
        if agent is not None:
            await agent.aclose()
        self._supervisor.start_failed(live, error.message)
