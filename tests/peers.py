"""Programs of others that images are exchanged with: Debian's registry, and skopeo."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

_READY_SECONDS = 20
USER, PASSWORD = "me", "secret"
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
"""`PASSWORD` in bcrypt, which is all that this registry knows."""


class NoPeer(Exception):
    """The program is not here; the message says what to install."""


def program(name: str, package: str) -> str:
    """Where it is; raises NoPeer."""
    found = shutil.which(name)
    if found is None:
        raise NoPeer(f"there is no {name} here (Debian: apt-get install {package})")
    return found


@dataclass(frozen=True, slots=True)
class Peer:
    """A registry of the Distribution project, on loopback."""

    host: str
    folder: Path


@contextmanager
def distribution(*, login: bool = False) -> Iterator[Peer]:
    """One that is empty, with or without a login; raises NoPeer."""
    found = program("docker-registry", "docker-registry")
    with TemporaryDirectory(prefix="sl-registry-") as name:
        folder, port = Path(name), _free_port()
        (folder / "users").write_text(_HTPASSWD)
        auth = f"auth: {{htpasswd: {{realm: here, path: {folder}/users}}}}\n" if login else ""
        (folder / "config.yml").write_text(
            "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
            f"storage: {{filesystem: {{rootdirectory: {folder}/data}}}}\n{auth}"
            f"http: {{addr: '127.0.0.1:{port}'}}\n"
        )
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [found, "serve", str(folder / "config.yml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            _await_ready(port, process, folder)
            yield Peer(f"127.0.0.1:{port}", folder)
        finally:
            process.kill()
            process.wait()


def skopeo(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must be a success unless told otherwise; raises NoPeer."""
    command = [program("skopeo", "skopeo"), "--insecure-policy", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=check)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _await_ready(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"the registry does not get ready: {(folder / 'log').read_text()[-2000:]}")
