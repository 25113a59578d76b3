"""Our daemon and a real dockerd, each once for the session, with the same image."""

from __future__ import annotations

import platform
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.clients.engines import Target, docker_archive, load, real_dockerd
from tests.clients.wire import Wire
from tests.conftest import not_run_here
from tests.dockerd import NoDockerd
from tests.e2e.world import Cloud, Daemon
from tests.images import go_program


@pytest.fixture(scope="session")
def program() -> bytes:
    """What images of the tests run."""
    assert platform.machine() == "x86_64", "the image is made for amd64"
    with TemporaryDirectory(prefix="sl-") as folder:
        return go_program(Path(__file__).parent / "program", Path(folder) / "program")


@pytest.fixture(scope="session")
def archive(program: bytes) -> bytes:
    """The image, as a tar for `docker load`."""
    return docker_archive({"bin/program": program, "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n"})


@pytest.fixture(scope="session")
def ours(cloud: Cloud, archive: bytes) -> Iterator[Target]:
    """A daemon of the client tests' own, on the session's sandbox."""
    with TemporaryDirectory(prefix="sl-") as folder:
        daemon = Daemon(cloud, Path(folder))
        daemon.start()
        load(daemon.docker_socket, archive)
        yield Target("ours", daemon.docker_socket, "default")
        assert daemon.stop() == 0, daemon.log.read_text()[-4000:]


@pytest.fixture(scope="session")
def _real(archive: bytes) -> Iterator[Target | str]:
    try:
        with real_dockerd(archive) as target:
            yield target
    except NoDockerd as reason:
        yield str(reason)


@pytest.fixture
def real(request: pytest.FixtureRequest) -> Target:
    """A real dockerd; a test that needs one is counted and named where there is none."""
    found: Target | str = request.getfixturevalue("_real")
    if isinstance(found, str):
        not_run_here(f"a real dockerd: {found}")
    return found


@pytest.fixture(params=["ours", "dockerd"])
def engine(request: pytest.FixtureRequest) -> Target:
    """Each of the two: what a test expects must be true of a real dockerd as well."""
    found: Target = request.getfixturevalue("ours" if request.param == "ours" else "real")
    return found


@pytest.fixture
def docker_cli() -> str:
    """The docker command; a test that needs it is counted and named where it is not on PATH."""
    found = shutil.which("docker")
    if found is None:
        not_run_here("the docker command on PATH")
    return found


@pytest.fixture
def daemon(cloud: Cloud, archive: bytes) -> Iterator[Daemon]:
    """A daemon of the test's own, which it may hurt."""
    with TemporaryDirectory(prefix="sl-") as folder:
        made = Daemon(cloud, Path(folder))
        made.start()
        load(made.docker_socket, archive)
        yield made
        cloud.no_faults()
        assert made.stop() == 0, made.log.read_text()[-4000:]


@pytest.fixture
async def wire(daemon: Daemon) -> AsyncIterator[Wire]:
    """Its Docker API; each request has a connection of its own, so it outlives the daemon."""
    made = Wire(daemon.docker_socket)
    yield made
    await made.http.aclose()
