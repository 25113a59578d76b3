"""Attach, execs and files as the Go frontend calls them."""

from __future__ import annotations

import base64
import io
import json
import tarfile

import trio

from tests.contract.conftest import EXEC, SCRIPT, SLEEP
from tests.contract.frontend import Frontend
from tests.contract.test_contract_containers import create, frames

START = {"Detach": False, "Tty": False}


async def running(frontend: Frontend, image: str, name: str) -> str:
    """A container that sleeps."""
    container_id = await create(frontend, image, name, SLEEP)
    assert (await frontend.call("POST", f"/containers/{container_id}/start")).status == 204
    return container_id


async def create_exec(frontend: Frontend, container_id: str, argv: tuple[str, ...]) -> str:
    body = {
        "AttachStdin": False,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": False,
        "Cmd": list(argv),
        "Privileged": False,
    }
    answer = await frontend.call("POST", f"/containers/{container_id}/exec", None, body)
    assert answer.status == 201
    assert answer.json.keys() == {"Id"}
    return str(answer.json["Id"])


async def test_attach_answers_before_the_start_and_ends_with_the_output(
    frontend: Frontend, pulled: str
) -> None:
    container_id = await create(frontend, pulled, "attached", SCRIPT)
    with trio.fail_after(30):
        async with frontend.upgrade(f"/containers/{container_id}/attach") as wire:
            assert (await wire.head()).status == 101
            assert (await frontend.call("POST", f"/containers/{container_id}/start")).status == 204
            assert sorted(frames(await wire.ended())) == [(1, b"out\n"), (2, b"err\n")]
        await frontend.call("POST", f"/containers/{container_id}/wait")
    shown = (await frontend.call("GET", f"/containers/{container_id}")).json
    assert shown["State"]["ExitCode"] == 7


async def test_an_exec_streams_ends_and_tells_its_code(frontend: Frontend, pulled: str) -> None:
    container_id = await running(frontend, pulled, "executing")
    exec_id = await create_exec(frontend, container_id, EXEC)
    shown = (await frontend.call("GET", f"/exec/{exec_id}")).json
    assert shown.keys() >= {
        *("ID", "ContainerID", "Running", "ExitCode", "Pid", "OpenStdin", "OpenStdout", "OpenStderr"),
        *("ProcessConfig", "CanRemove"),
    }
    assert (shown["ID"], shown["ContainerID"], shown["Running"]) == (exec_id, container_id, False)
    assert (shown["ProcessConfig"]["entrypoint"], shown["ProcessConfig"]["tty"]) == ("sh", False)
    with trio.fail_after(30):
        async with frontend.upgrade(f"/exec/{exec_id}/start", START) as wire:
            assert (await wire.head()).status == 101
            assert sorted(frames(await wire.ended())) == [(1, b"out\n"), (2, b"err\n")]
    shown = (await frontend.call("GET", f"/exec/{exec_id}")).json
    assert (shown["Running"], shown["ExitCode"]) == (False, 3)
    again = await frontend.refused(f"/exec/{exec_id}/start", START)
    assert (again.status, again.message) == (409, f"Error: Exec command {exec_id} has already run")


async def test_a_detached_exec_is_a_200(frontend: Frontend, pulled: str) -> None:
    """The frontend makes an error with status 200 of it, which Docker's clients accept."""
    container_id = await running(frontend, pulled, "detached")
    exec_id = await create_exec(frontend, container_id, ("true",))
    answer = await frontend.refused(f"/exec/{exec_id}/start", {"Detach": True, "Tty": False})
    assert (answer.status, answer.body) == (200, b"")
    with trio.fail_after(10):
        while (await frontend.call("GET", f"/exec/{exec_id}")).json["ExitCode"] is None:
            await trio.lowlevel.checkpoint()


async def test_upgrades_that_cannot_be_are_ordinary_answers(frontend: Frontend, pulled: str) -> None:
    unknown = await frontend.refused("/containers/nosuch/attach")
    assert (unknown.status, unknown.message) == (404, "No such container: nosuch")
    unknown = await frontend.refused("/exec/nosuch/start", START)
    assert (unknown.status, unknown.message) == (404, "No such exec instance: nosuch")
    container_id = await create(frontend, pulled, "stopped", SLEEP)
    body = {"Cmd": ["true"], "AttachStdin": False, "Privileged": False}
    stopped = await frontend.call("POST", f"/containers/{container_id}/exec", None, body)
    assert (stopped.status, "is not running" in stopped.message) == (409, True)


async def test_files_go_in_and_out_and_missing_directories_are_made(frontend: Frontend, pulled: str) -> None:
    container_id = await running(frontend, pulled, "files")
    archive = f"/containers/{container_id}/archive"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("a file")
        entry.size, entry.mode = 5, 0o640
        tar.addfile(entry, io.BytesIO(b"hello"))
    put = await frontend.tar("PUT", archive, {"path": "/tmp/new/dir"}, packed.getvalue())
    assert (put.status, put.body) == (200, b"")
    head = await frontend.call("HEAD", archive, {"path": "/tmp/new/dir/a file"})
    stat = json.loads(base64.b64decode(head.headers["x-docker-container-path-stat"]))
    assert (head.status, stat["name"], stat["size"]) == (200, "a file", 5)
    got = await frontend.call("GET", archive, {"path": "/tmp/new/dir/a file"})
    assert (got.status, got.headers["content-type"]) == (200, "application/x-tar")
    with tarfile.open(fileobj=io.BytesIO(got.body)) as tar:
        content = tar.extractfile("a file")
        assert content is not None
        assert content.read() == b"hello"
    missing = await frontend.call("GET", archive, {"path": "/nosuch"})
    assert missing.status == 404
    assert (await frontend.call("HEAD", archive, {"path": "/nosuch"})).status == 404


async def test_what_runs_is_paused_listed_and_measured(frontend: Frontend, pulled: str) -> None:
    container_id = await running(frontend, pulled, "measured")
    one = f"/containers/{container_id}"
    top = (await frontend.call("GET", f"{one}/top")).json
    assert top.keys() == {"Titles", "Processes"}
    assert any("sleep" in " ".join(row) for row in top["Processes"])
    stats = (await frontend.call("GET", f"{one}/stats", {"stream": "0"})).json
    assert stats.keys() >= {"read", "preread", "cpu_stats", "precpu_stats", "memory_stats", "pids_stats"}
    assert (await frontend.call("POST", f"{one}/pause")).status == 204
    assert (await frontend.call("GET", one)).json["State"]["Status"] == "paused"
    assert (await frontend.call("POST", f"{one}/unpause")).status == 204
    assert (await frontend.call("GET", one)).json["State"]["Status"] == "running"
    assert (await frontend.call("POST", f"{one}/kill")).status == 204
    await frontend.call("POST", f"{one}/wait")
    assert (await frontend.call("GET", f"{one}/top")).status == 409
