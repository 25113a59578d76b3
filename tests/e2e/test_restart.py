"""Restart policies on real processes: in place, in milliseconds, and across the daemon's death."""

from __future__ import annotations

import json
import time
from typing import Any

import boto3
import trio

from tests.e2e.world import Api, Cloud, Daemon, eventually


def _policy(name: str, count: int = 0) -> dict[str, Any]:
    return {"RestartPolicy": {"Name": name, "MaximumRetryCount": count}}


async def _state(api: Api, container: str) -> dict[str, Any]:
    state: dict[str, Any] = (await api.inspect(container))["State"]
    return state


async def test_failing_container_is_restarted_as_often_as_it_may(api: Api, cloud: Cloud) -> None:
    """Every run's output is there, its file system is kept, and all was one task."""
    script = "echo x >> /tmp/count; wc -l < /tmp/count; exit 3"
    before = len(cloud.tasks())
    container = await api.run("sh", "-c", script, HostConfig=_policy("on-failure", 3))

    async def done() -> bool:
        return bool((await _state(api, container))["Status"] == "exited")

    await eventually(done)
    shown = await api.inspect(container)
    assert (shown["RestartCount"], shown["State"]["ExitCode"]) == (3, 3)
    assert [line.strip() for line in (await api.logs(container))[0].split()] == [b"1", b"2", b"3", b"4"]
    assert len(cloud.tasks()) == before + 1
    await api.remove(container)


async def test_container_that_waits_to_be_restarted_is_shown_so_and_can_be_stopped(api: Api) -> None:
    container = await api.run("sh", "-c", "exit 4", HostConfig=_policy("always"))

    async def waits() -> bool:
        return bool((await api.inspect(container))["RestartCount"] >= 4)

    await eventually(waits)
    state = await _state(api, container)
    if state["Status"] == "restarting":
        assert (state["Running"], state["Restarting"], state["ExitCode"]) == (True, True, 4)
    listed = await api.call("GET", "/containers", filters=json.dumps({"id": [container]}))
    assert listed[0]["Status"].startswith(("Restarting (4)", "Up"))
    await api.call("POST", f"/containers/{container}/stop", t=1)
    await trio.sleep(1)
    assert (await _state(api, container))["Status"] == "exited"
    await api.remove(container)


async def test_restart_by_the_policy_takes_milliseconds(api: Api) -> None:
    """The first pause is 100 ms; what comes on top is ours."""
    container = await api.run("sh", "-c", "date +%s%N; sleep 0.3", HostConfig=_policy("always"))

    async def twice() -> list[bytes]:
        lines = (await api.logs(container))[0].split()
        return lines if len(lines) > 1 else []

    lines = await eventually(twice)
    assert int(lines[1]) - int(lines[0]) < 1_500_000_000
    await api.remove(container, force=True)


async def test_lost_task_is_followed_by_a_new_one(api: Api, cloud: Cloud) -> None:
    container = await api.run("sleep", "100", HostConfig=_policy("unless-stopped"))
    address = (await api.inspect(container))["AgentAddress"]
    await _lose_task(cloud, container)

    async def elsewhere() -> bool:
        shown = await api.inspect(container)
        return bool(shown["State"]["Status"] == "running" and shown["RestartCount"] == 1)

    await eventually(elsewhere)
    assert (await api.inspect(container))["AgentAddress"] != address
    await api.remove(container, force=True)


async def _lose_task(cloud: Cloud, container: str) -> None:
    """Somebody stops it behind the daemon's back."""
    ecs = boto3.client(
        "ecs",
        endpoint_url=cloud.info.endpoint_url,
        region_name=cloud.info.region,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    mark = {"key": "sockerless.container", "value": container}
    arn = next(task["taskArn"] for task in cloud.tasks() if mark in task["tags"])
    await trio.to_thread.run_sync(
        lambda: ecs.stop_task(cluster=cloud.info.cluster, task=arn, reason="behind your back")
    )


async def test_daemon_that_died_in_the_pause_is_followed_by_one_that_restarts(new_daemon: Any) -> None:
    daemon: Daemon = new_daemon()
    daemon.start()
    api = Api(daemon.socket)
    container = await api.run("sh", "-c", "echo ran; exit 1", HostConfig=_policy("always"))

    async def waits() -> bool:
        shown = await api.inspect(container)
        return bool(shown["RestartCount"] >= 5 and shown["State"]["Status"] == "restarting")

    await eventually(waits)
    daemon.kill()
    daemon.start()
    api = Api(daemon.socket)
    count = (await api.inspect(container))["RestartCount"]
    began = time.monotonic()

    async def more() -> bool:
        return bool((await api.inspect(container))["RestartCount"] > count)

    await eventually(more)
    assert time.monotonic() - began < 10
    await api.call("POST", f"/containers/{container}/stop")
    daemon.kill()
    daemon.start()
    api = Api(daemon.socket)

    async def up() -> bool:
        return bool((await api.inspect(container))["State"]["Running"])

    await eventually(up)  # `always`: a daemon that begins starts it whatever was asked before
    await api.remove(container, force=True)
    assert daemon.stop() == 0


async def test_removed_while_it_waits_to_be_restarted(api: Api) -> None:
    container = await api.run("sh", "-c", "exit 1", HostConfig=_policy("always"))

    async def waits() -> bool:
        return bool((await api.inspect(container))["RestartCount"] >= 4)

    await eventually(waits)
    refused = await api.http.delete(f"/containers/{container}")
    assert refused.status_code == 409
    await api.remove(container, force=True)
    assert (await api.http.get(f"/containers/{container}")).status_code == 404
