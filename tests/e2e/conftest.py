"""What every end-to-end test starts from: the shared daemon's API, and daemons of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.e2e.world import Api, Cloud, Daemon


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with TemporaryDirectory(prefix="sl-") as folder:
        yield Path(folder)


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
