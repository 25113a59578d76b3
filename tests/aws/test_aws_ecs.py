from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import trio

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.ecs import Ecs, TokenReused
from sockerless_ecs.aws.shapes import definition_params, run_params, snapshot
from sockerless_ecs.aws.tags import acceptable
from sockerless_ecs.errors import Misconfigured, NotFound, Unavailable
from sockerless_ecs.model.task import ContainerSnapshot
from sockerless_ecs.model.taskdef import Program, RunTaskRequest, TaskDefinition
from tests.aws.scripted_aws import Drop, Fail, Hold, Ok, ScriptedAws

DEFINITION = TaskDefinition(
    image="registry/alpine@sha256:1",
    agent_image="registry/agent@sha256:2",
    architecture="ARM64",
    execution_role_arn="arn:aws:iam::123456789012:role/execution",
    task_role_arn="",
    log_group="/sockerless/containers",
    log_mode="blocking",
    region="us-east-1",
    client_key_sha256="ab" * 32,
    agent_port=9111,
    start_timeout_seconds=300,
)
REQUEST = RunTaskRequest(
    cluster="c",
    definition_arn="arn:d:1",
    client_token="token-1",
    started_by="instance-1",
    subnets=("subnet-1", "subnet-2"),
    security_groups=("sg-1",),
    assign_public_ip=True,
    capacity_provider="FARGATE_SPOT",
    platform_version="",
    cpu_units=512,
    memory_mib=1024,
    storage_gib=None,
    environment={"SOCKERLESS_TOKEN": "hush"},
    tags={"sockerless:container": "abc", "labels": '{"a": 1}'},
)
TASK: dict[str, Any] = {
    "taskArn": "arn:t",
    "version": 3,
    "lastStatus": "PENDING",
    "desiredStatus": "RUNNING",
    "startedBy": "instance-1",
    "taskDefinitionArn": "arn:d:1",
    "overrides": {
        "containerOverrides": [
            {"name": "main", "environment": [{"name": "SOCKERLESS_LAUNCH", "value": "token-1"}]}
        ]
    },
    "createdAt": 1_700_000_000.25,
    "attachments": [
        {
            "type": "ElasticNetworkInterface",
            "details": [
                {"name": "subnetId", "value": "subnet-1"},
                {"name": "privateIPv4Address", "value": "10.0.0.7"},
            ],
        }
    ],
    "containers": [
        {"name": "sockerless-init", "lastStatus": "STOPPED", "exitCode": 0},
        {"name": "main", "lastStatus": "PENDING", "imageDigest": "sha256:1"},
    ],
}


@pytest.fixture
def ecs(calls: Calls) -> Ecs:
    return Ecs(calls, "c")


def test_definition_says_where_to_run_and_nothing_of_what() -> None:
    logs = {
        "logDriver": "awslogs",
        "options": {
            "awslogs-group": "/sockerless/containers",
            "awslogs-region": "us-east-1",
            "awslogs-stream-prefix": "sockerless",
            "mode": "blocking",
        },
    }
    mount = {"sourceVolume": "sockerless", "containerPath": "/.sockerless", "readOnly": False}
    assert definition_params(DEFINITION, {"owner": "me"}) == {
        "family": DEFINITION.family,
        "requiresCompatibilities": ["FARGATE"],
        "networkMode": "awsvpc",
        "cpu": "256",
        "memory": "512",
        "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
        "executionRoleArn": "arn:aws:iam::123456789012:role/execution",
        "volumes": [{"name": "sockerless"}],
        "tags": [{"key": "owner", "value": "me"}],
        "containerDefinitions": [
            {
                "name": "sockerless-init",
                "image": "registry/agent@sha256:2",
                "essential": False,
                "entryPoint": ["/sockerless-agent"],
                "command": ["install", "/.sockerless/agent"],
                "mountPoints": [mount],
                "logConfiguration": logs,
            },
            {
                "name": "main",
                "image": "registry/alpine@sha256:1",
                "essential": True,
                "entryPoint": ["/.sockerless/agent"],
                "command": [],
                "user": "0",
                "environment": [
                    {"name": "SOCKERLESS_CLIENT_KEY_SHA256", "value": "ab" * 32},
                    {"name": "SOCKERLESS_LISTEN", "value": ":9111"},
                    {"name": "SOCKERLESS_START_TIMEOUT_SECONDS", "value": "300"},
                ],
                "mountPoints": [mount],
                "dependsOn": [{"containerName": "sockerless-init", "condition": "SUCCESS"}],
                "stopTimeout": 120,
                "readonlyRootFilesystem": False,
                "linuxParameters": {"initProcessEnabled": False},
                "logConfiguration": logs,
            },
        ],
    }


def test_definition_of_a_private_image_names_its_secret_for_that_image_alone() -> None:
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:login-abcdef"
    private = replace(DEFINITION, repository_credentials=secret)
    program = Program(
        entrypoint=(),
        command=("true",),
        environment=(),
        user="",
        working_dir="",
        stop_seconds=10,
        init=False,
        cap_drop=(),
        open_files=None,
    )
    for definition in (private, replace(private, program=program)):
        *others, main = definition_params(definition, {})["containerDefinitions"]
        assert main["repositoryCredentials"] == {"credentialsParameter": secret}
        assert all("repositoryCredentials" not in other for other in others)
    assert private.hash not in (DEFINITION.hash, replace(private, repository_credentials=secret + "x").hash)


def test_definition_without_a_secret_keeps_the_hash_it_had_before_there_were_any() -> None:
    content = msgspec.to_builtins(DEFINITION)
    assert content.pop("repository_credentials") == ""
    before = hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
    assert DEFINITION.hash == before[:32]


def test_launch_has_size_network_token_and_the_agents_environment() -> None:
    assert run_params(REQUEST) == {
        "cluster": "c",
        "taskDefinition": "arn:d:1",
        "count": 1,
        "clientToken": "token-1",
        "startedBy": "instance-1",
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "weight": 1}],
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-1", "subnet-2"],
                "securityGroups": ["sg-1"],
                "assignPublicIp": "ENABLED",
            }
        },
        "overrides": {
            "cpu": "512",
            "memory": "1024",
            "containerOverrides": [
                {"name": "main", "environment": [{"name": "SOCKERLESS_TOKEN", "value": "hush"}]}
            ],
        },
        "propagateTags": "NONE",
        "enableECSManagedTags": False,
        "enableExecuteCommand": False,
        "tags": [{"key": "sockerless:container", "value": "abc"}],
    }


def test_tags_that_aws_would_refuse_are_left_out() -> None:
    tags = {
        "ok": "a b+c-d=e._:/@f",
        "": "no key",
        "aws:x": "reserved",
        "json": '{"a"}',
        "k" * 129: "long key",
        "long": "v" * 257,
        "naïve": "Grüße 1",
    }
    assert set(acceptable(tags)) == {"ok", "naïve"}
    assert len(acceptable({f"k{n}": "v" for n in range(60)})) == 50


def test_snapshot_has_the_address_as_soon_as_the_attachment_has() -> None:
    found = snapshot(TASK | {"createdAt": datetime.fromtimestamp(1_700_000_000.25, UTC)})
    assert (found.arn, found.version, found.last_status) == ("arn:t", 3, "PENDING")
    assert found.address == "10.0.0.7"
    assert found.launch == "token-1"
    assert found.created_ns == 1_700_000_000_250_000_000
    assert found.container("sockerless-init") == ContainerSnapshot(
        name="sockerless-init", last_status="STOPPED", exit_code=0
    )
    main = found.container("main")
    assert main is not None
    assert main.exit_code is None
    assert snapshot({"taskArn": "arn:t"}).address is None


async def test_run_task_returns_the_task(ecs: Ecs, aws: ScriptedAws) -> None:
    aws.answer("RunTask", Ok({"tasks": [TASK], "failures": []}))
    task = await ecs.run_task(REQUEST)
    assert (task.arn, task.address) == ("arn:t", "10.0.0.7")
    assert aws.params("RunTask") == [run_params(REQUEST)]


async def test_launch_whose_answer_was_lost_is_repeated_with_the_same_token(
    ecs: Ecs, aws: ScriptedAws
) -> None:
    aws.answer("RunTask", Drop(), Ok({"tasks": [TASK]}))
    assert (await ecs.run_task(REQUEST)).arn == "arn:t"
    first, second = aws.params("RunTask")
    assert first == second == run_params(REQUEST)


async def test_launch_that_is_cancelled_in_flight_still_reaches_the_store(ecs: Ecs, aws: ScriptedAws) -> None:
    """The idiom: store the ARN in the very next step, under a shield."""
    held = Hold(Ok({"tasks": [TASK]}))
    aws.answer("RunTask", held)
    stored: list[str] = []

    async def launch() -> None:
        task = await ecs.run_task(REQUEST)
        with trio.CancelScope(shield=True):
            await trio.lowlevel.checkpoint()
            stored.append(task.arn)
        await trio.lowlevel.checkpoint()
        stored.append("never")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(launch)
        await aws.arrived("RunTask")
        nursery.cancel_scope.cancel()
        held.released.set()
    assert stored == ["arn:t"]


async def test_launch_without_capacity_is_unavailable_and_says_what_to_try(
    ecs: Ecs, aws: ScriptedAws
) -> None:
    aws.answer("RunTask", Ok({"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY", "arn": "x"}]}))
    with pytest.raises(Unavailable) as caught:
        await ecs.run_task(REQUEST)
    assert caught.value.message == (
        "ecs: RunTask: RESOURCE:MEMORY (request request-1). Fargate could not place the task: try later, "
        "add subnets in other availability zones, ask for a smaller task, or check the Fargate vCPU quota"
    )
    assert caught.value.request_ids == ("request-1",)
    assert len(aws.requests) == 1


async def test_token_of_another_request_names_the_tasks_it_made(ecs: Ecs, aws: ScriptedAws) -> None:
    aws.answer("RunTask", Fail("ConflictException", "changed", extra={"resourceIds": ["arn:old"]}))
    with pytest.raises(TokenReused, match="ecs: RunTask: ConflictException: changed") as caught:
        await ecs.run_task(REQUEST)
    assert caught.value.task_arns == ("arn:old",)
    assert caught.value.request_ids == ("request-1",)


async def test_launch_of_a_deregistered_definition_is_not_found(ecs: Ecs, aws: ScriptedAws) -> None:
    aws.answer("RunTask", Fail("InvalidParameterException", "TaskDefinition is inactive"))
    with pytest.raises(NotFound):
        await ecs.run_task(REQUEST)


async def test_launch_in_a_missing_cluster_is_misconfigured(ecs: Ecs, aws: ScriptedAws) -> None:
    aws.answer("RunTask", Fail("ClusterNotFoundException", "Cluster not found."))
    with pytest.raises(
        Misconfigured, match=r"^ecs: RunTask: ClusterNotFoundException: Cluster not found \(re"
    ):
        await ecs.run_task(REQUEST)


async def test_tasks_are_described_a_hundred_at_a_time_and_missing_ones_are_absent(
    ecs: Ecs, aws: ScriptedAws
) -> None:
    missing = {"arn": "arn:gone", "reason": "MISSING"}
    aws.answer("DescribeTasks", Ok({"tasks": [TASK], "failures": [missing]}), Ok({"tasks": []}))
    found = await ecs.describe_tasks([f"arn:{number}" for number in range(150)])
    assert list(found) == ["arn:t"]
    assert [len(params["tasks"]) for params in aws.params("DescribeTasks")] == [100, 50]
    assert await ecs.describe_tasks([]) == {}
    assert len(aws.requests) == 2


async def test_tasks_are_listed_page_by_page_with_started_by_as_the_only_filter(
    ecs: Ecs, aws: ScriptedAws
) -> None:
    aws.answer("ListTasks", Ok({"taskArns": ["a"], "nextToken": "n"}), Ok({"taskArns": ["b"]}))
    assert await ecs.list_tasks("instance-1", stopped=True) == ["a", "b"]
    filters = {"cluster": "c", "startedBy": "instance-1", "desiredStatus": "STOPPED"}
    assert aws.params("ListTasks") == [filters, filters | {"nextToken": "n"}]


async def test_stopping_a_task_that_is_gone_is_fine(ecs: Ecs, aws: ScriptedAws) -> None:
    aws.answer("StopTask", Fail("InvalidParameterException", "The referenced task was not found."))
    await ecs.stop_task("arn:t", "x" * 5000)
    assert len(aws.params("StopTask")[0]["reason"]) == 1024


async def test_stopping_a_task_of_a_missing_cluster_is_not(ecs: Ecs, aws: ScriptedAws) -> None:
    aws.answer("StopTask", Fail("ClusterNotFoundException", "Cluster not found."))
    with pytest.raises(Misconfigured):
        await ecs.stop_task("arn:t", "because")
