"""A local dockerd to stand beside, in namespaces of its own, where there is one and we are root."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

_READY_SECONDS = 30
_GONE_SECONDS = 10
_CGROUPS = Path("/sys/fs/cgroup")


class NoDockerd(Exception):
    """There is none here; the message says why."""


@contextmanager
def dockerd() -> Iterator[Path]:
    """Its socket, once it answers; nothing of it outlives the context.

    Raises:
        NoDockerd: It cannot run here.
    """
    found = shutil.which("dockerd", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if found is None:
        raise NoDockerd("there is no dockerd here (Debian: apt-get install docker.io)")
    if os.geteuid():
        raise NoDockerd("dockerd needs root")
    with TemporaryDirectory(prefix="sl-dockerd-") as name:
        folder = Path(name)
        with (folder / "log").open("wb") as log:
            # PID 1 of its own namespace: its containers and helpers end with it, and its mounts are its own.
            process = subprocess.Popen(
                [
                    *("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                    *(found, "--host", f"unix://{folder}/socket", "--pidfile", str(folder / "pid")),
                    *("--data-root", str(folder / "data"), "--exec-root", str(folder / "exec")),
                    *("--cgroup-parent", f"/{folder.name}"),
                    *("--iptables=false", "--bridge=none", "--default-ulimit", "nofile=20000:20000"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            _await_ready(folder, process)
            yield folder / "socket"
        finally:
            _end(process)
            _remove_cgroups(folder.name)


def client(socket: Path) -> httpx.Client:
    """HTTP on it."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://docker", timeout=60)


def _await_ready(folder: Path, process: subprocess.Popen[bytes]) -> None:
    with client(folder / "socket") as http:
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline and process.poll() is None:
            try:
                http.get("/_ping")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
    last = (folder / "log").read_text(errors="replace").splitlines()[-1:]
    raise NoDockerd(f"dockerd does not get ready here: {' '.join(last)}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """The namespace's first process dies with the one that waits for it, and takes all others along."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.wait()
    deadline = time.monotonic() + _GONE_SECONDS
    while any(Path(f"/proc/{child}").exists() for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)


def _remove_cgroups(name: str) -> None:
    """One in each hierarchy, with what containers left below it; all empty by now."""
    for found in (*_CGROUPS.glob(name), *_CGROUPS.glob(f"*/{name}")):
        for path, _, _ in os.walk(found, topdown=False):
            Path(path).rmdir()
