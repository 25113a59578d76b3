"""ECS: the cluster, task definitions and tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sockerless_ecs.aws import faults
from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.operations import (
    DESCRIBE_CLUSTERS,
    DESCRIBE_TASKS,
    LIST_TASK_DEFINITIONS,
    LIST_TASKS,
    REGISTER_TASK_DEFINITION,
    RUN_TASK,
    STOP_TASK,
)
from sockerless_ecs.aws.shapes import definition_params, run_params, snapshot
from sockerless_ecs.errors import Conflict, NotFound, Unavailable
from sockerless_ecs.model.container import TaskArn
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.model.taskdef import RunTaskRequest, TaskDefinition

DESCRIBED_AT_ONCE = 100
"""The most tasks that one DescribeTasks takes."""
_LONGEST_REASON = 1024


class TokenReused(Conflict):
    """The client token already belongs to another request: `task_arns` are the tasks that it made."""

    def __init__(
        self, message: str, *, task_arns: tuple[TaskArn, ...], request_ids: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, request_ids=request_ids)
        self.task_arns = task_arns


class Ecs:
    """One cluster."""

    def __init__(self, calls: Calls, cluster: str) -> None:
        self._calls = calls
        self._cluster = cluster

    async def describe_cluster(self) -> str | None:
        """The cluster's status (`ACTIVE`), None if there is none of that name in the region."""
        answer = await self._calls.call(DESCRIBE_CLUSTERS, clusters=[self._cluster])
        clusters = answer.get("clusters", ())
        return str(clusters[0]["status"]) if clusters else None

    async def register_task_definition(self, definition: TaskDefinition, tags: Mapping[str, str]) -> str:
        """Register it as the newest revision of its family and return the ARN. One a second."""
        answer = await self._calls.call(REGISTER_TASK_DEFINITION, **definition_params(definition, tags))
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    async def find_task_definition(self, family: str) -> str | None:
        """The ARN of the family's newest active revision."""
        answer = await self._calls.call(
            LIST_TASK_DEFINITIONS, familyPrefix=family, status="ACTIVE", sort="DESC", maxResults=1
        )
        arns = answer.get("taskDefinitionArns", ())
        return str(arns[0]) if arns else None

    async def run_task(self, request: RunTaskRequest) -> TaskSnapshot:
        """Launch one task; repeating the same request gives the same task, even a stopped one.

        Raises `NotFound` when the definition is gone (register it again), `TokenReused` when the client
        token was spent on another request, `Unavailable` when there is no capacity or quota. Once AWS has
        answered, a cancellation does not keep the answer from the caller: shield what stores the ARN.
        """
        try:
            answer = await self._calls.call(RUN_TASK, **run_params(request))
        except Conflict as conflict:
            if faults.code_of(conflict) != "ConflictException":
                raise
            arns = tuple(TaskArn(arn) for arn in faults.answer_of(conflict).get("resourceIds", ()))
            raise TokenReused(
                conflict.message, task_arns=arns, request_ids=conflict.request_ids
            ) from conflict
        tasks = answer.get("tasks", ())
        if not tasks:
            raise _not_placed(answer)
        return snapshot(tasks[0])

    async def describe_tasks(self, arns: Sequence[str]) -> dict[TaskArn, TaskSnapshot]:
        """Snapshots by ARN, 100 a call; a task that ECS does not know (yet, or any more) is absent."""
        found: dict[TaskArn, TaskSnapshot] = {}
        for start in range(0, len(arns), DESCRIBED_AT_ONCE):
            some = list(arns[start : start + DESCRIBED_AT_ONCE])
            answer = await self._calls.call(DESCRIBE_TASKS, cluster=self._cluster, tasks=some)
            found |= {TaskArn(task["taskArn"]): snapshot(task) for task in answer.get("tasks", ())}
            for failure in answer.get("failures", ()):
                if failure.get("reason") != "MISSING":
                    raise Unavailable(
                        f"{DESCRIBE_TASKS}: {_failure(failure)}", request_ids=(faults.request_id(answer),)
                    )
        return found

    async def list_tasks(self, started_by: str, *, stopped: bool) -> list[TaskArn]:
        """The tasks that this instance started: those that are to run, or those stopped within the hour."""
        params: dict[str, Any] = {
            "cluster": self._cluster,
            "startedBy": started_by,
            "desiredStatus": "STOPPED" if stopped else "RUNNING",
        }
        arns: list[TaskArn] = []
        while True:
            answer = await self._calls.call(LIST_TASKS, **params)
            arns += [TaskArn(arn) for arn in answer.get("taskArns", ())]
            if not answer.get("nextToken"):
                return arns
            params["nextToken"] = answer["nextToken"]

    async def stop_task(self, arn: str, reason: str) -> None:
        """Ask ECS to stop it; one that is gone or stopping already is fine."""
        try:
            await self._calls.call(
                STOP_TASK, cluster=self._cluster, task=arn, reason=reason[:_LONGEST_REASON]
            )
        except NotFound:
            return


def _not_placed(answer: Mapping[str, Any]) -> Unavailable:
    failures = answer.get("failures", ())
    reasons = "; ".join(dict.fromkeys(_failure(failure) for failure in failures)) or "no task and no reason"
    request_id = faults.request_id(answer)
    return Unavailable(
        f"{RUN_TASK}: {reasons} (request {request_id}). Fargate could not place the task: try later, add "
        "subnets in other availability zones, ask for a smaller task, or check the Fargate vCPU quota",
        request_ids=(request_id,),
    )


def _failure(failure: Mapping[str, Any]) -> str:
    return ": ".join(part for part in (failure.get("reason", ""), failure.get("detail", "")) if part)
