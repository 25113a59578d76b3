"""The docker command over TCP: with mutual TLS, and on loopback without."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.clients.cli import DockerCli
from tests.clients.engines import Target, load
from tests.e2e.shared import free_port
from tests.e2e.world import Cloud, Daemon
from tests.http.test_http_listeners import issue


@dataclass(frozen=True, slots=True)
class OverTcp(Target):
    """Our daemon by its port; with a folder of certificates, over TLS."""

    port: int = 0
    certificates: Path | None = None

    @property
    def host(self) -> str:
        """What DOCKER_HOST is for it."""
        return f"tcp://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Of a client's process."""
        plain = super(OverTcp, self).environment
        if self.certificates is None:
            return plain
        return {**plain, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(self.certificates)}


@contextmanager
def _served(cloud: Cloud, archive: bytes, folder: Path, certificates: Path | None) -> Iterator[OverTcp]:
    docker = {"tcp": f"127.0.0.1:{free_port()}"}
    if certificates is not None:
        names = {"tls_certificate": "server.pem", "tls_key": "server.key", "tls_client_ca": "ca.pem"}
        docker |= {key: str(certificates / name) for key, name in names.items()}
    daemon = Daemon(cloud, folder, settings={"docker": docker})
    daemon.start()
    load(daemon.docker_socket, archive)
    port = int(docker["tcp"].rpartition(":")[2])
    yield OverTcp("ours", daemon.docker_socket, "default", port, certificates)
    assert daemon.stop() == 0, daemon.log.read_text()[-4000:]


@pytest.fixture(params=["mutual TLS", "loopback"])
def docker(
    request: pytest.FixtureRequest, docker_cli: str, cloud: Cloud, archive: bytes, tmp_path: Path
) -> Iterator[DockerCli]:
    """The docker command as it comes by TCP."""
    certificates = None
    if request.param == "mutual TLS":
        issue(tmp_path, "ca")
        for name in ("server", "client"):
            issue(tmp_path, name, "ca")
        shutil.copy(tmp_path / "client.pem", tmp_path / "cert.pem")
        shutil.copy(tmp_path / "client.key", tmp_path / "key.pem")
        certificates = tmp_path
    with (
        TemporaryDirectory(prefix="sl-") as folder,
        _served(cloud, archive, Path(folder), certificates) as target,
    ):
        yield DockerCli(docker_cli, target)


def test_streams_half_close_and_exit_codes_are_as_on_a_socket(docker: DockerCli) -> None:
    data = bytes(range(256)) * 8192
    assert docker.run("echo", options=["--rm", "-i"], stdin=data).out == data
    done = docker.run("print", "out", ";", "complain", "err", ";", "exit", "9", options=["--rm"], code=9)
    assert (done.out, done.err) == (b"out\n", b"err\n")
    container = docker.start("forever")
    assert docker("exec", "-i", container, "/bin/program", "echo", stdin=b"typed").out == b"typed"
    docker("rm", "-f", container)


@pytest.mark.parametrize("docker", ["mutual TLS"], indirect=True)
def test_client_without_a_certificate_is_not_let_in(docker: DockerCli) -> None:
    assert isinstance(docker.engine, OverTcp)
    bare = OverTcp("ours", docker.engine.socket, "default", docker.engine.port, None)
    assert DockerCli(docker.program, bare).try_("version", "--format", "{{.Server.Version}}").code != 0
