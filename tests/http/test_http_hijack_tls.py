"""Answers that take the connection over, under TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
import trio

from sockerless_ecs.http.listeners import mutual_tls, tcp_listeners
from tests.http.probe import start_probe
from tests.http.stage import Stage, routes, stage
from tests.http.test_http_listeners import issue

__all__ = ["stage"]


@pytest.fixture
async def secure(
    nursery: trio.Nursery, tmp_path: Path, stage: Stage
) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """A port that speaks TLS, and how to be let in."""
    ca = issue(tmp_path, "ca")
    for name in ("server", "client"):
        issue(tmp_path, name, "ca")
    tls = mutual_tls(tmp_path / "server.pem", tmp_path / "server.key", ca)
    listeners = await tcp_listeners("127.0.0.1", 0, tls)
    probe = await start_probe(nursery, routes(stage), listeners=listeners)
    assert isinstance(listeners[0], trio.SSLListener)
    assert isinstance(listeners[0].transport_listener, trio.SocketListener)
    context = ssl.create_default_context(cafile=ca)
    context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
    yield listeners[0].transport_listener.socket.getsockname()[1], context
    probe.stop.set()


async def test_streams_over_tls_are_whole(secure: tuple[int, ssl.SSLContext]) -> None:
    """And their end is said: a client that minds a cut would raise."""
    port, context = secure

    def talk() -> bytes:
        back = bytearray()
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as wire,
        ):
            wire.sendall(b"POST /blob?size=3000000 HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n\r\n")
            while piece := wire.recv(1 << 16):
                back += piece
        return bytes(back.partition(b"\r\n\r\n")[2])

    assert await trio.to_thread.run_sync(talk) == b"y" * 3_000_000


async def test_tls_half_closes_with_its_farewell(secure: tuple[int, ssl.SSLContext]) -> None:
    """As Go's CloseWrite does it: close_notify, and then the rest of the answer is read."""
    port, context = secure
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    stream = await trio.open_tcp_stream("127.0.0.1", port)

    def shake_hands() -> bool:
        session.do_handshake()
        return True

    async def until_done(step: Callable[[], object]) -> object:
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                done = None
            if outgoing.pending:
                await stream.send_all(outgoing.read())
            if done is not None:
                return done
            if not (data := await stream.receive_some()):
                incoming.write_eof()
            incoming.write(data)

    async with stream:
        await until_done(shake_hands)
        session.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n\r\nhello")
        answer = b""
        while b"hello" not in answer:
            answer += cast("bytes", await until_done(lambda: session.read(1 << 16)))
        with suppress(ssl.SSLWantReadError):
            session.unwrap()
        await stream.send_all(outgoing.read())
        assert await until_done(lambda: session.read(1 << 16)) == b"END"
