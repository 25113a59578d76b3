"""Where the server listens, and what it leaves behind."""

from __future__ import annotations

import grp
import os
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sockerless_ecs.errors import Misconfigured
from sockerless_ecs.http.internal import internal_app
from sockerless_ecs.http.listeners import mutual_tls, tcp_listeners, unix_listener
from sockerless_ecs.http.server import LongLived, serve
from tests.http.fake_backend import FakeBackend
from tests.http.test_http_streams import until
from tests.http.wire import Wire


def entries(folder: Path) -> list[Path]:
    """What is in a folder."""
    return list(folder.iterdir())


async def test_a_unix_socket_has_its_mode_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listener = unix_listener(path, mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    async with await trio.open_unix_socket(path):
        await (await listener.accept()).aclose()
    await listener.aclose()
    assert entries(tmp_path) == []


async def test_a_group_may_be_given_the_socket(tmp_path: Path) -> None:

    own = grp.getgrgid(os.getgid())
    listener = unix_listener(tmp_path / "s", group=own.gr_name)
    assert (tmp_path / "s").stat().st_gid == own.gr_gid
    await listener.aclose()
    with pytest.raises(Misconfigured, match="no group 'nosuchgroup'"):
        unix_listener(tmp_path / "s", group="nosuchgroup")
    assert entries(tmp_path) == []


async def test_a_live_socket_is_never_stolen(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    listener = unix_listener(path)
    with pytest.raises(Misconfigured, match=f"{path}: another server is listening there"):
        unix_listener(path)
    async with await trio.open_unix_socket(path):
        await (await listener.accept()).aclose()
    await listener.aclose()


async def test_a_server_too_busy_to_accept_is_alive_too(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(os.fspath(path))
        busy.listen(0)
        first.connect(os.fspath(path))
        with pytest.raises(Misconfigured, match="another server"):
            unix_listener(path)


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(os.fspath(path))
        gone.listen()
    listener = unix_listener(path)
    async with await trio.open_unix_socket(path):
        await (await listener.accept()).aclose()
    await listener.aclose()


async def test_a_file_that_is_no_socket_stays(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(Misconfigured, match="is not a socket"):
        unix_listener(path)
    assert path.read_text() == "data"


async def test_a_socket_that_another_took_over_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    first = unix_listener(path)
    path.unlink()
    second = unix_listener(path)
    await first.aclose()
    assert path.exists()
    await second.aclose()
    assert not path.exists()


@pytest.mark.parametrize("name", ["x" * 200, "missing/api.sock"])
async def test_a_path_that_cannot_be_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        unix_listener(tmp_path / name)


async def test_a_port_that_is_taken_is_named() -> None:
    (listener,) = await tcp_listeners("127.0.0.1", 0)
    assert isinstance(listener, trio.SocketListener)
    port = listener.socket.getsockname()[1]
    with pytest.raises(Misconfigured, match=f"127.0.0.1:{port}"):
        await tcp_listeners("127.0.0.1", port)
    await listener.aclose()


async def test_connections_notice_a_machine_that_vanished() -> None:
    (listener,) = await tcp_listeners("127.0.0.1", 0)
    assert isinstance(listener, trio.SocketListener)
    client = await trio.open_tcp_stream(*listener.socket.getsockname())
    async with client, await listener.accept() as accepted:
        assert accepted.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert accepted.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
    await listener.aclose()


async def test_a_client_that_has_sent_all_is_still_answered(tmp_path: Path, nursery: trio.Nursery) -> None:
    """On a Unix socket the end of sending and the end of the client can be told apart."""
    backend, ends, stop = FakeBackend(), LongLived(), trio.Event()
    await backend.container()
    listeners = [unix_listener(tmp_path / "s")]

    async def run(task_status: trio.TaskStatus[None]) -> None:
        await serve(
            internal_app(backend, ends),
            listeners,
            shutdown=stop.wait,
            long_lived=ends,
            grace_seconds=5,
            task_status=task_status,
        )

    await nursery.start(run)
    follow = Wire(stream := await trio.open_unix_socket(tmp_path / "s"))
    await follow.send("GET", "/internal/v1/containers/c/logs?stdout=1&follow=1")
    await stream.send_eof()
    await follow.head()
    backend.containers.write("c", b"late\n")
    assert (await follow.chunk()).endswith(b"late\n")
    await stream.aclose()
    await until(lambda: not ends)
    stop.set()


def issue(folder: Path, name: str, issuer: str | None = None) -> Path:
    """A certificate and its key as `name.pem` and `name.key`, signed by `issuer` or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer, parent = key, name
    if issuer is not None:
        loaded = serialization.load_pem_private_key((folder / f"{issuer}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signer, parent = loaded, issuer
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, parent)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    path = folder / f"{name}.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path


async def test_tls_admits_only_clients_that_the_ca_signed(tmp_path: Path, nursery: trio.Nursery) -> None:
    ca = issue(tmp_path, "ca")
    for name in ("server", "client"):
        issue(tmp_path, name, "ca")
    issue(tmp_path, "stranger")
    tls = mutual_tls(tmp_path / "server.pem", tmp_path / "server.key", ca)
    listeners = await tcp_listeners("127.0.0.1", 0, tls)
    listener = listeners[0]
    assert isinstance(listener, trio.SSLListener)
    assert isinstance(listener.transport_listener, trio.SocketListener)
    port, stop = listener.transport_listener.socket.getsockname()[1], trio.Event()

    async def run(task_status: trio.TaskStatus[None]) -> None:
        ends = LongLived()
        app = internal_app(FakeBackend(), ends)
        await serve(
            app, listeners, shutdown=stop.wait, long_lived=ends, grace_seconds=5, task_status=task_status
        )

    await nursery.start(run)
    cases: tuple[tuple[str | None, bool], ...] = (("client", True), ("stranger", False), (None, False))
    for who, admitted in cases:
        context = ssl.create_default_context(cafile=ca)
        if who:
            context.load_cert_chain(tmp_path / f"{who}.pem", tmp_path / f"{who}.key")
        stream = await trio.open_ssl_over_tcp_stream(
            "127.0.0.1", port, ssl_context=context, https_compatible=True
        )
        async with Wire(stream) as wire:
            if admitted:
                assert (await wire.ask("GET", "/internal/v1/_ping")).body == b"OK"
                continue
            with pytest.raises((EOFError, trio.BrokenResourceError)):
                await wire.ask("GET", "/internal/v1/_ping")
    stop.set()


async def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"missing\.pem"):
        mutual_tls(tmp_path / "missing.pem", tmp_path / "missing.key", tmp_path / "ca.pem")
    server = issue(tmp_path, "server")
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(Misconfigured, match=r"client CA .*bad\.pem"):
        mutual_tls(server, tmp_path / "server.key", tmp_path / "bad.pem")
