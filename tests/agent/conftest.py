"""The real agent binary, as PID 1 of its own namespaces and as a plain process."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trio

from sockerless_ecs import __version__
from sockerless_ecs.agent import (
    AgentClient,
    AgentEvent,
    AgentUnreachable,
    StartRequest,
    client_context,
)
from sockerless_ecs.agent.build_hook import binary_path, build_agent
from sockerless_ecs.model.log import LogLine
from sockerless_ecs.store import new_identity
from tests.agent.orphans import orphans_ended

TOKEN = bytes(range(32))
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PID_1 = ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child"]
_PID_1_ROOTLESS = [*_PID_1, "--user", "--map-root-user"]


@dataclass(frozen=True)
class Keys:
    """A daemon's identity."""

    context: ssl.SSLContext
    pin: str


def new_keys() -> Keys:
    identity = new_identity()
    return Keys(client_context(identity.certificate_pem, identity.key_pem), identity.public_key_sha256)


@dataclass
class AgentTask:
    """A running agent, its client, and what the log driver would read."""

    client: AgentClient
    process: trio.Process
    port: int
    folder: Path
    is_root: bool
    """Whether the agent is root, if only of a namespace."""

    def log(self) -> list[bytes]:
        return (self.folder / "stdout").read_bytes().split(b"\n")[:-1]

    def open_files(self) -> int:
        """How many the agent itself has."""
        pid = self.process.pid
        if Path(f"/proc/{pid}/comm").read_text().strip() == "unshare":
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    async def run(
        self, *argv: str, run: str = "r1", linger_seconds: float = 0, **wishes: Any
    ) -> list[AgentEvent]:
        """Start, see it drained, return its events; the exit is not acknowledged."""
        request = StartRequest(run=run, argv=argv, linger_seconds=linger_seconds, **wishes)
        await self.client.start(request)
        return await self.drained(run)

    async def drained(self, run: str = "r1") -> list[AgentEvent]:
        """The run's events up to the last one."""
        seen = []
        async with self.client.events() as events:
            async for event in events:
                if event.run == run:
                    seen.append(event)
                    if event.type == "drained":
                        return seen
        raise AssertionError("the agent went away")

    async def lines(self, run: str = "r1", **options: Any) -> list[LogLine]:
        async with self.client.logs(run, **options) as batches:
            return [line async for batch in batches for line in batch]

    async def output(self, run: str = "r1", **options: Any) -> bytes:
        return b"".join(line.data for line in await self.lines(run, **options))


StartAgent = Callable[..., AbstractAsyncContextManager[AgentTask]]


@pytest.fixture(scope="session")
def agent_binary() -> Path:
    """The agent for this machine, built when it is missing or older than its sources.

    `AGENT_BINARY` names another build of it, with the race detector for instance.
    """
    if other := os.environ.get("AGENT_BINARY"):
        return Path(other)
    build_agent(__version__)
    return binary_path(_ARCHITECTURES[platform.machine()])


@pytest.fixture(scope="session")
def keys() -> Keys:
    return new_keys()


@pytest.fixture(params=["plain", "pid1"])
def start_agent(
    request: pytest.FixtureRequest, agent_binary: Path, keys: Keys, tmp_path: Path
) -> Iterator[StartAgent]:
    """Makes an agent; every test that uses it runs in both ways and leaves no process."""
    prefix: list[str] = []
    if request.param == "pid1" and not (prefix := _namespaces()):
        pytest.skip("needs rootless mode: no namespaces can be made here")

    @asynccontextmanager
    async def start(
        *, stdout: int | None = None, ready: bool = True, **extra: str
    ) -> AsyncIterator[AgentTask]:
        port = _free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "SOCKERLESS_AGENT_TOKEN": TOKEN.hex(),
            "SOCKERLESS_CLIENT_KEY_SHA256": keys.pin,
            "SOCKERLESS_LISTEN": f"127.0.0.1:{port}",
            "SOCKERLESS_SPOOL_DIR": str(tmp_path / "spool"),
            "SOCKERLESS_ETC": str(tmp_path),
            "AWS_REGION": "eu-west-1",
            "UNRELATED": "1",
            **extra,
        }
        with (tmp_path / "stdout").open("wb") as log:
            process = await trio.lowlevel.open_process(
                [*prefix, str(agent_binary)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout or log,
                stderr=sys.stderr,
            )
        client = AgentClient("127.0.0.1", port, TOKEN, keys.context)
        try:
            if ready:
                await _ready(client)
            yield AgentTask(client, process, port, tmp_path, is_root=bool(prefix) or os.geteuid() == 0)
        finally:
            with trio.CancelScope(shield=True):
                await client.aclose()
                process.kill()
                await process.wait()

    with orphans_ended():
        yield start


async def _ready(client: AgentClient) -> None:
    with trio.fail_after(20):
        while True:
            try:
                return await client.connect()
            except AgentUnreachable:
                await trio.sleep(0.003)


@cache
def _namespaces() -> list[str]:
    """The command that makes its argument PID 1; empty where none can."""
    for prefix in (_PID_1, _PID_1_ROOTLESS):
        if (
            shutil.which("unshare")
            and not subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode
        ):
            return prefix
    return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
