"""Sockets that systemd opened."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from sockerless_ecs.config import Settings
from sockerless_ecs.config.schema import EcsSettings, ListenSettings
from sockerless_ecs.daemon import _listeners, _listening
from sockerless_ecs.errors import Misconfigured
from sockerless_ecs.http.activation import inherited_listener, inherited_sockets, is_beyond_this_machine
from tests.http.probe import start_probe
from tests.http.test_http_listeners import entries
from tests.http.wire import Wire

_PROGRAM = """
import os
from sockerless_ecs.errors import Misconfigured
from sockerless_ecs.http.activation import inherited_sockets
try:
    found = inherited_sockets(os.environ, os.getpid())
except Misconfigured as error:
    print(error)
else:
    for name, sockets in found.items():
        for sock in sockets:
            print(name, sock.fileno(), sock.family.name, sock.get_inheritable())
print([name for name in os.environ if name.startswith("LISTEN")])
"""


def activate(*sockets: socket.socket, names: str | None, pid: str = "$$") -> list[str]:
    """What a process says that gets the sockets as systemd would pass them."""
    parked = [os.dup(sock.fileno()) for sock in sockets]
    try:
        moves = " ".join(f"{3 + index}<&{fd}" for index, fd in enumerate(parked))
        line = f'LISTEN_PID={pid} LISTEN_FDS={len(parked)} exec {sys.executable} -c "$1" {moves}'
        more = {} if names is None else {"LISTEN_FDNAMES": names}
        done = subprocess.run(
            ["/bin/bash", "-c", line, "sh", _PROGRAM],
            pass_fds=parked,
            env=os.environ | more,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        for fd in parked:
            os.close(fd)
    return done.stdout.splitlines()


@pytest.fixture
def unix(tmp_path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(os.fspath(tmp_path / "s"))
    sock.listen()
    return sock


@pytest.fixture
def tcp() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0))


def test_sockets_are_told_apart_by_their_names(unix: socket.socket, tcp: socket.socket) -> None:
    with unix, tcp:
        assert activate(unix, tcp, names="docker:backend") == [
            "docker 3 AF_UNIX False",
            "backend 4 AF_INET False",
            "[]",
        ]


@pytest.mark.parametrize("names", [None, "", "sockerless.socket", "unknown"])
def test_a_socket_without_a_name_is_the_internal_apis(unix: socket.socket, names: str | None) -> None:
    with unix:
        assert activate(unix, names=names) == ["backend 3 AF_UNIX False", "[]"]


def test_what_was_meant_for_another_process_is_ignored(unix: socket.socket) -> None:
    with unix:
        assert activate(unix, names="docker", pid="1") == ["[]"]


def test_a_name_that_says_nothing_is_an_error_that_names_it(unix: socket.socket) -> None:
    with unix:
        assert activate(unix, names="podman")[0].startswith(
            "systemd passed a socket named 'podman': FileDescriptorName= must be backend"
        )


def test_a_socket_that_does_not_listen_is_an_error(unix: socket.socket, tmp_path: Path) -> None:
    with (
        unix,
        socket.socket(socket.AF_UNIX) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dgram,
    ):
        client.connect(os.fspath(tmp_path / "s"))
        assert "does not listen" in activate(client, names="docker")[0]
        assert "is no stream socket" in activate(unix, dgram, names="docker:docker")[0]


def test_a_count_that_is_no_number_is_ignored() -> None:
    environ = {"LISTEN_PID": "7", "LISTEN_FDS": "x"}
    assert inherited_sockets(environ, 7) == {"docker": [], "backend": []}
    assert environ == {}


async def test_an_inherited_socket_serves_and_its_file_stays(
    nursery: trio.Nursery, unix: socket.socket, tmp_path: Path
) -> None:
    probe = await start_probe(nursery, [], listeners=[inherited_listener(unix, None)])
    async with Wire(await trio.open_unix_socket(tmp_path / "s")) as wire:
        assert (await wire.ask("GET", "/ping")).body == b"pong"
    probe.stop.set()
    await probe.stopped.wait()
    assert (tmp_path / "s").is_socket()


def test_only_tcp_beyond_loopback_is_open_to_others(unix: socket.socket, tcp: socket.socket) -> None:
    with unix, tcp, socket.create_server(("0.0.0.0", 0)) as everywhere:
        assert [is_beyond_this_machine(sock) for sock in (unix, tcp, everywhere)] == [False, False, True]


def settings(folder: Path, docker: Path) -> Settings:
    return Settings(
        ecs=EcsSettings(),
        listen=ListenSettings(socket=str(folder / "internal.sock")),
        docker=ListenSettings(socket=str(docker)),
    )


async def test_the_daemon_listens_for_both_apis_and_leaves_no_files(tmp_path: Path) -> None:
    async with _listening(settings(tmp_path, tmp_path / "docker.sock")) as (internal, docker):
        assert (len(internal), len(docker)) == (1, 1)
        assert (tmp_path / "internal.sock").is_socket()
        assert (tmp_path / "docker.sock").is_socket()
    assert entries(tmp_path) == []


async def test_a_docker_socket_that_cannot_be_had_names_its_key_and_leaves_the_other_closed(
    tmp_path: Path,
) -> None:
    with pytest.raises(Misconfigured, match=r"^docker\.socket: cannot listen on the Unix socket .*nowhere"):
        async with _listening(settings(tmp_path, tmp_path / "nowhere" / "docker.sock")):
            pass
    assert entries(tmp_path) == []


async def test_an_inherited_socket_stands_in_for_the_configured_one(
    unix: socket.socket, tcp: socket.socket, tmp_path: Path
) -> None:
    taken = ListenSettings(socket=str(tmp_path / "s"), tcp="127.0.0.1:0")
    async with AsyncExitStack() as opened:
        assert len(await _listeners("docker", taken, [unix], opened)) == 2
        assert len(await _listeners("docker", taken, [unix, tcp], opened)) == 2
    assert (tmp_path / "s").is_socket()


async def test_an_inherited_port_that_is_open_to_all_needs_a_word() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere:
        async with AsyncExitStack() as opened:
            with pytest.raises(Misconfigured, match=r"docker\.insecure"):
                await _listeners("docker", ListenSettings(socket=""), [everywhere], opened)
            insecure = ListenSettings(socket="", insecure=True)
            assert len(await _listeners("docker", insecure, [everywhere], opened)) == 1
