"""One sandbox for the session, and one daemon on it for the tests that do not hurt it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sockerless_ecs import __version__
from sockerless_ecs.agent.build_hook import build_agent
from sockerless_ecs.sandbox.launch import SandboxOptions
from tests.e2e.world import Cloud, Daemon, running_cloud


@pytest.fixture(scope="session")
def cloud(pytestconfig: pytest.Config) -> Iterator[Cloud]:
    """An embedded AWS that provisions as fast as it can; the agent in its tasks is that of the sources."""
    build_agent(__version__)
    options = SandboxOptions(
        provision_seconds=0,
        stop_seconds=0,
        log_delay_seconds=0.2,
        mode=pytestconfig.getoption("--sandbox-mode"),
    )
    with running_cloud(options) as running:
        yield running


@pytest.fixture(scope="session")
def daemon(cloud: Cloud) -> Iterator[Daemon]:
    """A daemon shared by the session."""
    with TemporaryDirectory(prefix="sl-") as folder:
        running = Daemon(cloud, Path(folder), settings={"listen": {"tcp": f"127.0.0.1:{free_port()}"}})
        running.start()
        yield running
        assert running.stop() == 0, running.log.read_text()[-4000:]


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
