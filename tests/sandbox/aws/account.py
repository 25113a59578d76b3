"""An AWS account in a sandbox, as tests use it: boto3, and requests that boto3 would refuse to make."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sockerless_ecs.sandbox.launch import LOG_GROUP, credentials
from tests.e2e.world import Cloud

Value = TypeVar("Value")
PATIENCE_SECONDS = 20
FOREVER = "trap 'exit 143' TERM; while :; do sleep 0.05; done"
"""A script that ends when it is asked to."""
TARGETS = {
    "ecs": "AmazonEC2ContainerServiceV20141113",
    "logs": "Logs_20140328",
    "ecr": "AmazonEC2ContainerRegistry_V20150921",
}


class Account:
    """What a test does with a cloud."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.info = cloud.info
        environment = credentials(cloud.info)
        self._session = boto3.session.Session(
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            region_name=cloud.info.region,
        )
        self.ecs = self.client("ecs")
        self.logs = self.client("logs")
        self.ec2 = self.client("ec2")
        self.http = httpx.Client(base_url=cloud.info.endpoint_url, trust_env=False, timeout=30)
        self.logs.create_log_group(logGroupName=LOG_GROUP)

    def client(self, service: str) -> Any:
        """A boto3 client that neither retries nor checks parameters."""
        config = Config(
            retries={"total_max_attempts": 1}, parameter_validation=False, inject_host_prefix=False
        )
        return self._session.client(service, endpoint_url=self.info.endpoint_url, config=config)  # type: ignore[call-overload]

    def raw(self, service: str, operation: str, body: object) -> httpx.Response:
        """A request as no client would send it."""
        headers = {
            "X-Amz-Target": f"{TARGETS[service]}.{operation}",
            "Content-Type": "application/x-amz-json-1.1",
        }
        return self.http.post("/", json=body, headers=headers)

    @property
    def logging(self) -> dict[str, Any]:
        """A log configuration as the daemon makes it."""
        options = {
            "awslogs-group": LOG_GROUP,
            "awslogs-region": self.info.region,
            "awslogs-stream-prefix": "sockerless",
            "mode": "blocking",
        }
        return {"logDriver": "awslogs", "options": options}

    def container(self, script: str = "exit 0", **fields: Any) -> dict[str, Any]:
        """A container of the machine's own file system that runs a shell script."""
        return {
            "name": "main",
            "image": "host",
            "entryPoint": ["/bin/sh", "-c"],
            "command": [script],
            "logConfiguration": self.logging,
            "stopTimeout": 2,
        } | fields

    def definition(self, *containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """A RegisterTaskDefinition request."""
        return {
            "family": "test",
            "requiresCompatibilities": ["FARGATE"],
            "networkMode": "awsvpc",
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": self.info.execution_role_arn,
            "containerDefinitions": list(containers) or [self.container()],
        } | fields

    def register(self, *containers: dict[str, Any], **fields: Any) -> str:
        """The ARN of a new definition."""
        answer = self.ecs.register_task_definition(**self.definition(*containers, **fields))
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def request(self, definition: str, **fields: Any) -> dict[str, Any]:
        """A RunTask request."""
        vpc = {
            "subnets": list(self.info.subnets),
            "securityGroups": list(self.info.security_groups),
        }
        return {
            "cluster": self.info.cluster,
            "taskDefinition": definition,
            "capacityProviderStrategy": [{"capacityProvider": "FARGATE"}],
            "networkConfiguration": {"awsvpcConfiguration": vpc},
        } | fields

    def run(self, definition: str, **fields: Any) -> str:
        """The ARN of a new task."""
        return str(self.ecs.run_task(**self.request(definition, **fields))["tasks"][0]["taskArn"])

    def start(self, script: str, **fields: Any) -> str:
        """The ARN of a new task that runs a script."""
        return self.run(self.register(self.container(script, **fields)))

    def task(self, arn: str) -> dict[str, Any]:
        """What ECS says of a task, from the sandbox's own route: it costs no tokens."""
        found: dict[str, Any] = next(task for task in self.cloud.state()["tasks"] if task["taskArn"] == arn)
        return found

    def until(self, arn: str, status: str) -> dict[str, Any]:
        """The task once it has this status, or has gone past it."""
        order = (
            "PROVISIONING",
            "PENDING",
            "RUNNING",
            "DEACTIVATING",
            "STOPPING",
            "DEPROVISIONING",
            "STOPPED",
        )
        wanted = order[order.index(status) :]
        return eventually(lambda: task if (task := self.task(arn))["lastStatus"] in wanted else None)

    def stop(self, arn: str) -> dict[str, Any]:
        """End a task and wait for it."""
        self.ecs.stop_task(cluster=self.info.cluster, task=arn)
        return self.until(arn, "STOPPED")

    def lines(self, arn: str, container: str = "main") -> list[str]:
        """The task's log, now."""
        stream = f"sockerless/{container}/{arn.rsplit('/', 1)[-1]}"
        answer = self.logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True)
        return [event["message"] for event in answer["events"]]


def eventually(look: Callable[[], Value | None], every_seconds: float = 0.01) -> Value:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(every_seconds)
    pytest.fail(f"nothing came of it in {PATIENCE_SECONDS} s")


@contextmanager
def refused(code: str, message: str = "") -> Iterator[None]:
    """The calls inside are refused with this code, and the message says this."""
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert message in error["Message"], error
    assert caught.value.response["ResponseMetadata"]["RequestId"]
