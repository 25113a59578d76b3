"""The life of a task: what ECS says of it, and that its processes are real."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.sandbox.aws.account import FOREVER, Account, eventually, refused


def test_exit_code_and_output_are_those_of_a_real_process(aws: Account) -> None:
    arn = aws.start("echo to-out; echo to-err >&2; exit 7")
    task = aws.until(arn, "STOPPED")
    main = task["containers"][0]
    assert (main["exitCode"], main["lastStatus"]) == (7, "STOPPED")
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["stoppedReason"] == "Essential container in task exited"
    assert eventually(lambda: len(aws.lines(arn)) == 2 and sorted(aws.lines(arn))) == ["to-err", "to-out"]


@pytest.mark.mode("rootless")
def test_init_container_runs_first_and_shares_its_volume(aws: Account) -> None:
    """The way in which the daemon's tasks get their agent."""
    mount = {"sourceVolume": "sockerless", "containerPath": "/.sockerless"}
    init = aws.container(
        "echo '#!/bin/sh\necho installed; env' > /.sockerless/agent; chmod 755 /.sockerless/agent",
        name="sockerless-init",
        essential=False,
        mountPoints=[mount],
    )
    main = aws.container(
        entryPoint=["/.sockerless/agent"],
        command=[],
        user="0",
        mountPoints=[mount],
        dependsOn=[{"containerName": "sockerless-init", "condition": "SUCCESS"}],
        stopTimeout=120,
        environment=[{"name": "FROM_DEFINITION", "value": "1"}, {"name": "BOTH", "value": "definition"}],
    )
    definition = aws.register(init, main, volumes=[{"name": "sockerless"}])
    override = {"name": "main", "environment": [{"name": "BOTH", "value": "override"}]}
    arn = aws.run(
        definition,
        overrides={"cpu": "512", "memory": "1024", "containerOverrides": [override]},
        startedBy="me",
    )
    task = aws.until(arn, "STOPPED")
    assert [(item["name"], item["exitCode"]) for item in task["containers"]] == [
        ("sockerless-init", 0),
        ("main", 0),
    ]
    assert (task["cpu"], task["memory"], task["startedBy"]) == ("512", "1024", "me")
    wanted = {"installed", "FROM_DEFINITION=1", "BOTH=override", "AWS_EXECUTION_ENV=AWS_ECS_FARGATE"}
    eventually(lambda: wanted <= set(aws.lines(arn)))
    lines = aws.lines(arn)
    assert any(line.startswith("ECS_CONTAINER_METADATA_URI_V4=http://") for line in lines)


def test_statuses_come_in_order_and_each_is_a_new_version(paced: Account) -> None:
    arn = paced.start(FOREVER)
    seen: list[tuple[int, str]] = []

    def look() -> dict[str, Any] | None:
        task = paced.task(arn)
        if not seen or seen[-1][0] != task["version"]:
            seen.append((task["version"], task["lastStatus"]))
        return task if task["lastStatus"] in ("RUNNING", "STOPPED") else None

    eventually(look)
    paced.ecs.stop_task(cluster=paced.info.cluster, task=arn, reason="enough")
    stopped = eventually(lambda: task if (task := look()) and task["lastStatus"] == "STOPPED" else None)
    statuses = list(dict.fromkeys(status for _, status in seen))
    assert statuses[:3] == ["PROVISIONING", "PENDING", "RUNNING"]
    assert statuses[-1] == "STOPPED"
    assert set(statuses[3:-1]) <= {"DEACTIVATING", "STOPPING", "DEPROVISIONING"}
    assert [version for version, _ in seen] == sorted({version for version, _ in seen})
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "enough")
    assert stopped["containers"][0]["exitCode"] == 143


def test_address_appears_late_but_before_running(paced: Account) -> None:
    arn = paced.start(FOREVER)

    def address(task: dict[str, Any]) -> str:
        details = {item["name"]: item["value"] for item in task["attachments"][0]["details"]}
        assert "subnetId" in details
        return str(details.get("privateIPv4Address", ""))

    first = paced.until(arn, "PROVISIONING")
    assert not address(first)
    placed = eventually(lambda: task if address(task := paced.task(arn)) else None)
    assert placed["lastStatus"] == "PENDING"
    assert {item["name"] for item in placed["attachments"][0]["details"]} >= {
        "networkInterfaceId",
        "macAddress",
    }
    paced.stop(arn)


def test_process_does_not_wait_for_the_reported_running(paced: Account) -> None:
    arn = paced.start("exit 3")
    task = paced.until(arn, "STOPPING")
    assert "connectivityAt" not in task
    assert task["containers"][0]["exitCode"] == 3
    assert task["lastStatus"] != "STOPPED"


def test_image_that_cannot_be_pulled_stops_the_task_with_the_reason(aws: Account) -> None:
    task = aws.until(
        aws.run(aws.register(aws.container(image="docker.io/library/no-such-image:1"))), "STOPPED"
    )
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotPullContainerError:")
    assert "no-such-image:1: not found" in task["stoppedReason"]
    assert task["containers"][0]["reason"] == task["stoppedReason"]
    assert "exitCode" not in task["containers"][0]


ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:none-abcdef"
DENIED = "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref"
NO_LOGIN = "ResourceInitializationError: unable to pull secrets or registry auth: "


@pytest.mark.parametrize(
    ("login", "reason"),
    [
        (None, DENIED),
        ({"username": "user", "password": "wrong"}, DENIED),
        ({"username": "user"}, NO_LOGIN),
        ("no JSON", NO_LOGIN),
    ],
)
def test_private_image_needs_a_secret_with_its_login(aws: Account, login: object, reason: str) -> None:
    secrets = aws.client("secretsmanager")
    image = aws.container(image="private/tool:1")
    if login:
        value = login if isinstance(login, str) else json.dumps(login)
        arn = secrets.create_secret(Name="tried", SecretString=value)["ARN"]
        image["repositoryCredentials"] = {"credentialsParameter": arn}
    task = aws.until(aws.run(aws.register(image)), "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith(reason)
    assert task["containers"][0]["reason"] == task["stoppedReason"]
    if reason == DENIED:
        assert "pull access denied, repository does not exist or may require auth" in task["stoppedReason"]
    if login:
        secrets.delete_secret(SecretId="tried", ForceDeleteWithoutRecovery=True)


def test_private_image_is_pulled_with_the_login_of_its_secret(aws: Account) -> None:
    """By ARN or name; what it was before it was deleted and made again is another secret."""
    secrets = aws.client("secretsmanager")
    value = json.dumps({"username": "user", "password": "secret"})
    arn = secrets.create_secret(Name="good/login", SecretString=value)["ARN"]

    def reason(secret: str) -> str:
        credentials = {"credentialsParameter": secret}
        image = aws.container(image="docker.io/private/tool:1", repositoryCredentials=credentials)
        return str(aws.until(aws.run(aws.register(image)), "STOPPED")["stoppedReason"])

    for secret in (arn, "good/login"):
        assert reason(secret).endswith("docker.io/private/tool:1: not found")
    secrets.delete_secret(SecretId=arn, ForceDeleteWithoutRecovery=True)
    secrets.create_secret(Name="good/login", SecretString=value)
    for secret in (arn, ARN):
        assert "ResourceNotFoundException: Secrets Manager can't find the specified secret" in reason(secret)


def test_missing_command_is_a_task_that_failed_to_start(aws: Account) -> None:
    task = aws.until(aws.run(aws.register(aws.container(entryPoint=["/no/such/program"]))), "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["stoppedReason"].startswith("CannotStartContainerError")
    assert task["containers"][0]["exitCode"] == 127


def test_failed_dependency_keeps_the_main_container_from_starting(aws: Account) -> None:
    init = aws.container("exit 4", name="init", essential=False)
    main = aws.container(dependsOn=[{"containerName": "init", "condition": "SUCCESS"}])
    task = aws.until(aws.run(aws.register(init, main)), "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert task["containers"][0]["exitCode"] == 4
    assert "exitCode" not in task["containers"][1]
    assert "[init]" in task["containers"][1]["reason"]


def test_missing_log_group_is_said_before_anything_runs(aws: Account) -> None:
    logging = aws.logging
    logging["options"] |= {"awslogs-group": "/nowhere"}
    task = aws.until(aws.run(aws.register(aws.container(logConfiguration=logging))), "STOPPED")
    assert task["stopCode"] == "TaskFailedToStart"
    assert "log group does not exist" in task["stoppedReason"]


def test_stop_before_the_task_has_a_place_starts_nothing(paced: Account) -> None:
    arn = paced.start(FOREVER)
    stopped = paced.stop(arn)
    assert stopped["stopCode"] == "UserInitiated"
    assert "exitCode" not in stopped["containers"][0]
    assert arn not in paced.cloud.state()["live_tasks"]


def test_stop_is_repeatable_and_keeps_the_first_reason(aws: Account) -> None:
    arn = aws.start(FOREVER)
    aws.until(arn, "RUNNING")
    aws.ecs.stop_task(cluster=aws.info.cluster, task=arn, reason="first")
    aws.ecs.stop_task(cluster=aws.info.cluster, task=arn, reason="second")
    assert aws.until(arn, "STOPPED")["stoppedReason"] == "first"
    with refused("InvalidParameterException", "The referenced task was not found."):
        aws.ecs.stop_task(cluster=aws.info.cluster, task="0" * 32)


def test_stopped_task_loses_its_tags_and_is_forgotten_in_time(paced: Account) -> None:
    definition = paced.register(paced.container(FOREVER))
    arn = paced.run(definition, tags=[{"key": "owner", "value": "x y"}])

    def described() -> dict[str, Any]:
        answer: dict[str, Any] = paced.ecs.describe_tasks(
            cluster=paced.info.cluster, tasks=[arn], include=["TAGS"]
        )
        return answer

    assert described()["tasks"][0]["tags"] == [{"key": "owner", "value": "x y"}]
    paced.ecs.tag_resource(resourceArn=arn, tags=[{"key": "more", "value": ""}])
    assert len(paced.ecs.list_tags_for_resource(resourceArn=arn)["tags"]) == 2
    paced.stop(arn)
    assert described()["tasks"][0]["tags"] == []
    with refused("InvalidParameterException", "stopped"):
        paced.ecs.tag_resource(resourceArn=arn, tags=[{"key": "more", "value": ""}])
    eventually(lambda: arn not in {task["taskArn"] for task in paced.cloud.state()["tasks"]})
    assert described()["failures"] == [{"arn": arn, "reason": "MISSING"}]


def test_spot_interruption_ends_a_task_with_its_own_stop_code(aws: Account) -> None:
    arn = aws.start(FOREVER)
    aws.until(arn, "RUNNING")
    httpx.post(f"{aws.info.endpoint_url}/_sandbox/interrupt", json={"task": arn}).raise_for_status()
    assert aws.until(arn, "STOPPED")["stopCode"] == "SpotInterruption"


def test_metadata_endpoint_knows_the_task(aws: Account) -> None:
    arn = aws.start(FOREVER)
    runtime_id = aws.until(arn, "RUNNING")["containers"][0]["runtimeId"]
    task = aws.http.get(f"/v4/{runtime_id}/task").json()
    assert (task["TaskARN"], task["Family"], task["LaunchType"]) == (arn, "test", "FARGATE")
    container = aws.http.get(f"/v4/{runtime_id}").json()
    assert container["Name"] == "main"
    assert container["Labels"]["com.amazonaws.ecs.task-arn"] == arn
    assert aws.http.get(f"/v4/{'0' * 32}-1").status_code == 404
    aws.stop(arn)
