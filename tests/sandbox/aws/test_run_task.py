"""RunTask and its neighbours: what AWS would refuse, the sandbox refuses, in AWS's words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.sandbox.aws.account import FOREVER, Account, eventually, refused


@pytest.fixture(scope="module")
def definition(_quick: Account) -> str:
    """A definition that ends at once."""
    return _quick.register(_quick.container("exit 0"))


def test_client_token_replays_the_same_task(aws: Account, definition: str) -> None:
    """Even when it has stopped meanwhile."""
    request = aws.request(definition, clientToken="replayed", startedBy="me")
    first = aws.ecs.run_task(**request)["tasks"][0]
    aws.until(first["taskArn"], "STOPPED")
    again = aws.ecs.run_task(**request)["tasks"][0]
    assert again["taskArn"] == first["taskArn"]
    assert again["lastStatus"] == "STOPPED"


def test_client_token_with_other_parameters_is_a_conflict_that_names_the_task(
    aws: Account, definition: str
) -> None:
    first = aws.run(definition, clientToken="taken")
    answer = aws.raw("ecs", "RunTask", aws.request(definition, clientToken="taken", startedBy="other"))
    assert answer.status_code == 400
    assert answer.json()["__type"] == "ConflictException"
    assert answer.json()["resourceIds"] == [first]


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        ({"cluster": "nope"}, "ClusterNotFoundException", "Cluster not found."),
        ({"taskDefinition": "nope:1"}, "ClientException", "TaskDefinition not found."),
        ({"taskDefinition": None}, "InvalidParameterException", "'taskDefinition'"),
        ({"count": 11}, "InvalidParameterException", "Count"),
        ({"count": "two"}, "InvalidParameterException", "must be an integer"),
        ({"launchType": "FARGATE"}, "InvalidParameterException", "Specifying both"),
        ({"capacityProviderStrategy": []}, "InvalidParameterException", "No Container Instances"),
        (
            {"capacityProviderStrategy": [{"capacityProvider": "x"}]},
            "InvalidParameterException",
            "capacity provider",
        ),
        ({"platformVersion": "9.9"}, "PlatformUnknownException", "platform"),
        ({"networkConfiguration": None}, "InvalidParameterException", "Network Configuration"),
        ({"startedBy": "not valid"}, "InvalidParameterException", "startedBy"),
        ({"clientToken": "x" * 65}, "InvalidParameterException", "clientToken"),
        ({"propagateTags": "SOMEHOW"}, "InvalidParameterException", "enum value set"),
        ({"overrides": {"cpu": "300"}}, "InvalidParameterException", "No Fargate configuration"),
        ({"overrides": {"memory": "64"}}, "InvalidParameterException", "No Fargate configuration"),
        ({"overrides": {"ephemeralStorage": {"sizeInGiB": 20}}}, "InvalidParameterException", "21 and 200"),
        ({"overrides": {"containerOverrides": [{"name": "x"}]}}, "InvalidParameterException", "named x"),
        ({"overrides": {"entryPoint": ["x"]}}, "InvalidParameterException", "Unknown member"),
        ({"tags": [{"key": "a*b", "value": ""}]}, "InvalidParameterException", "regular expression"),
        ({"tags": [{"key": "aws:x", "value": ""}]}, "InvalidParameterException", "aws:"),
        ({"tags": [{"key": "k" * 129, "value": ""}]}, "InvalidParameterException", "128"),
        ({"tags": [{"key": "k", "value": "v" * 257}]}, "InvalidParameterException", "256"),
        ({"tags": [{"key": f"k{n}", "value": ""} for n in range(51)]}, "InvalidParameterException", "50"),
        ({"tags": [{"key": "k", "value": ""}] * 2}, "InvalidParameterException", "Duplicate"),
    ],
)
def test_requests_that_aws_refuses(
    aws: Account, definition: str, change: dict[str, Any], code: str, message: str
) -> None:
    before = len(aws.cloud.tasks())
    request = {key: value for key, value in (aws.request(definition) | change).items() if value is not None}
    answer = aws.raw("ecs", "RunTask", request)
    assert answer.status_code == 400
    assert answer.json()["__type"] == code
    assert message in answer.json()["message"]
    assert len(aws.cloud.tasks()) == before


def test_tags_may_have_letters_of_every_script(aws: Account, definition: str) -> None:
    arn = aws.run(definition, tags=[{"key": "größe", "value": "日本 ②"}])
    assert aws.task(arn)["taskArn"] == arn


def test_overrides_are_limited_in_length(aws: Account, definition: str) -> None:
    environment = [{"name": "LONG", "value": "x" * 8192}]
    with refused("InvalidParameterException", "8192"):
        aws.run(definition, overrides={"containerOverrides": [{"name": "main", "environment": environment}]})


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("subnets", ["subnet-0"], "InvalidSubnetID.NotFound"),
        ("subnets", [], "subnets"),
        ("securityGroups", ["sg-0"], "InvalidGroup.NotFound"),
        ("securityGroups", ["sg-0"] * 6, "at most 5"),
    ],
)
def test_network_objects_must_exist(
    aws: Account, definition: str, field: str, value: list[str], message: str
) -> None:
    request = aws.request(definition)
    request["networkConfiguration"]["awsvpcConfiguration"][field] = value
    with refused("InvalidParameterException", message):
        aws.ecs.run_task(**request)


def test_count_runs_that_many_tasks(aws: Account, definition: str) -> None:
    arns = {task["taskArn"] for task in aws.ecs.run_task(**aws.request(definition, count=3))["tasks"]}
    assert len(arns) == 3
    for arn in arns:
        aws.until(arn, "STOPPED")


def test_list_and_describe_page_and_name_what_is_missing(aws: Account) -> None:
    definition = aws.register(aws.container(FOREVER), family="listed")
    mine = [aws.run(definition, startedBy="lister") for _ in range(3)]
    for arn in mine:
        aws.until(arn, "RUNNING")

    def listed(**filters: Any) -> list[str]:
        pages = aws.ecs.get_paginator("list_tasks").paginate(
            cluster=aws.info.cluster, PaginationConfig={"PageSize": 2}, **filters
        )
        return [arn for page in pages for arn in page["taskArns"]]

    assert listed(startedBy="lister") == mine
    assert listed(family="listed") == mine
    assert listed(startedBy="lister", desiredStatus="STOPPED") == []
    with refused("InvalidParameterException", "only filter"):
        listed(startedBy="lister", family="listed")
    with refused("InvalidParameterException", "Invalid token"):
        aws.ecs.list_tasks(cluster=aws.info.cluster, nextToken="%%%")
    answer = aws.ecs.describe_tasks(cluster=aws.info.cluster, tasks=[mine[0], "1" * 32])
    assert [task["taskArn"] for task in answer["tasks"]] == [mine[0]]
    assert answer["failures"] == [{"arn": mine[0].rsplit("/", 1)[0] + "/" + "1" * 32, "reason": "MISSING"}]
    for arn in mine:
        aws.stop(arn)
    assert listed(startedBy="lister") == []
    assert listed(startedBy="lister", desiredStatus="STOPPED") == mine


def test_at_most_a_hundred_tasks_are_described_at_once(aws: Account) -> None:
    with refused("InvalidParameterException", "100"):
        aws.ecs.describe_tasks(cluster=aws.info.cluster, tasks=["1" * 32] * 101)
    with refused("InvalidParameterException", "empty"):
        aws.ecs.describe_tasks(cluster=aws.info.cluster, tasks=[])
    assert len(aws.ecs.describe_tasks(cluster=aws.info.cluster, tasks=["1" * 32] * 100)["failures"]) == 1


def test_security_group_of_a_task_cannot_be_deleted_until_it_has_stopped(aws: Account) -> None:
    vpc = aws.ec2.describe_subnets(SubnetIds=list(aws.info.subnets)[:1])["Subnets"][0]["VpcId"]
    group = aws.ec2.create_security_group(GroupName="held", Description="x", VpcId=vpc)["GroupId"]
    request = aws.request(aws.register(aws.container(FOREVER)))
    request["networkConfiguration"]["awsvpcConfiguration"]["securityGroups"] = [group]
    arn = aws.ecs.run_task(**request)["tasks"][0]["taskArn"]
    with refused("DependencyViolation"):
        aws.ec2.delete_security_group(GroupId=group)
    aws.stop(arn)
    aws.ec2.delete_security_group(GroupId=group)


def test_clusters_are_described_or_missing(aws: Account) -> None:
    answer = aws.ecs.describe_clusters(clusters=[aws.info.cluster, "nope"])
    assert [cluster["status"] for cluster in answer["clusters"]] == ["ACTIVE"]
    assert answer["failures"][0]["reason"] == "MISSING"


def test_another_region_is_not_there(aws: Account) -> None:
    headers = {
        "X-Amz-Target": "AmazonEC2ContainerServiceV20141113.ListClusters",
        "Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/eu-west-1/ecs/aws4_request, Signature=y",
    }
    answer = aws.http.post("/", json={}, headers=headers)
    assert answer.status_code == 501
    assert "eu-west-1" in answer.json()["message"]


def test_operation_that_is_not_built_says_so(aws: Account) -> None:
    answer = aws.raw("ecs", "ListServices", {})
    assert answer.status_code == 501
    assert "ecs:ListServices" in answer.json()["message"]
    assert answer.headers["x-amzn-requestid"]


def test_concurrent_launches_with_one_token_make_one_task(aws: Account, definition: str) -> None:

    request = aws.request(definition, clientToken="raced")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: aws.ecs.run_task(**request), range(8)))
    assert len({answer["tasks"][0]["taskArn"] for answer in answers}) == 1
    eventually(lambda: aws.task(answers[0]["tasks"][0]["taskArn"])["lastStatus"] == "STOPPED")
