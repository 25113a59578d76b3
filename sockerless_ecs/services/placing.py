"""From a container to the agent of a task of its own: asked for, adopted, met, and given back."""

from __future__ import annotations

from dataclasses import replace

import trio

from sockerless_ecs.agent import AgentClient
from sockerless_ecs.aws import Ecs, TokenReused
from sockerless_ecs.errors import NotFound
from sockerless_ecs.model.agentless import program_of
from sockerless_ecs.model.container import Container, Run, RunId, Task, TaskArn
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.taskdef import log_stream
from sockerless_ecs.services.definitions import Definitions
from sockerless_ecs.services.janitor import Janitor, clean_up_job
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.meeting import Meeting
from sockerless_ecs.services.requests import Place, new_task
from sockerless_ecs.services.supervisor import Supervisor
from sockerless_ecs.store.contract import Put


class Placing:
    """Every step is persisted before the next: whoever comes after us goes on from there."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        ecs: Ecs,
        supervisor: Supervisor,
        janitor: Janitor,
        definitions: Definitions,
        meeting: Meeting,
        place: Place,
    ) -> None:
        self._ledger = ledger
        self._ecs = ecs
        self._supervisor = supervisor
        self._janitor = janitor
        self._definitions = definitions
        self._meeting = meeting
        self._place = place

    async def task(self, live: Live) -> Task:
        """The container's task, which is asked for if there is none yet."""
        task = live.record.task
        if task is None:
            task = await self._request(live)
        if task.arn is None:
            task = await self._run_task(live, task)
        return task

    async def agent(self, live: Live) -> AgentClient:
        """The agent of the container's task, which is asked for if there is none yet; it is supervised."""
        task = await self.task(live)
        agent = live.agent = await self._meeting.meet(live, task)
        self._supervisor.follow(live)
        return agent

    async def adopt(self, live: Live, task: Task, arn: TaskArn) -> Task:
        """Persist which task it became."""
        task = replace(task, arn=arn)
        record = live.become(task=task)
        starts = record.state is State.STARTING
        await self._ledger.save(Put(record), *([Put(self.new_run(record, arn))] if starts else []))
        return task

    async def give_back(self, live: Live, left: Task | None, reason: str) -> None:
        """The container's task serves it no more: its end is the janitor's."""
        agent, live.agent = live.agent, None
        job = clean_up_job(left, reason)
        if job:
            try:
                await self._ledger.save(Put(job))
            finally:
                self._janitor.add(job)  # nobody else knows of that task any more
        if agent is not None:
            await agent.aclose()

    def new_run(self, record: Container, arn: TaskArn) -> Run:
        """The run that is being started, known from here on."""
        run_id: RunId | None = record.run_id
        assert run_id is not None
        number = len([run for run in self._ledger.runs_of(record.id) if run.id != run_id]) + 1
        run = Run(
            id=run_id,
            container_id=record.id,
            number=number,
            task_arn=arn,
            log_stream=log_stream(arn),
            agentless=record.agentless,
        )
        self._ledger.runs[run_id] = run
        return run

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
                record.image_pull,
                record.architecture,
                repository_credentials=record.credentials_arn,
                readonly_root=record.host.readonly_rootfs,
                program=program_of(record.config, record.host) if record.agentless else None,
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
