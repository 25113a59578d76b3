"""AWS refuses, throttles, loses answers; agents are silent; clients leave: all is told, nothing leaks."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
import trio
import trio.testing

from tests.e2e.world import Api, Cloud, Daemon, eventually


@pytest.fixture(autouse=True)
def _clean(cloud: Cloud) -> Any:
    yield
    cloud.no_faults()


async def _start_fails(api: Api, container: str) -> tuple[int, str]:
    answer = await api.http.post(f"/containers/{container}/start")
    return answer.status_code, answer.json()["message"]


def _all_stopped(cloud: Cloud, daemon: Daemon) -> bool:
    return all(task["lastStatus"] == "STOPPED" for task in cloud.tasks(daemon.instance))


async def test_no_capacity_is_told_and_start_can_be_tried_again(api: Api, cloud: Cloud) -> None:
    container = await api.create("true")
    cloud.fault(operation="RunTask", kind="failures", count=1)
    status, message = await _start_fails(api, container)
    assert status == 503
    assert "RESOURCE:" in message
    assert "Fargate could not place the task" in message
    state = (await api.inspect(container))["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 128)
    assert "RESOURCE:" in state["Error"]
    await api.start(container)
    assert await api.wait(container) == 0
    await api.remove(container)


async def test_access_denied_names_the_operation_and_the_request(api: Api, cloud: Cloud) -> None:
    container = await api.create("true")
    cloud.fault(operation="RunTask", kind="error", code="AccessDeniedException", message="not you", count=1)
    status, message = await _start_fails(api, container)
    assert status == 500
    assert message.startswith("ecs: RunTask: AccessDeniedException: not you")
    assert "(request " in message
    await api.remove(container)


async def test_throttling_on_every_call_is_waited_out(api: Api, cloud: Cloud) -> None:
    for operation in ("RunTask", "DescribeTasks", "StopTask"):
        cloud.fault(operation=operation, kind="throttle", count=2)
    container = await api.run("sh", "-c", "exit 4")
    assert await api.wait(container) == 4
    await api.remove(container)


async def test_lost_answer_of_run_task_makes_one_task(api: Api, cloud: Cloud, daemon: Daemon) -> None:
    """The effect happened, the answer did not come: the same token finds the same task."""
    before = len(cloud.tasks(daemon.instance))
    cloud.fault(operation="RunTask", kind="lost_answer", count=1)
    container = await api.run("sh", "-c", "echo ran; exit 2")
    assert await api.wait(container) == 2
    assert (await api.logs(container))[0] == b"ran\n"
    assert len(cloud.tasks(daemon.instance)) == before + 1
    await api.remove(container)


async def test_client_that_leaves_during_start_leaks_no_task(api: Api, cloud: Cloud, daemon: Daemon) -> None:
    """The launch belongs to the daemon: it settles whether or not anyone still waits."""
    container = await api.create("sleep", "100")
    cloud.fault(operation="RunTask", kind="latency", seconds=0.5, count=1)
    with trio.move_on_after(0.1):
        await api.start(container)

    async def runs() -> bool:
        return bool((await api.inspect(container))["State"]["Running"])

    await eventually(runs)
    await api.remove(container, force=1)
    await eventually(lambda: _all_stopped(cloud, daemon))


async def test_removal_while_it_starts_leaks_no_task(api: Api, cloud: Cloud, daemon: Daemon) -> None:
    container = await api.create("sleep", "100")
    cloud.fault(operation="RunTask", kind="latency", seconds=0.5, count=1)
    answers: list[int] = []
    async with trio.open_nursery() as nursery:

        async def start() -> None:
            answers.append((await api.http.post(f"/containers/{container}/start")).status_code)

        nursery.start_soon(start)
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert (await api.http.delete(f"/containers/{container}")).status_code == 409
        await api.remove(container, force=1)
    assert answers == [503]
    await eventually(lambda: _all_stopped(cloud, daemon))


async def test_stop_task_that_fails_is_tried_until_done(api: Api, cloud: Cloud, daemon: Daemon) -> None:
    """The answer to a removal does not wait for AWS; the clean-up job does not give up."""
    container = await api.run("sleep", "100")
    cloud.fault(operation="StopTask", kind="error", code="ServerException", message="not now", count=2)
    await api.remove(container, force=1)
    await eventually(lambda: _all_stopped(cloud, daemon))


@pytest.mark.mode("rootless")
async def test_silent_agent_says_what_to_check(new_daemon: Any, cloud: Cloud) -> None:
    """A security group that does not admit the agent's port: the message says so, and the task is stopped."""
    ec2 = boto3.client(
        "ec2",
        endpoint_url=cloud.info.endpoint_url,
        region_name=cloud.info.region,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    vpc = ec2.describe_subnets(SubnetIds=[cloud.info.subnets[0]])["Subnets"][0]["VpcId"]
    closed = ec2.create_security_group(GroupName="closed", Description="admits nobody", VpcId=vpc)["GroupId"]
    daemon: Daemon = new_daemon(ecs={"security_groups": [closed]}, agent={"reach_timeout_seconds": 2})
    daemon.start()
    api = Api(daemon.socket)
    container = await api.create("true")
    status, message = await _start_fails(api, container)
    assert status == 503, message
    assert f"({closed}) admits TCP port 9111 from this daemon" in message
    assert (await api.inspect(container))["State"]["Status"] == "created"
    await eventually(lambda: _all_stopped(cloud, daemon))
    assert daemon.stop() == 0
    ec2.delete_security_group(GroupId=closed)


async def test_task_that_vanishes_is_137_with_its_reason(api: Api, cloud: Cloud) -> None:
    """Somebody stops the task behind the daemon's back."""
    container = await api.run("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    ecs = boto3.client(
        "ecs",
        endpoint_url=cloud.info.endpoint_url,
        region_name=cloud.info.region,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    arn = next(
        task["taskArn"]
        for task in cloud.tasks()
        if {"key": "sockerless.container", "value": container} in task["tags"]
    )
    ecs.stop_task(cluster=cloud.info.cluster, task=arn, reason="behind your back")
    with trio.fail_after(30):
        await api.call("POST", f"/containers/{container}/kill")
        assert await api.wait(container) == 137
    await api.remove(container)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"Image": "host", "Cmd": 7}, 400, "Cmd"),
        ({"Image": "host", "Cmd": ["true"], "HostConfig": {"Privileged": True}}, 400, "Privileged"),
        ({"Image": "host", "Cmd": ["true"], "HostConfig": {"Binds": ["/a:/b"]}}, 501, "Binds"),
        ({"Image": "host", "Cmd": ["true"], "HostConfig": {"Memory": 1 << 50}}, 400, "largest Fargate task"),
        ({"Image": "host", "Cmd": ["true"], "StopSignal": "NOSE"}, 400, "Invalid signal"),
        ({"Image": "UPPER/x", "Cmd": ["true"]}, 404, "No such image"),
    ],
)
async def test_create_refuses_what_it_cannot_honour(
    api: Api, body: dict[str, Any], status: int, words: str
) -> None:
    """By name, and nothing is left half-registered."""
    answer = await api.http.post("/containers", params={"name": "refused"}, json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["message"]
    container = await api.create("true", name="refused")
    await api.remove(container)


async def test_negative_timeout_waits_for_ever_and_nonsense_is_refused(api: Api) -> None:
    container = await api.run("sleep", "100")
    answer = await api.http.post(f"/containers/{container}/stop", params={"t": "soon"})
    assert answer.status_code == 400
    await api.call("POST", f"/containers/{container}/stop", t=-1)
    assert (await api.inspect(container))["State"]["ExitCode"] == 143
    await api.remove(container)
