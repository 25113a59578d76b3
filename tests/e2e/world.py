"""A sandbox and daemons on it, as processes: what the end-to-end tests drive."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import trio

from sockerless_ecs.sandbox.launch import (
    SandboxInfo,
    SandboxOptions,
    credentials,
    daemon_settings,
    embedded_aws,
)

READY_SECONDS = 30


class Cloud:
    """An embedded AWS that lasts for the test session."""

    def __init__(self, info: SandboxInfo) -> None:
        self.info = info
        self._http = httpx.Client(base_url=info.endpoint_url, trust_env=False, timeout=30)

    def fault(self, **fault: Any) -> None:
        """Ask for a fault: operation, kind, count, seconds and so on."""
        self._http.post("/_sandbox/faults", json=fault).raise_for_status()

    def no_faults(self) -> None:
        """Take every fault back."""
        self._http.delete("/_sandbox/faults").raise_for_status()

    def state(self) -> dict[str, Any]:
        """What the sandbox knows of its tasks and calls."""
        answer: dict[str, Any] = self._http.get("/_sandbox/state").raise_for_status().json()
        return answer

    def reset_counts(self) -> None:
        """Count calls from zero."""
        self._http.post("/_sandbox/reset-counts").raise_for_status()

    def tasks(self, instance: str | None = None) -> list[dict[str, Any]]:
        """Every task, of one daemon's instance if given."""
        found: list[dict[str, Any]] = self.state()["tasks"]
        return [task for task in found if instance is None or task["startedBy"] == instance]


@contextmanager
def running_cloud(options: SandboxOptions) -> Iterator[Cloud]:
    """Start the sandbox in a thread of its own: a session fixture cannot live in a test's event loop."""
    ready, over = threading.Event(), threading.Event()
    found: list[SandboxInfo] = []
    failed: list[BaseException] = []

    async def main() -> None:
        async with embedded_aws(options) as info:
            found.append(info)
            ready.set()
            await trio.to_thread.run_sync(over.wait)

    def body() -> None:
        try:
            trio.run(main)
        except BaseException as error:  # noqa: BLE001 - told to the test that asked
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=body)
    thread.start()
    try:
        ready.wait(READY_SECONDS)
        if failed:
            raise failed[0]
        yield Cloud(found[0])
    finally:
        over.set()
        thread.join()


class Daemon:
    """A daemon process on a sandbox, with a folder that outlives it."""

    def __init__(self, cloud: Cloud, folder: Path, *, settings: dict[str, Any] | None = None) -> None:
        self.cloud = cloud
        self.folder = folder
        self.socket = folder / "api.sock"
        self.docker_socket = folder / "docker.sock"
        self.log = folder / "daemon.log"
        nested = daemon_settings(cloud.info)
        nested["listen"] = {"socket": str(self.socket)}
        nested["docker"] = {"socket": str(self.docker_socket)}
        nested["store"] = {"path": str(folder / "state.db")}
        for section, values in (settings or {}).items():
            nested.setdefault(section, {}).update(values)
        self._config = folder / "config.yaml"
        self._config.write_text(json.dumps(nested))
        self.environment = credentials(cloud.info)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def instance(self) -> str:
        """Its mark on tasks."""
        identity = json.loads((self.folder / "identity.json").read_text())
        return f"sockerless-{identity['instance_id'][:24]}"

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process is not None
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens on loopback, if it was told to."""
        return int(json.loads(self._config.read_text())["listen"]["tcp"].rpartition(":")[2])

    def start(self, *command: str) -> None:
        """Run it; returns once its socket answers, or it has ended by itself."""
        words = command or ("-m", "sockerless_ecs", "serve")
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
        environment = {**clean, **self.environment, "PYTHONUNBUFFERED": "1"}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *words, "--config", str(self._config)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError), self._client() as client:
                client.get("/internal/v1/info")
                return
            time.sleep(0.01)
        if self._process.poll() is None:
            raise AssertionError(f"the daemon is not ready: {self.log.read_text()[-4000:]}")

    def wait(self, seconds: float = 30) -> int:
        """Its exit code."""
        assert self._process is not None
        return self._process.wait(seconds)

    def stop(self) -> int:
        """SIGTERM, then its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def log_lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        lines = self.log.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _client(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://daemon", timeout=5)


class Api:
    """The internal API, as a test wants it."""

    def __init__(self, socket: Path) -> None:
        # A connection for each request: a test that ends, or a daemon that dies, leaves no socket open here.
        limits = httpx.Limits(max_keepalive_connections=0)
        self.http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(socket), limits=limits),
            base_url="http://daemon/internal/v1",
            timeout=httpx.Timeout(60),
        )

    async def call(self, method: str, path: str, *, body: Any = None, **query: Any) -> Any:
        """One call that must succeed; its JSON."""
        answer = await self.http.request(method, path, json=body, params=query)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    async def create(self, *cmd: str, image: str = "host", name: str = "", **config: Any) -> str:
        """A container; its id."""
        if (await self.http.get("/images/inspect", params={"name": image})).status_code == 404:
            await self.pull(image)
        query = {"name": name} if name else {}
        created = await self.call("POST", "/containers", body={"Image": image, "Cmd": cmd, **config}, **query)
        return str(created["Id"])

    async def pull(self, image: str) -> list[dict[str, Any]]:
        """Pull an image; the progress lines."""
        answer = await self.http.post("/images/pull", json={"Reference": f"{image}:latest"})
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    async def start(self, container: str) -> None:
        """Start it; returns once it runs."""
        await self.call("POST", f"/containers/{container}/start")

    async def run(self, *cmd: str, **config: Any) -> str:
        """Create and start."""
        container = await self.create(*cmd, **config)
        await self.start(container)
        return container

    async def wait(self, container: str, condition: str = "not-running") -> int:
        """The exit code."""
        answer = await self.call("POST", f"/containers/{container}/wait", condition=condition)
        return int(answer["StatusCode"])

    async def inspect(self, container: str) -> dict[str, Any]:
        """Its JSON."""
        answer: dict[str, Any] = await self.call("GET", f"/containers/{container}")
        return answer

    async def logs(self, container: str, **query: Any) -> tuple[bytes, bytes]:
        """Standard output and standard error."""
        wanted = {"stdout": 1, "stderr": 1, **query}
        answer = await self.http.get(f"/containers/{container}/logs", params=wanted)
        assert answer.status_code == 200, answer.text
        return demultiplexed(answer.content)

    async def remove(self, container: str, **query: Any) -> None:
        """Remove it."""
        await self.call("DELETE", f"/containers/{container}", **query)


def demultiplexed(data: bytes) -> tuple[bytes, bytes]:
    """Docker's 8-byte frames → standard output and standard error."""
    streams = {1: b"", 2: b""}
    while data:
        kind, size = data[0], int.from_bytes(data[4:8])
        streams[kind] += data[8 : 8 + size]
        data = data[8 + size :]
    return streams[1], streams[2]


async def eventually(condition: Any, seconds: float = 20) -> Any:
    """The first true value of a condition that something else makes true."""
    with trio.move_on_after(seconds):
        while True:
            value = condition()
            if hasattr(value, "__await__"):
                value = await value
            if value:
                return value
            await trio.sleep(0.02)
    raise AssertionError("it did not come true")
