"""`sockerless.agent=off`: plain ECS in the sandbox."""

from __future__ import annotations

from typing import Any

from tests.e2e.world import Api, Cloud

_OFF: dict[str, Any] = {"Labels": {"sockerless.agent": "off"}}


async def test_container_without_an_agent_runs_to_its_end(api: Api) -> None:
    """Its command, variables and working directory are ECS's business; so is its exit code."""
    script = 'echo "$X in $PWD as $$"; exit 7'
    container = await api.run("sh", "-c", script, Env=["X=y"], WorkingDir="/tmp", **_OFF)
    assert await api.wait(container) == 7
    out, err = await api.logs(container)
    assert out.startswith(b"y in /tmp as ")
    assert err == b""
    assert "AgentAddress" not in await api.inspect(container)
    await api.remove(container)


async def test_container_without_an_agent_is_stopped_by_ecs(api: Api, cloud: Cloud) -> None:
    script = "trap 'exit 5' TERM; while :; do sleep 0.05; done"
    container = await api.run("sh", "-c", script, **_OFF)
    refused = await api.http.post(f"/containers/{container}/pause")
    assert (refused.status_code, "sockerless.agent=off" in refused.text) == (501, True)
    await api.call("POST", f"/containers/{container}/stop", t=10)
    assert (await api.inspect(container))["State"]["ExitCode"] == 5
    mark = {"key": "sockerless.container", "value": container}
    [task] = [task for task in cloud.tasks() if mark in task["tags"]] or [{"containers": [{"name": "main"}]}]
    assert [one["name"] for one in task["containers"]] == ["main"]
    await api.remove(container)
