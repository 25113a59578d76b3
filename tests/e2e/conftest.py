"""One sandbox for the session, a daemon for the tests that do not hurt it, fresh ones for those that do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from sockerless_ecs.sandbox.launch import SandboxOptions
from tests.e2e.world import Api, Cloud, Daemon, running_cloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """An embedded AWS that provisions as fast as it can."""
    options = SandboxOptions(provision_seconds=0, stop_seconds=0, log_delay_seconds=0.2)
    with running_cloud(options) as running:
        yield running


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="sl-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def daemon(cloud: Cloud) -> Iterator[Daemon]:
    """A daemon shared by the session."""
    with TemporaryDirectory(prefix="sl-") as folder:
        running = Daemon(cloud, Path(folder))
        running.start()
        yield running
        assert running.stop() == 0, running.log.read_text()[-4000:]


@pytest.fixture
async def api(daemon: Daemon) -> AsyncIterator[Api]:
    """The shared daemon's API."""
    client = Api(daemon.socket)
    yield client
    await client.http.aclose()


@pytest.fixture
def new_daemon(cloud: Cloud, short_path: Path) -> Iterator[Any]:
    """Makes daemons of one's own in one folder: the second one is the first one restarted."""
    made: list[Daemon] = []

    def make(**settings: Any) -> Daemon:
        made.append(Daemon(cloud, short_path, settings=settings))
        return made[-1]

    yield make
    cloud.no_faults()
    for one in made:
        if one._process is not None and one._process.poll() is None:
            one.kill()
