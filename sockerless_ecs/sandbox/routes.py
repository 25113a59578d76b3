"""The sandbox's own routes: faults, state, counts, and what containers ask about themselves."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from sockerless_ecs.sandbox.ecs.life import Life
from sockerless_ecs.sandbox.ecs.table import Table
from sockerless_ecs.sandbox.ecs.task import ContainerState, Task
from sockerless_ecs.sandbox.faults import Faults
from sockerless_ecs.sandbox.front import Front, Request
from sockerless_ecs.sandbox.wire.answers import Answer, plain
from sockerless_ecs.sandbox.wire.call import ACCOUNT

_OK, _BAD, _NOT_FOUND = 200, 400, 404
_CREDENTIAL_SECONDS = 6 * 3600


class Routes:
    """Everything that is not AWS's API."""

    def __init__(self, *, front: Front, faults: Faults, table: Table, life: Life) -> None:
        self._front = front
        self._faults = faults
        self._table = table
        self._life = life
        self._own: dict[tuple[str, str], Callable[[bytes], Answer]] = {
            ("POST", "/_sandbox/faults"): self._order_fault,
            ("GET", "/_sandbox/faults"): lambda _: plain(self._faults.pending()),
            ("DELETE", "/_sandbox/faults"): self._clear_faults,
            ("GET", "/_sandbox/state"): lambda _: plain(self._state()),
            ("POST", "/_sandbox/reset-counts"): self._reset_counts,
            ("POST", "/_sandbox/interrupt"): self._interrupt,
        }

    def answer(self, request: Request) -> Answer | None:
        """The answer to one of our own routes; None for any other."""
        handler = self._own.get((request.method, request.path))
        if handler is not None:
            return handler(request.body)
        version, _, rest = request.path.lstrip("/").partition("/")
        if request.method == "GET" and version in ("v3", "v4"):
            return self._metadata(rest)
        if request.method == "GET" and request.path.startswith("/v2/credentials/"):
            return plain(_credentials())
        return None

    def _order_fault(self, body: bytes) -> Answer:
        try:
            return plain(self._faults.add(body), 201)
        except msgspec.DecodeError as error:
            return plain({"message": str(error)}, _BAD)

    def _clear_faults(self, _body: bytes) -> Answer:
        self._faults.clear()
        return plain([])

    def _reset_counts(self, _body: bytes) -> Answer:
        self._front.reset_counts()
        return plain({})

    def _interrupt(self, body: bytes) -> Answer:
        """End a task as EC2 ends one of FARGATE_SPOT: `{"task": id or ARN}`."""
        try:
            wanted = msgspec.json.decode(body, type=dict[str, str])["task"]
        except (msgspec.DecodeError, KeyError):
            return plain({"message": 'the body must be {"task": …}'}, _BAD)
        task = self._table.by_id(wanted.rsplit("/", 1)[-1])
        if task is None:
            return plain({"message": f"no task {wanted}"}, _NOT_FOUND)
        self._life.stop(task, code="SpotInterruption", reason="Your Spot Task was interrupted.")
        return plain({})

    def _state(self) -> dict[str, Any]:
        everything = [task for tasks in self._table.everything().values() for task in tasks]
        with self._table.lock:
            tasks = [task.picture() for task in everything]
        return {
            "tasks": tasks,
            "live_tasks": [
                task.arn for task in everything if task.placed and "executionStoppedAt" not in task.times
            ],
            "counts": dict(self._front.counts),
            "throttled": dict(self._front.throttled),
        }

    def _metadata(self, rest: str) -> Answer:
        runtime_id, _, what = rest.partition("/")
        task = self._table.by_id(runtime_id.partition("-")[0])
        container = (
            next((item for item in task.containers if item.runtime_id == runtime_id), None) if task else None
        )
        if task is None or container is None:
            return plain({"message": "no such container"}, _NOT_FOUND)
        with self._table.lock:
            match what:
                case "":
                    return plain(_container_metadata(task, container))
                case "task":
                    return plain(_task_metadata(task))
                case _:
                    return plain({"message": f"the sandbox has no metadata {what}"}, _NOT_FOUND)


def _task_metadata(task: Task) -> dict[str, Any]:
    where = task.placement
    return {
        "Cluster": where.cluster_arn,
        "TaskARN": task.arn,
        "Family": task.definition.family,
        "Revision": str(task.definition.revision),
        "DesiredStatus": task.desired,
        "KnownStatus": task.status,
        "Limits": {"CPU": where.cpu_units / 1024, "Memory": where.memory_mib},
        "AvailabilityZone": where.zone,
        "LaunchType": "FARGATE",
        "EphemeralStorageMetrics": {"Reserved": where.storage_gib * 1024},
        "Containers": [_container_metadata(task, container) for container in task.containers],
    }


def _container_metadata(task: Task, container: ContainerState) -> dict[str, Any]:
    return {
        "DockerId": container.runtime_id,
        "Name": container.name,
        "DockerName": container.name,
        "Image": container.image,
        "ImageID": container.digest,
        "Labels": {
            "com.amazonaws.ecs.cluster": task.placement.cluster_arn,
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.definition.family,
            "com.amazonaws.ecs.task-definition-version": str(task.definition.revision),
        },
        "DesiredStatus": task.desired,
        "KnownStatus": container.status,
        "Limits": {"CPU": container.cpu},
        "Type": "NORMAL",
        "ContainerARN": container.arn,
        "Networks": [
            {
                "NetworkMode": "awsvpc",
                "IPv4Addresses": [task.address] if task.address else [],
                "MACAddress": task.mac,
            }
        ],
    }


def _credentials() -> dict[str, str]:
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + _CREDENTIAL_SECONDS))
    return {
        "AccessKeyId": "ASIASANDBOX0000TASK0",
        "SecretAccessKey": secrets.token_urlsafe(30),
        "Token": secrets.token_urlsafe(60),
        "Expiration": expires,
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/sandbox-task",
    }
