"""Containers as the Go frontend calls them."""

from __future__ import annotations

import json
import re
import struct

import trio

from tests.contract.conftest import SCRIPT, SLEEP
from tests.contract.frontend import Frontend

CONTAINER_KEYS = frozenset(
    [
        "Id",
        "Name",
        "Created",
        "Path",
        "Args",
        "State",
        "Image",
        "Config",
        "HostConfig",
        "NetworkSettings",
        "Mounts",
        "Platform",
        "Driver",
        "RestartCount",
        "LogPath",
        "ResolvConfPath",
        "HostnamePath",
        "HostsPath",
        "ExecIDs",
    ]
)
STATE_KEYS = frozenset(
    [
        "Status",
        "Running",
        "Paused",
        "Restarting",
        "OOMKilled",
        "Dead",
        "Pid",
        "ExitCode",
        "Error",
        "StartedAt",
        "FinishedAt",
    ]
)
SUMMARY_KEYS = frozenset(
    [
        "Id",
        "Names",
        "Image",
        "ImageID",
        "Command",
        "Created",
        "State",
        "Status",
        "Ports",
        "Labels",
        "NetworkSettings",
        "Mounts",
    ]
)
ZERO = "0001-01-01T00:00:00Z"
FRONTEND_CREATE = {
    "Hostname": "",
    "Domainname": "",
    "User": "",
    "AttachStdin": False,
    "AttachStdout": True,
    "AttachStderr": True,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Env": None,
    "WorkingDir": "",
    "Entrypoint": None,
    "HostConfig": {
        "NetworkMode": "default",
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    },
    "NetworkingConfig": {
        "EndpointsConfig": {
            "default": {
                "NetworkID": "",
                "EndpointID": "",
                "Gateway": "",
                "IPAddress": "",
                "IPPrefixLen": 0,
                "MacAddress": "",
            }
        }
    },
}
"""What the frontend makes of `docker run`: nil lists and maps as null."""


async def create(
    frontend: Frontend, image: str, name: str, argv: tuple[str, ...], labels: dict[str, str] | None = None
) -> str:
    body = {**FRONTEND_CREATE, "Image": image, "Cmd": list(argv), "Labels": labels}
    answer = await frontend.call("POST", "/containers", {"name": name}, body)
    assert answer.status == 201, answer.body
    assert answer.json["Warnings"] == []
    assert re.fullmatch(r"[0-9a-f]{64}", answer.json["Id"])
    return str(answer.json["Id"])


async def test_docker_run_waits_before_it_starts(frontend: Frontend, pulled: str) -> None:
    container_id = await create(frontend, pulled, "run", SCRIPT)
    waiting = await frontend.long("POST", f"/containers/{container_id}/wait", {"condition": "next-exit"})
    async with waiting:
        with trio.fail_after(5):
            assert (await waiting.head()).status == 200
            assert len(await waiting.chunk()) >= 8 << 10  # what makes the frontend let the head through
        assert (await frontend.call("POST", f"/containers/{container_id}/start")).status == 204
        answer = b""
        while piece := await waiting.chunk():
            answer += piece
        assert json.loads(answer) == {"StatusCode": 7}
    shown = (await frontend.call("GET", f"/containers/{container_id}")).json
    assert (shown["State"]["Status"], shown["State"]["ExitCode"]) == ("exited", 7)
    assert ZERO not in (shown["State"]["StartedAt"], shown["State"]["FinishedAt"])
    again = await frontend.call("POST", f"/containers/{container_id}/wait", {"condition": "not-running"})
    assert again.json == {"StatusCode": 7}
    logs = await frontend.call(
        "GET",
        f"/containers/{container_id}/logs",
        {"stdout": "1", "stderr": "1", "tail": "all", "follow": "0"},
    )
    assert logs.headers["content-type"] == "application/vnd.docker.multiplexed-stream"
    assert sorted(frames(logs.body)) == [(1, b"out\n"), (2, b"err\n")]
    assert (await frontend.call("DELETE", f"/containers/{container_id}")).status == 204
    assert (await frontend.call("GET", f"/containers/{container_id}")).status == 404


def frames(raw: bytes) -> list[tuple[int, bytes]]:
    found = []
    while raw:
        stream, size = struct.unpack(">BxxxL", raw[:8])
        found.append((stream, raw[8 : 8 + size]))
        raw = raw[8 + size :]
    return found


async def test_follow_goes_on_until_the_end(frontend: Frontend, pulled: str) -> None:
    container_id = await create(frontend, pulled, "follow", SCRIPT)
    await frontend.call("POST", f"/containers/{container_id}/start")
    query = {"follow": "1", "stdout": "1", "stderr": "1", "timestamps": "true"}
    follow = await frontend.long("GET", f"/containers/{container_id}/logs", query)
    async with follow:
        whole = await follow.answer()
    assert whole.status == 200
    lines = sorted(data.split(b" ", 1)[1] for _, data in frames(whole.body))
    assert lines == [b"err\n", b"out\n"]


async def test_inspect_shows_a_created_container(frontend: Frontend, pulled: str) -> None:
    container_id = await create(frontend, pulled, "shown", SLEEP, {"k": "v"})
    for ref in (container_id, container_id[:12], "shown", "/shown"):
        shown = (await frontend.call("GET", f"/containers/{ref}")).json
        assert shown["Id"] == container_id, ref
    assert shown.keys() >= CONTAINER_KEYS
    assert shown["State"].keys() >= STATE_KEYS
    assert shown["Name"] == "/shown"
    assert shown["State"]["Status"] == "created"
    assert (shown["State"]["StartedAt"], shown["State"]["FinishedAt"]) == (ZERO, ZERO)
    assert (shown["Path"], shown["Args"]) == ("sleep", ["600"])
    assert shown["Config"]["Labels"]["k"] == "v"
    assert "bridge" in shown["NetworkSettings"]["Networks"]


async def test_a_container_goes_through_its_states(frontend: Frontend, pulled: str) -> None:
    container_id = await create(frontend, pulled, "states", SLEEP)
    one = f"/containers/{container_id}"
    assert (await frontend.call("POST", f"{one}/kill")).status == 409
    assert (await frontend.call("POST", f"{one}/stop", {"t": "1"})).status == 304
    assert (await frontend.call("POST", f"{one}/start")).status == 204
    assert (await frontend.call("POST", f"{one}/start")).status == 304
    assert (await frontend.call("GET", one)).json["State"]["Status"] == "running"
    assert (await frontend.call("DELETE", one)).status == 409
    assert (await frontend.call("POST", f"{one}/restart", {"t": "1"})).status == 204
    assert (await frontend.call("POST", f"{one}/stop", {"t": "1"})).status == 204
    assert (await frontend.call("GET", one)).json["State"]["ExitCode"] in (137, 143)
    assert (await frontend.call("POST", f"{one}/start")).status == 204
    assert (await frontend.call("POST", f"{one}/kill", {"signal": "KILL"})).status == 204
    await frontend.call("POST", f"{one}/wait")
    assert (await frontend.call("GET", one)).json["State"]["ExitCode"] == 137
    assert (await frontend.call("POST", f"{one}/start")).status == 204
    assert (await frontend.call("DELETE", one, {"force": "1", "v": "1"})).status == 204


async def test_lists_filter(frontend: Frontend, pulled: str) -> None:
    first = await create(frontend, pulled, "first", SLEEP, {"app": "a"})
    second = await create(frontend, pulled, "second", SLEEP, {"app": "b"})
    assert (await frontend.call("GET", "/containers")).json == []
    listed = (await frontend.call("GET", "/containers", {"all": "1"})).json
    assert [one["Id"] for one in listed] == [second, first]
    assert listed[0].keys() >= SUMMARY_KEYS
    assert listed[0]["Names"] == ["/second"]
    for filters in ({"label": {"app=a": True}}, {"label": ["app=a"]}):
        query = {"all": "true", "filters": json.dumps(filters, separators=(",", ":"))}
        assert [one["Id"] for one in (await frontend.call("GET", "/containers", query)).json] == [first]
    limited = (await frontend.call("GET", "/containers", {"limit": "1"})).json
    assert [one["Id"] for one in limited] == [second]


async def test_a_name_is_taken_once_and_an_image_must_have_been_pulled(
    frontend: Frontend, pulled: str
) -> None:
    await create(frontend, pulled, "taken", SLEEP)
    body = {**FRONTEND_CREATE, "Image": pulled}
    taken = await frontend.call("POST", "/containers", {"name": "taken"}, body)
    assert (taken.status, "taken" in taken.message) == (409, True)
    missing = await frontend.call("POST", "/containers", None, body | {"Image": "never-pulled:1"})
    assert (missing.status, missing.message) == (404, "No such image: never-pulled:1")


async def test_what_is_unknown_is_a_404_with_dockers_words(frontend: Frontend) -> None:
    for method, path in (
        ("GET", ""),
        ("POST", "/start"),
        ("POST", "/stop"),
        ("POST", "/restart"),
        ("POST", "/kill"),
        ("DELETE", ""),
        ("POST", "/wait"),
        ("GET", "/logs?stdout=1"),
    ):
        answer = await frontend.call(method, f"/containers/nosuch{path}")
        assert (answer.status, answer.message) == (404, "No such container: nosuch"), path


async def test_rename_and_prune(frontend: Frontend, pulled: str) -> None:
    container_id = await create(frontend, pulled, "old", SLEEP)
    renamed = await frontend.call("POST", f"/containers/{container_id}/rename", {"name": "new"})
    assert renamed.status == 204
    pruned = await frontend.call("POST", "/containers/prune")
    assert pruned.status == 200
    assert pruned.json == {"ContainersDeleted": [container_id], "SpaceReclaimed": 0}


async def test_events_tell_what_happens(frontend: Frontend, pulled: str) -> None:
    events = await frontend.long("GET", "/events")
    async with events:
        with trio.fail_after(5):
            assert (await events.head()).status == 200
        container_id = await create(frontend, pulled, "told", SCRIPT)
        await frontend.call("POST", f"/containers/{container_id}/start")
        actions: list[str] = []
        with trio.fail_after(30):
            while "die" not in actions:
                for line in (await events.chunk()).splitlines():
                    event = json.loads(line)
                    if event["Type"] == "container" and event["Actor"]["ID"] == container_id:
                        actions.append(event["Action"])
        assert next(action for action in actions if action in ("create", "start", "die")) == "create"
        assert {"create", "start", "die"} <= set(actions)
