"""The daemon is killed between any two steps of a start: no task is lost and none is doubled."""

from __future__ import annotations

import contextlib
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from tests.e2e.world import Api, Cloud, Daemon, eventually

_STEPS = [
    *(("commit", number, when) for number in range(1, 10) for when in ("before", "after")),
    ("run_task", 1, "before"),
    ("run_task", 1, "after"),
]
_SCRIPT = ("sh", "-c", "echo ran; exit 7")


async def _life(api: Api) -> int:
    """Create, start and wait, to the end or to the daemon's."""
    await api.create(*_SCRIPT, name="victim", Labels={"sockerless.linger": "1"})
    await api.start("victim")
    return await api.wait("victim")


async def _taken_up(api: Api) -> int:
    """The same after a restart, as a client that tries again would: what was begun goes on without it."""
    if (await api.http.get("/containers/victim")).status_code == 404:
        return await _life(api)
    with trio.move_on_after(2):  # a start that goes on is shown as `created` until the process runs
        await eventually(lambda: _has_begun(api))
    if not await _has_begun(api):
        await api.start("victim")
    return await api.wait("victim")


async def _has_begun(api: Api) -> bool:
    return bool((await api.inspect("victim"))["State"]["Status"] != "created")


@pytest.mark.parametrize(("step", "number", "when"), _STEPS)
async def test_start_survives_death_at(
    new_daemon: Any, cloud: Cloud, step: str, number: int, when: str
) -> None:
    """Whatever the moment: after the restart the process has run exactly once, in exactly one task."""
    daemon: Daemon = new_daemon()
    daemon.start("-m", "tests.e2e.dying", step, str(number), when)
    with trio.move_on_after(20):
        with contextlib.suppress(httpx.TransportError, AssertionError):
            await _life(Api(daemon.socket))
    assert daemon.wait() == -9, "the daemon never came to that step"
    daemon.start()
    api = Api(daemon.socket)
    with trio.fail_after(60):
        assert await _taken_up(api) == 7
    assert (await api.logs("victim"))[0] == b"ran\n"
    instance = daemon.instance
    assert len(cloud.tasks(instance)) == 1
    await api.remove("victim")
    await eventually(lambda: all(task["lastStatus"] == "STOPPED" for task in cloud.tasks(instance)))
    assert daemon.stop() == 0


async def test_running_container_is_taken_up_again(new_daemon: Any) -> None:
    """SIGKILL while it runs and writes: the exit code and every line are there afterwards."""
    daemon: Daemon = new_daemon()
    daemon.start()
    api = Api(daemon.socket)
    script = "trap 'exit 3' TERM; i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"
    container = await api.run("sh", "-c", script)
    daemon.kill()
    daemon.start()
    api = Api(daemon.socket)
    assert (await api.inspect(container))["State"]["Running"]
    await api.call("POST", f"/containers/{container}/kill", signal="TERM")
    assert await api.wait(container) == 3
    lines = (await api.logs(container))[0].decode().splitlines()
    assert lines == [str(number) for number in range(len(lines))]
    assert lines
    await api.remove(container)
    assert daemon.stop() == 0


async def test_exit_while_the_daemon_was_away_is_not_lost(new_daemon: Any) -> None:
    """The agent keeps the task until its exit is acknowledged."""
    daemon: Daemon = new_daemon()
    daemon.start()
    container = await Api(daemon.socket).run("sh", "-c", "sleep 0.5; echo late; exit 6")
    daemon.kill()
    await trio.sleep(1)  # the process ends unobserved
    daemon.start()
    api = Api(daemon.socket)
    assert await api.wait(container) == 6
    assert (await api.logs(container))[0] == b"late\n"
    await api.remove(container)
    assert daemon.stop() == 0


async def test_auto_remove_survives_the_daemon(new_daemon: Any, cloud: Cloud) -> None:
    daemon: Daemon = new_daemon()
    daemon.start()
    container = await Api(daemon.socket).run("sh", "-c", "sleep 0.5; exit 1", HostConfig={"AutoRemove": True})
    daemon.kill()
    await trio.sleep(1)
    daemon.start()
    api = Api(daemon.socket)

    async def gone() -> bool:
        return (await api.http.get(f"/containers/{container}")).status_code == 404

    await eventually(gone)
    instance = daemon.instance
    await eventually(lambda: all(task["lastStatus"] == "STOPPED" for task in cloud.tasks(instance)))
    assert daemon.stop() == 0


async def test_lost_database_does_not_orphan_tasks(new_daemon: Any, cloud: Cloud) -> None:
    """The identity outlives the database: what nobody knows any more is stopped."""
    daemon: Daemon = new_daemon()
    daemon.start()
    await Api(daemon.socket).run("sleep", "100")
    daemon.kill()
    for name in ("state.db", "state.db-wal", "state.db-shm"):
        (daemon.folder / name).unlink(missing_ok=True)
    daemon.start()
    instance = daemon.instance
    await eventually(lambda: all(task["lastStatus"] == "STOPPED" for task in cloud.tasks(instance)))
    assert daemon.stop() == 0


async def test_second_daemon_on_the_same_state_is_refused(new_daemon: Any) -> None:
    daemon: Daemon = new_daemon()
    daemon.start()
    twin: Daemon = new_daemon(listen={"socket": str(daemon.folder / "twin.sock")})
    twin.start()
    assert twin.wait() != 0
    assert "in use by process" in twin.log.read_text()
    assert daemon.stop() == 0


async def test_drain_lets_a_launch_finish_and_keeps_containers(new_daemon: Any) -> None:
    """SIGTERM: exit 0, the socket's file is gone, the container runs on and is adopted."""
    daemon: Daemon = new_daemon()
    daemon.start()
    api = Api(daemon.socket)
    container = await api.run("sleep", "100")
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            async with api.http.stream(
                "GET", f"/containers/{container}/logs", params={"stdout": 1, "follow": 1}
            ) as answer:
                async for _ in answer.aiter_raw():
                    pass

        nursery.start_soon(follow)
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert daemon.stop() == 0
    assert not daemon.socket.exists()
    daemon.start()
    api = Api(daemon.socket)
    assert (await api.inspect(container))["State"]["Running"]
    await api.remove(container, force=1)
    assert daemon.stop() == 0
