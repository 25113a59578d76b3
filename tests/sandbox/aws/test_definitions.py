"""Task definitions: revisions, and what ECS refuses to register on Fargate."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.aws.account import Account, refused


def test_revisions_count_up_and_are_never_reused(aws: Account) -> None:
    first = aws.register(family="counted")
    second = aws.register(family="counted")
    assert (first.rsplit(":", 1)[1], second.rsplit(":", 1)[1]) == ("1", "2")
    aws.ecs.deregister_task_definition(taskDefinition=second)
    newest = aws.ecs.describe_task_definition(taskDefinition="counted")["taskDefinition"]
    assert (newest["revision"], newest["status"]) == (1, "ACTIVE")
    assert aws.ecs.describe_task_definition(taskDefinition=second)["taskDefinition"]["status"] == "INACTIVE"
    assert aws.register(family="counted").endswith(":3")
    with refused("ClientException", "inactive"):
        aws.run(second)
    arns = aws.ecs.list_task_definitions(familyPrefix="counted")["taskDefinitionArns"]
    assert [arn.rsplit(":", 1)[1] for arn in arns] == ["1", "3"]
    assert aws.ecs.list_task_definition_families(familyPrefix="coun")["families"] == ["counted"]


def test_unknown_definition_is_a_client_exception(aws: Account) -> None:
    with refused("ClientException", "Unable to describe task definition."):
        aws.ecs.describe_task_definition(taskDefinition="nope")


def test_definition_keeps_what_it_was_given_and_gets_ecs_defaults(aws: Account) -> None:
    arn = aws.register(tags=[{"key": "a", "value": "b"}], runtimePlatform={"cpuArchitecture": "ARM64"})
    answer = aws.ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    shown = answer["taskDefinition"]
    assert answer["tags"] == [{"key": "a", "value": "b"}]
    assert shown["runtimePlatform"] == {"cpuArchitecture": "ARM64"}
    assert shown["compatibilities"] == ["EC2", "FARGATE"]
    assert shown["containerDefinitions"][0]["essential"] is True
    assert "tags" not in aws.ecs.describe_task_definition(taskDefinition=arn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"family": "not/valid"}, "Family"),
        ({"networkMode": "bridge"}, "awsvpc"),
        ({"cpu": None}, "'cpu'"),
        ({"cpu": "256", "memory": "4096"}, "No Fargate configuration"),
        ({"cpu": "1 vCPU", "memory": "1 GB"}, "No Fargate configuration"),
        ({"executionRoleArn": None}, "execution role"),
        ({"executionRoleArn": "arn:aws:iam::1:role"}, "Role is not valid"),
        ({"containerDefinitions": []}, "empty"),
        ({"ephemeralStorage": {"sizeInGiB": 201}}, "21 and 200"),
        ({"ipcMode": "task"}, "ipcMode"),
        ({"pidMode": "host"}, "pidMode"),
        ({"volumes": [{"name": "v", "host": {"sourcePath": "/x"}}]}, "sourcePath"),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, "multiple volumes"),
    ],
)
def test_definitions_that_ecs_refuses(aws: Account, change: dict[str, Any], message: str) -> None:
    request = {key: value for key, value in (aws.definition() | change).items() if value is not None}
    with refused("ClientException", message):
        aws.ecs.register_task_definition(**request)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "not valid"}, "name contains invalid"),
        ({"image": ""}, "Container.image"),
        ({"privileged": True}, "privileged"),
        ({"hostname": "x"}, "'hostname'"),
        ({"extraHosts": [{"hostname": "x", "ipAddress": "1.2.3.4"}]}, "'extraHosts'"),
        ({"dnsSearchDomains": ["x"]}, "'dnsSearchDomains'"),
        ({"stopTimeout": 121}, "stopTimeout"),
        ({"essential": False}, "essential"),
        ({"mountPoints": [{"sourceVolume": "x", "containerPath": "/x"}]}, "Unknown volume"),
        ({"ulimits": [{"name": "core", "softLimit": 1, "hardLimit": 1}]}, "nofile"),
        ({"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}}, "SYS_PTRACE"),
        ({"linuxParameters": {"sharedMemorySize": 64}}, "sharedMemorySize"),
        ({"dependsOn": [{"containerName": "x", "condition": "START"}]}, "depends on"),
        ({"healthCheck": {"command": ["CMD", "x"], "interval": 1}}, "interval"),
        ({"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "g"}}}, "awslogs-region"),
        ({"logConfiguration": {"logDriver": "json-file"}}, "log drivers"),
        ({"portMappings": [{"containerPort": 80, "hostPort": 8080}]}, "must match"),
        ({"repositoryCredentials": {"credentialsParameter": ""}}, "credentialsParameter"),
        ({"repositoryCredentials": {"credentialsParameter": "not valid"}}, "credentialsParameter"),
        ({"repositoryCredentials": {"credentialsParameter": "arn:aws:s3:::bucket"}}, "credentialsParameter"),
    ],
)
def test_containers_that_ecs_refuses(aws: Account, change: dict[str, Any], message: str) -> None:
    with refused("ClientException", message):
        aws.register(aws.container(**change))


def test_secret_of_a_registry_needs_an_execution_role_and_is_part_of_the_shape(aws: Account) -> None:
    credentials = {"credentialsParameter": "a/secret"}
    container = aws.container(repositoryCredentials=credentials)
    del container["logConfiguration"]
    request = aws.definition(container)
    arn = aws.ecs.register_task_definition(**request)["taskDefinition"]["taskDefinitionArn"]
    shown = aws.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert shown["containerDefinitions"][0]["repositoryCredentials"] == credentials
    del request["executionRoleArn"]
    with refused("ClientException", "to support repository credentials"):
        aws.ecs.register_task_definition(**request)
    with refused("InvalidParameterException", "credentialsParameter"):
        aws.register(aws.container(repositoryCredentials={}))


def test_containers_must_fit_together(aws: Account) -> None:
    with refused("ClientException", "unique"):
        aws.register(aws.container(), aws.container())
    with refused("ClientException", "10"):
        aws.register(*(aws.container(name=f"c{number}") for number in range(11)))
    with refused("ClientException", "essential"):
        waiting = aws.container(name="b", dependsOn=[{"containerName": "main", "condition": "SUCCESS"}])
        aws.register(aws.container(), waiting)
    with refused("ClientException", "Circular"):
        one = aws.container(dependsOn=[{"containerName": "b", "condition": "START"}])
        other = aws.container(name="b", dependsOn=[{"containerName": "main", "condition": "START"}])
        aws.register(one, other)


def test_definition_is_at_most_64_kib(aws: Account) -> None:
    with refused("ClientException", "65536"):
        aws.register(aws.container(environment=[{"name": "LONG", "value": "x" * 65536}]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"secrets": [{"name": "A", "valueFrom": "arn:x"}]}, "main.secrets"),
        ({"linuxParameters": {"tmpfs": [{"containerPath": "/x", "size": 1}]}}, "main.linuxParameters.tmpfs"),
        ({"healthCheck": {"command": ["CMD", "true"]}}, "main.healthCheck"),
    ],
)
def test_what_the_sandbox_cannot_do_is_said_and_not_ignored(
    aws: Account, change: dict[str, Any], words: str
) -> None:
    answer = aws.raw("ecs", "RegisterTaskDefinition", aws.definition(aws.container(**change)))
    assert answer.status_code == 501
    assert words in answer.json()["message"]


def test_unknown_member_is_refused(aws: Account) -> None:
    answer = aws.raw("ecs", "RegisterTaskDefinition", aws.definition(shape="round"))
    assert answer.status_code == 400
    assert "Unknown member 'shape'" in answer.json()["message"]
