"""Starts in flight: each belongs to the daemon, and requests only watch it."""

from __future__ import annotations

from dataclasses import replace

import structlog
import trio

from sockerless_ecs.agent import (
    AgentClient,
    AgentLost,
    AgentUnreachable,
    StartRefused,
    WrongAgent,
)
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.container import Task, TaskArn, new_run_id
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.services.janitor import Janitor, clean_up_job
from sockerless_ecs.services.launch import Launch
from sockerless_ecs.services.ledger import Ledger, Live, now_ns
from sockerless_ecs.services.placing import Placing
from sockerless_ecs.services.plain import Plain
from sockerless_ecs.services.preparing import Preparer
from sockerless_ecs.services.requests import Place, names, start_request
from sockerless_ecs.services.restarts import Restarts
from sockerless_ecs.services.sessions import prepare_sessions
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.services.uploads import Uploads
from sockerless_ecs.store.contract import Put

_LOG = structlog.get_logger(__name__)
_EXIT_CODES = {"not_found": 127, "not_executable": 126, "bad_format": 126}
_EXIT_UNKNOWN = 128
"""What Docker records when a start fails for another reason."""
_NEW_TASK = "a new start needs a new task"


class Launcher:
    """Owns every start in flight."""

    def __init__(
        self,
        *,
        jobs: trio.Nursery,
        ledger: Ledger,
        supervisor: Supervisor,
        janitor: Janitor,
        placing: Placing,
        preparer: Preparer,
        uploads: Uploads,
        place: Place,
        restarts: Restarts,
        plain: Plain,
    ) -> None:
        self._jobs = jobs
        self._ledger = ledger
        self._supervisor = supervisor
        self._janitor = janitor
        self._placing = placing
        self._preparer = preparer
        self._uploads = uploads
        self._place = place
        self._restarts = restarts
        self._plain = plain
        self._in_flight: dict[str, Launch] = {}
        self.draining = False

    def begin(self, live: Live, *, by_policy: bool = False) -> Launch:
        """Start a container, or join the start that is under way; raises `Conflict` from any other state.

        `by_policy`: it is a restart that nobody asked for, so what was asked before still counts.

        Not async: no cancellation can fall between the change of state and the job that follows it up.
        """
        if launch := self._in_flight.get(live.id):
            return launch
        self._admit(live)
        ran_before = live.record.state in (State.EXITED, State.DEAD, State.RESTARTING)
        asked = {} if by_policy else {"stopped_by_user": False, "restart_count": 0}
        task = live.record.task
        lingers = live.agent is not None or self._preparer.in_flight(live) is not None
        live.become(
            Event.BEGIN,
            run_id=new_run_id(),
            task=replace(task, run_sent=False) if task and lingers else None,
            error="",
            by_policy=by_policy,
            **asked,
        )
        if not by_policy:
            self._restarts.forget(live)
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

    async def adopt(self, live: Live, task: Task, arn: TaskArn) -> None:
        """Persist which task a request became."""
        await self._placing.adopt(live, task, arn)

    async def abort(self, live: Live) -> None:
        """End the start or the preparation under way, if any: its task is stopped by the janitor."""
        await self._preparer.abort(live)
        if launch := self._in_flight.get(live.id):
            launch.scope.cancel()
            await launch.settled.wait()

    async def prepare(self, live: Live, *, lost: AgentClient | None = None) -> AgentClient:
        """The agent of a container that has not started: its task is made now, without a process.

        `lost` is one that does not answer any more: another is made in its place. Raises why there is none;
        the container is as it was then. Cancelling leaves the preparation going on.
        """
        preparation = self._preparer.in_flight(live)
        if preparation is None:
            if live.agent is not None and live.agent is not lost:
                return live.agent
            self._admit(live)
            preparation = self._preparer.begin(live)
        try:
            await preparation.outcome()
        except SockerlessError:
            if not preparation.adopted:
                raise
            return await self.prepare(live, lost=lost)
        if live.agent is None:
            raise Unavailable(f"the task that was made for container {live.id} has just ended: try again")
        return live.agent

    def resume_preparing(self, live: Live) -> None:
        """Take up a task that a daemon before us has prepared, or was preparing."""
        self._preparer.resume(live)

    async def forget_preparing(self, live: Live) -> None:
        """A task that a daemon before us asked for, without an answer, is the janitor's if nobody uses it."""
        if live.record.state is State.CREATED and self._preparer.in_flight(live) is None:
            await self._preparer.forget(live)

    def _admit(self, live: Live) -> None:
        """Raises what keeps a container from getting a task now."""
        if self.draining:
            raise Unavailable("the daemon is shutting down and starts nothing new")
        if self._ledger.get(live.id) is not live:
            raise NotFound(f"No such container: {live.id}")
        if live.leaving:
            raise Conflict("container is marked for removal and cannot be started")

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
                    await self._placing.give_back(live, launch.left, _NEW_TASK)
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
            await self._uploads.drop(live.id)
            log.info("container_started", seconds=round(trio.current_time() - began, 3))
        else:
            log.warning("start_failed", error=str(error), aws_request_ids=error.request_ids)
            with trio.CancelScope(shield=True):
                await self._failed(live, error, ran_before=launch.ran_before)
        launch.settle(error)

    async def _bring_up(self, live: Live) -> None:
        """The process runs: in the task that lingers from the last run if it can, else in a new one."""
        if live.record.agentless:
            return await self._plain.bring_up(live)
        if preparation := self._preparer.in_flight(live):
            try:
                await preparation.outcome()
            except SockerlessError:
                if not preparation.adopted:
                    raise
        if live.agent is not None:
            try:
                return await self._start_again(live, live.agent)
            except (AgentLost, AgentUnreachable, WrongAgent, Conflict) as error:
                _LOG.info("lingering_task_gone", container_id=live.id, reason=str(error))
                left = live.record.task
                live.become(task=None)
                await self._placing.give_back(live, left, _NEW_TASK)
        while True:
            agent = await self._placing.agent(live)
            try:
                return await self._start(live, agent)
            except (AgentLost, AgentUnreachable, WrongAgent):
                if live.record.state is not State.STARTING or live.record.task is None:
                    return None  # its exit was told already: it did start
                # Whether it heard us is not known; it is asked again with the same run id.
                live.agent = None
                await agent.aclose()

    async def _start_again(self, live: Live, agent: AgentClient) -> None:
        record = live.record
        assert record.task is not None
        assert record.task.arn is not None
        await self._ledger.save(Put(record), Put(self._placing.new_run(record, record.task.arn)))
        await self._start(live, agent)

    async def _start(self, live: Live, agent: AgentClient) -> None:
        """Tell the agent what to run. From `run_sent` on it is asked again, never run twice."""
        assert live.record.task is not None
        await agent.set_names(names(live.record, live.record.task.agent_address or ""))
        await self._uploads.deliver(live, agent)
        task = live.record.task
        assert task is not None
        assert task.arn is not None
        record = live.become(task=replace(task, run_sent=True))
        assert record.run_id is not None
        known = record.run_id in self._ledger.runs
        await self._ledger.save(
            Put(record), *([] if known else [Put(self._placing.new_run(record, task.arn))])
        )
        await prepare_sessions(live, agent, record.run_id)
        try:
            started = await agent.start(start_request(record, record.run_id, self._place))
        except StartRefused as refusal:
            if refusal.kind == "conflict":  # the task is about to end, or its last run has not yet
                raise Conflict(refusal.message) from refusal
            if refusal.kind == "bad_user":  # nothing is wrong with the request to start
                raise SockerlessError(refusal.message) from refusal
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
        again = live.record.by_policy and refusal is None and self._restarts.goes_on(live)
        code = _EXIT_CODES.get(refusal.kind, _EXIT_UNKNOWN) if refusal else _EXIT_UNKNOWN
        task, agent, live.agent = live.record.task, live.agent, None
        back = Event.FAILED_AGAIN if ran_before else Event.FAILED
        how = Event.FAILED_TO_RESTART if again else back
        # A restart that fails leaves the exit code of the run before it, as in Docker.
        code = live.record.exit_code if live.record.by_policy else code
        record = live.become(how, task=None, error=error.message, exit_code=code)
        job = clean_up_job(task, f"start failed: {error.message}")
        await self._ledger.insist(Put(record), *([Put(job)] if job else []))
        if job:
            self._janitor.add(job)
        if agent is not None:
            await agent.aclose()
        if again:
            self._restarts.schedule_retry(live)
        else:
            self._supervisor.start_failed(live, error.message)
