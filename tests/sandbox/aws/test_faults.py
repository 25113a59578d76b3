"""Throttling, AWS's and ordered, and every other fault that can be asked for."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from sockerless_ecs.sandbox.rates import LAUNCH, Rates
from tests.sandbox.aws.account import FOREVER, Account, eventually, refused


def test_ordered_throttling_lasts_for_its_count(aws: Account) -> None:
    aws.cloud.fault(operation="DescribeClusters", kind="throttle", count=2)
    for _ in range(2):
        with refused("ThrottlingException", "Rate exceeded"):
            aws.ecs.describe_clusters()
    aws.ecs.describe_clusters(clusters=[aws.info.cluster])


@pytest.mark.parametrize(
    ("service", "operation", "code", "status"),
    [
        ("ecs", "list_clusters", "ThrottlingException", 400),
        ("ec2", "describe_vpcs", "RequestLimitExceeded", 503),
        ("sts", "get_caller_identity", "Throttling", 400),
        ("efs", "describe_file_systems", "ThrottlingException", 429),
        ("logs", "describe_log_groups", "ThrottlingException", 400),
    ],
)
def test_each_service_throttles_in_its_own_shape(
    aws: Account, service: str, operation: str, code: str, status: int
) -> None:
    aws.cloud.fault(service=service, operation="*", kind="throttle")
    with pytest.raises(ClientError) as caught:
        getattr(aws.client(service), operation)()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


def test_rates_are_enforced_by_default(paced: Account) -> None:
    """RegisterTaskDefinition: twenty at once, then one a second."""
    before = paced.cloud.state()["throttled"].get("ecs:RegisterTaskDefinition", 0)

    def register(_: int) -> bool:
        return paced.raw("ecs", "RegisterTaskDefinition", paced.definition()).status_code == 200

    with ThreadPoolExecutor(8) as pool:
        accepted = list(pool.map(register, range(40)))
    assert accepted.count(True) <= 25
    throttled = paced.cloud.state()["throttled"]["ecs:RegisterTaskDefinition"] - before
    assert throttled == accepted.count(False) > 0


def test_run_task_takes_from_its_own_bucket_and_from_the_shared_one() -> None:
    rates = Rates(enforced=True)
    assert [rates.take("ecs:RunTask") for _ in range(21)] == [True] * 20 + [False]
    assert sum(rates.take("ecs:StopTask") for _ in range(100)) in range(80, 90)
    assert rates.take("ecs:SomethingElse")
    assert [rates.take(LAUNCH, 10) for _ in range(11)] == [True] * 10 + [False]
    assert all(Rates(enforced=False).take("ecs:RunTask") for _ in range(1000))


def test_ordered_error_has_the_code_that_was_asked_for(aws: Account) -> None:
    aws.cloud.fault(operation="ListClusters", kind="error", code="AccessDeniedException", message="no")
    with refused("AccessDeniedException", "no"):
        aws.ecs.list_clusters()


def test_lost_answer_comes_after_the_effect(aws: Account) -> None:
    """What client tokens are for."""
    request = aws.request(aws.register(aws.container("exit 0")), clientToken="lost")
    aws.cloud.fault(operation="RunTask", kind="lost_answer")
    with pytest.raises(ConnectionClosedError):
        aws.ecs.run_task(**request)
    before = {task["taskArn"] for task in aws.cloud.tasks()}
    assert aws.ecs.run_task(**request)["tasks"][0]["taskArn"] in before


def test_latency_delays_the_answer(aws: Account) -> None:
    aws.cloud.fault(operation="ListClusters", kind="latency", seconds=0.2)
    began = time.monotonic()
    aws.ecs.list_clusters()
    assert time.monotonic() - began >= 0.2


def test_missing_capacity_is_an_answer_without_a_task(aws: Account) -> None:
    aws.cloud.fault(operation="RunTask", kind="failures", code="RESOURCE:FARGATE", message="no room")
    request = aws.request(aws.register(aws.container("exit 0")), clientToken="capacity")
    answer = aws.ecs.run_task(**request)
    assert answer["tasks"] == []
    assert (answer["failures"][0]["reason"], answer["failures"][0]["detail"]) == (
        "RESOURCE:FARGATE",
        "no room",
    )
    assert len(aws.ecs.run_task(**request)["tasks"]) == 1


def test_lagging_answers_show_the_past(aws: Account) -> None:
    arn = aws.start(FOREVER)
    aws.until(arn, "RUNNING")
    cluster = aws.info.cluster
    aws.cloud.fault(operation="DescribeTasks", kind="lag", seconds=3600)
    assert aws.ecs.describe_tasks(cluster=cluster, tasks=[arn])["failures"][0]["reason"] == "MISSING"
    stopped = aws.stop(arn)
    aws.cloud.fault(operation="DescribeTasks", kind="lag", seconds=0.5, count=0)

    def versions() -> list[int]:
        return [task["version"] for task in aws.ecs.describe_tasks(cluster=cluster, tasks=[arn])["tasks"]]

    assert not versions() or versions()[0] < stopped["version"]
    eventually(lambda: versions() == [stopped["version"]])


def test_faults_are_listed_cleared_and_checked(aws: Account) -> None:
    aws.cloud.fault(operation="RunTask", kind="throttle", count=3)
    url = f"{aws.info.endpoint_url}/_sandbox/faults"
    assert [fault["operation"] for fault in httpx.get(url).json()] == ["RunTask"]
    aws.cloud.no_faults()
    assert httpx.get(url).json() == []
    answer = httpx.post(url, json={"operation": "RunTask", "kind": "magic"})
    assert answer.status_code == 400
    assert "kind" in answer.json()["message"]


def test_calls_are_counted(aws: Account) -> None:
    aws.cloud.reset_counts()
    aws.ecs.list_clusters()
    aws.ecs.list_clusters()
    assert aws.cloud.state()["counts"] == {"ecs:ListClusters": 2}
