"""DescribeTasks and ListTasks: what ECS shows of tasks, in pages, sometimes late."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sockerless_ecs.sandbox.ecs.table import Table
from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.wire.call import AwsError

_MOST = 100
_ALONE = ("family", "serviceName", "containerInstance", "launchType", "daemonName")


class Looks:
    """Answers questions about tasks; `lag_seconds` says how far behind the truth DescribeTasks is now."""

    def __init__(self, table: Table, lag_seconds: Callable[[], float]) -> None:
        self._table = table
        self._lag_seconds = lag_seconds

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTasks; unknown tasks are failures, not errors."""
        cluster = self._table.cluster(params.get("cluster"))
        references = params["tasks"]
        if not references:
            raise AwsError("InvalidParameterException", "Tasks cannot be empty.")
        if len(references) > _MOST:
            raise AwsError("InvalidParameterException", f"Tasks cannot have more than {_MOST} items.")
        with_tags = "TAGS" in params.get("include", ())
        lag = self._lag_seconds()
        found: list[Any] = []
        missing = []
        with self._table.lock:
            for reference in dict.fromkeys(references):
                task = self._table.find(cluster, reference)
                picture = task.snapshot(lag_seconds=lag, with_tags=with_tags) if task else None
                if picture is None:
                    arn = (
                        reference
                        if reference.startswith("arn:")
                        else self._table.task_arn(cluster, reference)
                    )
                    missing.append({"arn": arn, "reason": "MISSING"})
                else:
                    found.append(picture)
        return {"tasks": found, "failures": missing}

    def list(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """ListTasks, by desired status and at most one owner."""
        cluster = self._table.cluster(params.get("cluster"))
        if params.get("startedBy") and any(params.get(key) for key in _ALONE):
            raise AwsError("InvalidParameterException", "startedBy must be the only filter.")
        if params.get("serviceName"):
            raise AwsError("ServiceNotFoundException", "Service not found.")
        if params.get("containerInstance"):
            raise AwsError("InvalidParameterException", "The referenced container instance was not found.")
        arns = [task.arn for task in self._table.tasks(cluster) if _wanted(task, params)]
        return page(arns, "taskArns", params)


def _wanted(task: Task, params: Mapping[str, Any]) -> bool:
    return (
        task.desired == (params.get("desiredStatus") or "RUNNING")
        and params.get("family", task.definition.family) == task.definition.family
        and params.get("startedBy", task.placement.started_by) == task.placement.started_by
        and params.get("launchType", "FARGATE") == "FARGATE"
    )


def page(items: Sequence[Any], key: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """One page of a listing, under `key`, with the token of the next."""
    size = params.get("maxResults") or _MOST
    if size not in range(1, _MOST + 1):
        raise AwsError("InvalidParameterException", f"maxResults must be between 1 and {_MOST}.")
    start = _position(params.get("nextToken"))
    end = start + size
    answer: dict[str, Any] = {key: list(items[start:end])}
    if end < len(items):
        answer["nextToken"] = base64.b64encode(f"after:{end}".encode()).decode()
    return answer


def _position(token: str | None) -> int:
    if not token:
        return 0
    try:
        label, _, number = base64.b64decode(token, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        label, number = "", ""
    if label != "after" or not number.isdecimal():
        raise AwsError("InvalidParameterException", "Invalid token")
    return int(number)
