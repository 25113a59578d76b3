"""The process itself: sockets, signals, drain, credentials, what it logs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
import trio.testing

from sockerless_ecs.sandbox.launch import credentials
from tests.e2e.shared import free_port
from tests.e2e.world import Api, Cloud, Daemon, eventually


async def test_start_in_flight_is_finished_by_the_drain(new_daemon: Any, cloud: Cloud) -> None:
    """SIGTERM while RunTask is under way: the client is answered, the container runs on."""
    daemon: Daemon = new_daemon()
    daemon.start()
    api = Api(daemon.socket)
    container = await api.create("sleep", "100")
    cloud.fault(operation="RunTask", kind="latency", seconds=1, count=1)
    answers: list[int] = []
    async with trio.open_nursery() as nursery:

        async def start() -> None:
            answers.append((await api.http.post(f"/containers/{container}/start")).status_code)

        nursery.start_soon(start)
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert await trio.to_thread.run_sync(daemon.stop) == 0
    assert answers == [204]
    daemon.start()
    api = Api(daemon.socket)
    assert (await api.inspect(container))["State"]["Running"]
    await api.remove(container, force=1)
    assert daemon.stop() == 0


async def test_start_that_outlasts_the_grace_time_goes_on_with_the_next_daemon(
    new_daemon: Any, cloud: Cloud
) -> None:
    daemon: Daemon = new_daemon(shutdown={"grace_seconds": 0.5})
    daemon.start()
    api = Api(daemon.socket)
    container = await api.create("sleep", "100")
    cloud.fault(operation="RunTask", kind="latency", seconds=3, count=1)
    with trio.move_on_after(0.3):
        await api.start(container)
    assert await trio.to_thread.run_sync(daemon.stop) == 0
    daemon.start()
    api = Api(daemon.socket)

    async def runs() -> bool:
        return bool((await api.inspect(container))["State"]["Running"])

    await eventually(runs)
    assert len(cloud.tasks(daemon.instance)) == 1
    await api.remove(container, force=1)
    assert daemon.stop() == 0


async def test_second_signal_ends_it_at_once(new_daemon: Any, cloud: Cloud) -> None:
    daemon: Daemon = new_daemon(shutdown={"grace_seconds": 60})
    daemon.start()
    api = Api(daemon.socket)
    container = await api.create("sleep", "100")
    cloud.fault(operation="RunTask", kind="latency", seconds=20, count=1)
    with trio.move_on_after(0.3):
        await api.start(container)
    os.kill(daemon.pid, signal.SIGTERM)
    await eventually(lambda: not daemon.socket.exists())
    began = time.monotonic()
    os.kill(daemon.pid, signal.SIGTERM)
    assert await trio.to_thread.run_sync(daemon.wait) == 1
    assert time.monotonic() - began < 5


async def test_containers_stop_with_the_daemon_if_configured(new_daemon: Any) -> None:
    daemon: Daemon = new_daemon(shutdown={"containers": "stop"})
    daemon.start()
    api = Api(daemon.socket)
    container = await api.run("sh", "-c", "trap 'exit 8' TERM; while :; do sleep 0.05; done")
    await trio.sleep(0.3)
    assert await trio.to_thread.run_sync(daemon.stop) == 0
    daemon.start()
    api = Api(daemon.socket)
    state = (await api.inspect(container))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 8)
    await api.remove(container)
    assert daemon.stop() == 0


async def test_socket_of_a_killed_daemon_is_replaced_and_of_a_live_one_never(new_daemon: Any) -> None:
    daemon: Daemon = new_daemon()
    daemon.start()
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    assert oct(daemon.socket.stat().st_mode)[-3:] == "660"
    thief: Daemon = new_daemon(store={"path": str(daemon.folder / "other" / "state.db")})
    thief.start()
    assert thief.wait() != 0
    assert str(daemon.socket) in thief.log.read_text()
    await Api(daemon.socket).call("GET", "/info")
    assert daemon.stop() == 0


async def test_tcp_on_loopback_serves_and_beyond_it_needs_a_word(new_daemon: Any) -> None:
    port = free_port()
    daemon: Daemon = new_daemon(listen={"tcp": f"127.0.0.1:{port}"})
    daemon.start()
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/internal/v1/capabilities")
    assert answer.json()["backend"] == "ecs"
    assert daemon.stop() == 0
    open_to_all: Daemon = new_daemon(listen={"tcp": f"0.0.0.0:{port}"})
    open_to_all.start()
    assert open_to_all.wait() != 0
    assert "listen.insecure" in open_to_all.log.read_text()


def _ends(folder: Path, environment: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
    return subprocess.run(
        [sys.executable, "-m", "sockerless_ecs", *flags],
        env=clean,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_missing_configuration_is_one_message(tmp_path: Path) -> None:
    """Every missing key, and how each can be set."""
    ended = _ends(tmp_path, {}, "--listen-socket", str(tmp_path / "s"))
    assert ended.returncode != 0
    for key in ("ecs.region", "ecs.cluster", "ecs.subnets", "ecs.security_groups", "ecs.execution_role_arn"):
        assert key in ended.stderr
    assert "SOCKERLESS_ECS_CLUSTER" in ended.stderr
    assert "--ecs-cluster" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_missing_credentials_are_told_in_words(new_daemon: Any, cloud: Cloud, short_path: Path) -> None:
    """The daemon serves, warns at start, and says at a create what is missing."""
    daemon: Daemon = new_daemon(log={"format": "json"})
    none = dict.fromkeys(credentials(cloud.info), "")
    none |= {"AWS_EC2_METADATA_DISABLED": "true", "HOME": str(short_path)}
    daemon.environment = {key: value for key, value in none.items() if value}
    daemon.start()
    api = Api(daemon.socket)
    await api.pull("host")
    answer = await api.http.post("/containers", json={"Image": "host", "Cmd": ["true"]})
    assert answer.status_code == 500
    assert "credentials" in answer.json()["message"].lower()
    await eventually(lambda: any("credentials" in str(line).lower() for line in daemon.log_lines()))
    assert daemon.stop() == 0


async def test_log_tells_requests_and_no_secret(new_daemon: Any) -> None:
    daemon: Daemon = new_daemon(log={"format": "json", "level": "debug"})
    daemon.start()
    api = Api(daemon.socket)
    container = await api.run("sh", "-c", "exit 1", Env=["PASSWORD=hunter2hunter2"])
    token = (await api.inspect(container))["AgentToken"]
    await api.wait(container)
    await api.remove(container)
    assert daemon.stop() == 0
    lines = daemon.log_lines()
    requests = [line for line in lines if line.get("path") == "/internal/v1/containers"]
    assert requests
    assert {"method", "path", "status", "request_id"} <= set(requests[0])
    assert any("aws_request_id" in json.dumps(line) and "RunTask" in json.dumps(line) for line in lines)
    text = daemon.log.read_text()
    assert token not in text
    assert "hunter2hunter2" not in text


@pytest.mark.parametrize("path", ["containers", "containers/x/start"])
async def test_malformed_json_is_a_400(api: Api, path: str) -> None:
    answer = await api.http.post(f"/{path}", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 404)
    assert set(answer.json()) == {"message"}
