"""The clusters and their tasks: who is there, found by ARN or id, and for how long."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sockerless_ecs.sandbox.ecs.task import Task
from sockerless_ecs.sandbox.wire.call import ACCOUNT, AwsError

DEFAULT_CLUSTER = "default"


class Table:
    """Every cluster and every task that ECS still remembers. `lock` guards all changes to tasks."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.lock = threading.RLock()
        self._clusters: dict[str, dict[str, Task]] = {}

    def create_cluster(self, name: str) -> str:
        """Make a cluster, or find it; its ARN."""
        with self.lock:
            self._clusters.setdefault(name, {})
        return self.cluster_arn(name)

    def delete_cluster(self, name: str) -> dict[str, Any]:
        """Drop a cluster that has no tasks; how it looked last."""
        with self.lock:
            cluster = self.cluster(name)
            if any(not task.stopped for task in self._clusters[cluster].values()):
                raise AwsError(
                    "ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active."
                )
            last = self.describe_cluster(cluster) | {"status": "INACTIVE"}
            del self._clusters[cluster]
        return last

    def cluster(self, reference: str | None) -> str:
        """The name of the cluster that a name or ARN means."""
        name = (reference or DEFAULT_CLUSTER).rsplit("/", 1)[-1]
        if name not in self._clusters:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return name

    def clusters(self) -> list[str]:
        """All names."""
        return sorted(self._clusters)

    def cluster_arn(self, name: str) -> str:
        """The ARN of the cluster of that name."""
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:cluster/{name}"

    def describe_cluster(self, name: str) -> dict[str, Any]:
        """A cluster in ECS's words."""
        statuses = [task.status for task in list(self._clusters[name].values())]
        return {
            "clusterArn": self.cluster_arn(name),
            "clusterName": name,
            "status": "ACTIVE",
            "registeredContainerInstancesCount": 0,
            "runningTasksCount": statuses.count("RUNNING"),
            "pendingTasksCount": statuses.count("PENDING") + statuses.count("PROVISIONING"),
            "activeServicesCount": 0,
            "statistics": [],
            "tags": [],
            "settings": [{"name": "containerInsights", "value": "disabled"}],
            "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
            "defaultCapacityProviderStrategy": [],
        }

    def task_arn(self, cluster: str, task_id: str) -> str:
        """The ARN of a task of this cluster."""
        return f"arn:aws:ecs:{self.region}:{ACCOUNT}:task/{cluster}/{task_id}"

    def add(self, task: Task) -> None:
        """Remember a task, as its first version."""
        with self.lock:
            task.changed()
            self._clusters[task.placement.cluster][task.id] = task

    def forget(self, task: Task) -> None:
        """As if it had never been (an hour after it stopped)."""
        with self.lock:
            self._clusters.get(task.placement.cluster, {}).pop(task.id, None)

    def find(self, cluster: str, reference: str) -> Task | None:
        """A task by id or ARN."""
        task = self._clusters[cluster].get(reference.rsplit("/", 1)[-1])
        return task if task and (not reference.startswith("arn:") or task.arn == reference) else None

    def by_id(self, task_id: str) -> Task | None:
        """A task of any cluster by its id."""
        return next((tasks[task_id] for tasks in self._clusters.values() if task_id in tasks), None)

    def tasks(self, cluster: str) -> list[Task]:
        """All tasks of a cluster, oldest first."""
        with self.lock:
            return list(self._clusters[cluster].values())

    def everything(self) -> Mapping[str, list[Task]]:
        """All tasks of all clusters."""
        with self.lock:
            return {name: list(tasks.values()) for name, tasks in self._clusters.items()}
