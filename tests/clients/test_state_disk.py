"""The disk of the state folder is full: what cannot be kept is refused, the rest goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.clients.engines import load
from tests.clients.test_vanishing import tar_of
from tests.clients.wire import Wire, contents
from tests.conftest import not_run_here
from tests.e2e.world import Cloud, Daemon, eventually


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A folder with room for 3 MiB."""
    with TemporaryDirectory(prefix="sl-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "small", folder]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            not_run_here("the right to mount a tmpfs")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def daemon(cloud: Cloud, archive: bytes, small_disk: Path) -> Iterator[Daemon]:
    """One that keeps its state there."""
    made = Daemon(cloud, small_disk)
    made.start()
    load(made.docker_socket, archive)
    yield made
    assert made.stop() == 0


async def test_full_disk_refuses_what_must_be_kept_and_nothing_else(
    daemon: Daemon, wire: Wire, small_disk: Path
) -> None:
    runs = await wire.run("await", "/end", ";", "exit", "7")
    waits = await wire.create("read", "/file")
    uploads = small_disk / "uploads"

    async def upload(size: int) -> int:
        query = {"path": "/"}
        answer = await wire.http.put(f"/containers/{waits}/archive", params=query, content=tar_of(size))
        return answer.status_code

    assert await upload(6_000_000) == 503
    assert list(uploads.iterdir()) == []
    assert await upload(100_000) == 200
    filler = small_disk / "filler"
    _fill(filler)
    assert await upload(100_000) == 503
    assert len(list(uploads.iterdir())) == 2
    body = {"Image": "sockerless/program:1", "Cmd": ["/bin/program", "print"]}
    for _ in range(2):
        refused = await wire.http.post("/containers/create", json=body)
        assert (refused.status_code, "disk is full" in refused.text) == (500, True)
    _, stream = await wire.exec(runs, "print", "works", ";", "write", "/end", "x")
    async with stream:
        assert await contents(stream) == b"works\n"
    filler.unlink()
    waited = await wire.call("POST", f"/containers/{runs}/wait")
    assert waited["StatusCode"] == 7
    await wire.call("POST", f"/containers/{waits}/start")
    assert (await wire.call("POST", f"/containers/{waits}/wait"))["StatusCode"] == 0
    await eventually(lambda: not list(uploads.iterdir()))
    for container in (runs, waits):
        await wire.remove(container)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            return
