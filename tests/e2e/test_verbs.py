"""stop, kill, restart, remove, wait, list, rename, events: what each verb does to a real process."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import trio
import trio.testing

from tests.e2e.world import Api, eventually

_TRAP = "trap 'echo got-term; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
_DEAF = "trap '' TERM; echo ready; while :; do sleep 0.05; done"


async def _ready(api: Api, container: str) -> None:
    async def said() -> bool:
        return b"ready\n" in (await api.logs(container))[0]

    await eventually(said)


async def test_stop_delivers_the_stop_signal(api: Api) -> None:
    """The process handles SIGTERM and its own exit code is kept."""
    container = await api.run("sh", "-c", _TRAP)
    await _ready(api, container)
    await api.call("POST", f"/containers/{container}/stop", t=10)
    state = (await api.inspect(container))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 5)
    assert (await api.logs(container))[0] == b"ready\ngot-term\n"
    again = await api.http.post(f"/containers/{container}/stop")
    assert (again.status_code, again.content) == (304, b"")
    await api.remove(container)


async def test_stop_kills_what_does_not_listen(api: Api) -> None:
    """After the grace time comes SIGKILL: 137."""
    container = await api.run("sh", "-c", _DEAF)
    await _ready(api, container)
    began = time.monotonic()
    await api.call("POST", f"/containers/{container}/stop", t=1)
    assert time.monotonic() - began >= 1
    assert (await api.inspect(container))["State"]["ExitCode"] == 137
    await api.remove(container)


@pytest.mark.parametrize(("signal", "code"), [("SIGKILL", 137), ("9", 137), ("TERM", 143), ("INT", 130)])
async def test_kill_sends_the_signal_it_was_given(api: Api, signal: str, code: int) -> None:
    container = await api.run("sleep", "100")
    await api.call("POST", f"/containers/{container}/kill", signal=signal)
    assert await api.wait(container) == code
    refused = await api.http.post(f"/containers/{container}/kill")
    assert refused.status_code == 409
    assert "is not running" in refused.json()["message"]
    await api.remove(container)


async def test_kill_with_an_unknown_signal_is_refused(api: Api) -> None:
    container = await api.run("sleep", "100")
    answer = await api.http.post(f"/containers/{container}/kill", params={"signal": "SIGNOSE"})
    assert (answer.status_code, answer.json()) == (400, {"message": "Invalid signal: SIGNOSE"})
    await api.remove(container, force=1)


async def test_start_of_a_running_container_changes_nothing(api: Api) -> None:
    container = await api.run("sleep", "100")
    answer = await api.http.post(f"/containers/{container}/start")
    assert (answer.status_code, answer.content) == (304, b"")
    await api.remove(container, force=1)


async def test_second_start_joins_the_first(api: Api) -> None:
    """Two clients start at once: one task, both answered."""
    container = await api.create("sh", "-c", "echo once; exec sleep 100")
    answers: list[int] = []

    async def start() -> None:
        answers.append((await api.http.post(f"/containers/{container}/start")).status_code)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(start)
        nursery.start_soon(start)
    assert sorted(answers) in ([204, 204], [204, 304])
    await eventually(lambda: _has_output(api, container, b"once\n"))
    await api.remove(container, force=1)


async def _has_output(api: Api, container: str, wanted: bytes) -> bool:
    return (await api.logs(container))[0] == wanted


@pytest.mark.mode("rootless")
async def test_restart_keeps_the_file_system(api: Api) -> None:
    """A restart within the linger time is the same task: what was written is still there."""
    container = await api.run("sh", "-c", "echo run >> /tmp/runs; wc -l < /tmp/runs; sleep 100")
    await eventually(lambda: _has_output(api, container, b"1\n"))
    address = (await api.inspect(container))["AgentAddress"]
    await api.call("POST", f"/containers/{container}/restart", t=0)
    await eventually(lambda: _has_output(api, container, b"1\n2\n"))
    assert (await api.inspect(container))["AgentAddress"] == address
    assert (await api.inspect(container))["State"]["Running"]
    await api.remove(container, force=1)


async def test_logs_span_the_runs_of_a_container(api: Api) -> None:
    container = await api.run("sh", "-c", "echo one; echo two")
    await api.wait(container)
    await api.start(container)
    await api.wait(container)
    assert (await api.logs(container))[0] == b"one\ntwo\none\ntwo\n"
    assert (await api.logs(container, tail=3))[0] == b"two\none\ntwo\n"
    await api.remove(container)


async def test_removing_a_running_container_needs_force(api: Api) -> None:
    container = await api.run("sleep", "100", name="busy")
    answer = await api.http.delete("/containers/busy")
    assert answer.status_code == 409
    assert "stop the container before removing" in answer.json()["message"].lower()
    await api.remove("busy", force=1)
    assert (await api.http.get(f"/containers/{container}")).json() == {
        "message": f"No such container: {container}"
    }


async def test_name_in_use_is_told_with_its_owner(api: Api) -> None:
    first = await api.create("true", name="owned")
    answer = await api.http.post(
        "/containers", params={"name": "owned"}, json={"Image": "host", "Cmd": ["true"]}
    )
    assert answer.status_code == 409
    assert first in answer.json()["message"]
    await api.remove("owned")
    second = await api.create("true", name="owned")
    await api.remove(second)


@pytest.mark.mode("rootless")
async def test_wait_registered_before_the_start_sees_the_next_exit(api: Api) -> None:
    """An old exit does not satisfy a new wait."""
    container = await api.run("sh", "-c", "test -e /tmp/x && exit 4; touch /tmp/x; exit 3")
    assert await api.wait(container) == 3
    codes: list[int] = []
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            codes.append(await api.wait(container, "next-exit"))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.1)
        await api.start(container)
    assert codes == [4]
    await api.remove(container)


async def test_auto_remove_keeps_its_promise(api: Api) -> None:
    """With AutoRemove the container goes by itself, after `removed` was told the true code."""
    container = await api.create("sh", "-c", "exit 9", HostConfig={"AutoRemove": True})
    codes: list[int] = []
    async with trio.open_nursery() as nursery:

        async def wait() -> None:
            codes.append(await api.wait(container, "removed"))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.1)
        await api.start(container)
    assert codes == [9]
    assert (await api.http.get(f"/containers/{container}")).status_code == 404


async def test_list_filters_and_prefixes_find_the_container(api: Api) -> None:
    container = await api.run("sleep", "100", name="findme", Labels={"team": "a"})

    async def listed(**query: Any) -> list[str]:
        return [found["Id"] for found in await api.call("GET", "/containers", **query)]

    assert container in await listed()
    for filters in ({"label": ["team=a"]}, {"name": {"findme": True}}, {"id": [container[:8]]}):
        assert await listed(filters=json.dumps(filters)) == [container]
    assert (await api.inspect(container[:6]))["Name"] == "/findme"
    unknown = await api.http.get("/containers", params={"filters": '{"colour":["red"]}'})
    assert (unknown.status_code, unknown.json()) == (400, {"message": "invalid filter 'colour'"})
    await api.remove("/findme", force=1)
    assert container not in await listed(all=1)


async def test_rename_moves_the_name(api: Api) -> None:
    container = await api.create("true", name="before")
    await api.call("POST", f"/containers/{container}/rename", name="after")
    assert (await api.inspect("after"))["Id"] == container
    assert (await api.http.get("/containers/before")).status_code == 404
    await api.remove("after")


async def test_events_tell_a_life_in_docker_s_order(api: Api) -> None:
    since = int(time.time()) - 1
    container = await api.run("sh", "-c", "exit 2", name="eventful")
    await api.wait(container)
    await api.remove(container)
    filters = json.dumps({"container": [container]})
    answer = await api.http.get(
        "/events", params={"since": since, "until": time.time() + 0.5, "filters": filters}
    )
    events = [json.loads(line) for line in answer.text.splitlines()]
    assert [event["Action"] for event in events] == ["create", "start", "die", "destroy"]
    assert events[2]["Actor"]["Attributes"]["exitCode"] == "2"
    assert events[0]["Actor"]["Attributes"]["name"] == "eventful"


@pytest.mark.mode("full")
async def test_user_may_be_a_number(api: Api) -> None:
    container = await api.run("sh", "-c", "id -u; id -g", User="65534")
    assert await api.wait(container) == 0
    assert (await api.logs(container))[0] == b"65534\n65534\n"
    await api.remove(container)


@pytest.mark.mode("rootless")
async def test_environment_and_directory_are_docker_s(api: Api) -> None:
    container = await api.run(
        "sh",
        "-c",
        "pwd; echo $GREETING $HOME; echo ${SOCKERLESS_AGENT_TOKEN:-hidden}; echo $HOSTNAME",
        WorkingDir="/made/here",
        Env=["GREETING=hello"],
        Hostname="box",
    )
    assert await api.wait(container) == 0
    lines = (await api.logs(container))[0].decode().splitlines()
    assert lines[0] == "/made/here"
    assert lines[1].startswith("hello /")
    assert lines[2:] == ["hidden", "box"]
    await api.remove(container)


async def test_unknown_user_is_named(api: Api) -> None:
    container = await api.create("true", User="ghost")
    answer = await api.http.post(f"/containers/{container}/start")
    assert answer.status_code == 500
    assert "unable to find user ghost: no matching entries in passwd file" in answer.json()["message"]
    await api.remove(container)


async def test_one_megabyte_of_environment_arrives(api: Api) -> None:
    """It travels to the agent, not in a task definition or an override."""
    value = "x" * 100_000
    env = [f"BIG{number}={value}" for number in range(10)]
    container = await api.run("sh", "-c", "echo ${#BIG9}", Env=env)
    assert await api.wait(container) == 0
    assert (await api.logs(container))[0] == b"100000\n"
    await api.remove(container)
