"""Pausing real processes."""

from __future__ import annotations

import trio

from tests.e2e.world import Api

_COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"


async def test_paused_container_does_nothing_until_it_goes_on(api: Api) -> None:
    container = await api.run("sh", "-c", _COUNT)
    await api.call("POST", f"/containers/{container}/pause")
    state = (await api.inspect(container))["State"]
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    await trio.sleep(0.1)  # what was written before arrives
    before = (await api.logs(container))[0]
    await trio.sleep(0.5)
    assert (await api.logs(container))[0] == before
    again = await api.http.post(f"/containers/{container}/pause")
    assert (again.status_code, "is already paused" in again.text) == (409, True)
    await api.call("POST", f"/containers/{container}/unpause")
    await trio.sleep(0.5)
    assert len((await api.logs(container))[0]) > len(before)
    await api.remove(container, force=True)


async def test_paused_container_can_be_stopped(api: Api) -> None:
    """It goes on to meet its signal."""
    script = "trap 'exit 5' TERM; while :; do sleep 0.02; done"
    container = await api.run("sh", "-c", script)
    await trio.sleep(0.3)
    await api.call("POST", f"/containers/{container}/pause")
    await api.call("POST", f"/containers/{container}/stop", t=10)
    assert (await api.inspect(container))["State"]["ExitCode"] == 5
    await api.remove(container)


async def test_paused_container_can_be_killed(api: Api) -> None:
    container = await api.run("sleep", "100")
    await api.call("POST", f"/containers/{container}/pause")
    await api.call("POST", f"/containers/{container}/kill")
    assert (await api.inspect(container))["State"]["ExitCode"] == 137
    await api.remove(container)
