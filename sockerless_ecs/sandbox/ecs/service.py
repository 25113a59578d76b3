"""ECS's operations by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sockerless_ecs.sandbox.ecs.definitions import Definition, Definitions
from sockerless_ecs.sandbox.ecs.life import Life
from sockerless_ecs.sandbox.ecs.look import Looks, page
from sockerless_ecs.sandbox.ecs.run import Runs
from sockerless_ecs.sandbox.ecs.table import DEFAULT_CLUSTER, Table
from sockerless_ecs.sandbox.ecs.tags import bounded, tag_list, tag_map
from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.wire.call import AwsError

Operation = Callable[[Mapping[str, Any]], dict[str, Any]]
_LONGEST_REASON = 1024


class Ecs:
    """The part of ECS that a Fargate-only account with tasks but no services uses."""

    def __init__(
        self, *, table: Table, definitions: Definitions, runs: Runs, looks: Looks, life: Life
    ) -> None:
        self._table = table
        self._definitions = definitions
        self._life = life
        self.operations: dict[str, Operation] = {
            "CreateCluster": self._create_cluster,
            "DeleteCluster": lambda params: {"cluster": table.delete_cluster(params["cluster"])},
            "DescribeClusters": self._describe_clusters,
            "ListClusters": lambda params: page(
                list(map(table.cluster_arn, table.clusters())), "clusterArns", params
            ),
            "RegisterTaskDefinition": definitions.register,
            "DescribeTaskDefinition": definitions.describe,
            "DeregisterTaskDefinition": definitions.deregister,
            "ListTaskDefinitions": lambda params: page(
                definitions.arns(params), "taskDefinitionArns", params
            ),
            "ListTaskDefinitionFamilies": lambda params: page(
                definitions.families(params), "families", params
            ),
            "RunTask": runs.run,
            "StopTask": self._stop_task,
            "DescribeTasks": looks.describe,
            "ListTasks": looks.list,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": lambda params: {"tags": tag_list(self._tags(params["resourceArn"]))},
        }

    def _create_cluster(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name = params.get("clusterName") or DEFAULT_CLUSTER
        self._table.create_cluster(name)
        return {"cluster": self._table.describe_cluster(name)}

    def _describe_clusters(self, params: Mapping[str, Any]) -> dict[str, Any]:
        found, failures = [], []
        for reference in params.get("clusters") or [DEFAULT_CLUSTER]:
            try:
                found.append(self._table.describe_cluster(self._table.cluster(reference)))
            except AwsError:
                arn = reference if reference.startswith("arn:") else self._table.cluster_arn(reference)
                failures.append({"arn": arn, "reason": "MISSING"})
        return {"clusters": found, "failures": failures}

    def _stop_task(self, params: Mapping[str, Any]) -> dict[str, Any]:
        reason = params.get("reason") or "Task stopped by user"
        if len(reason) > _LONGEST_REASON:
            raise AwsError(
                "InvalidParameterException", f"Reason must be at most {_LONGEST_REASON} characters."
            )
        task = self._table.find(self._table.cluster(params.get("cluster")), params["task"])
        if task is None:
            raise AwsError("InvalidParameterException", "The referenced task was not found.")
        self._life.stop(task, code="UserInitiated", reason=reason)
        with self._table.lock:
            return {"task": task.picture()}

    def _tag(self, params: Mapping[str, Any]) -> dict[str, Any]:
        owner = self._owner(params["resourceArn"])
        if isinstance(owner, Task) and owner.stopped:
            raise AwsError(
                "InvalidParameterException", "The specified task is stopped. Specify a running task."
            )
        new = tag_map(params["tags"])
        with self._table.lock:
            owner.tags = bounded(owner.tags | new)
        return {}

    def _untag(self, params: Mapping[str, Any]) -> dict[str, Any]:
        owner = self._owner(params["resourceArn"])
        with self._table.lock:
            owner.tags = {key: value for key, value in owner.tags.items() if key not in params["tagKeys"]}
        return {}

    def _tags(self, arn: str) -> dict[str, str]:
        return self._owner(arn).tags

    def _owner(self, arn: str) -> Task | Definition:
        kind, _, rest = arn.rsplit(":", maxsplit=1)[-1].partition("/") if ":task/" in arn else ("", "", arn)
        if kind == "task":
            cluster, _, task_id = rest.rpartition("/")
            task = self._table.find(self._table.cluster(cluster), task_id)
            if task is not None:
                return task
        elif ":task-definition/" in arn and (definition := self._definitions.find(arn)):
            return definition
        raise AwsError("InvalidParameterException", "The specified resource was not found.")
