"""Answers that take the connection over."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest
import structlog
import trio

from sockerless_ecs.http.listeners import unix_listener
from sockerless_ecs.http.route import Call, Duplex
from tests.http.probe import RAW, Probe, Switch, hijack, route, start_probe
from tests.http.stage import UPGRADE, Stage, half_close, probe, stage, unix
from tests.http.test_http_streams import until
from tests.http.wire import Wire

__all__ = ["probe", "stage", "unix"]


async def test_an_upgrade_is_dockers_101_and_then_raw_bytes(probe: Probe) -> None:
    async with await probe.wire() as wire:
        await wire.send("POST", "/v1.43/echo", b"", *UPGRADE)
        while b"\r\n\r\n" not in wire._buffer:
            await wire._more()
        assert wire._buffer.startswith(
            b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
        )
        head = await wire.head()
        assert (head.headers["connection"], head.headers["upgrade"]) == ("Upgrade", "tcp")
        assert head.headers["api-version"] == "1.51"
        assert not {"content-length", "transfer-encoding"} & set(head.headers)
        await wire.stream.send_all(b"\x00\xff1")
        assert await wire.take(3) == b"\x00\xff1"
        await half_close(wire)
        assert await wire.ended() == b"END"


@pytest.mark.parametrize("token", ["h2c", "TCP", "websocket"])
async def test_any_upgrade_that_is_asked_for_is_taken(probe: Probe, token: str) -> None:
    async with await probe.wire() as wire:
        await wire.send("POST", "/echo", b"", "Connection: Upgrade", f"Upgrade: {token}")
        head = await wire.head()
        assert (head.status, head.headers["upgrade"]) == (101, token)
        await half_close(wire)
        assert await wire.ended() == b"END"


async def test_without_an_upgrade_it_is_a_200_without_a_length(probe: Probe) -> None:
    async with await probe.wire() as wire:
        await wire.send("POST", "/echo")
        head = await wire.head()
        assert (head.status, head.headers["content-type"]) == (200, RAW)
        assert not {"content-length", "transfer-encoding", "upgrade"} & set(head.headers)
        await wire.stream.send_all(b"hello")
        await half_close(wire)
        assert await wire.ended() == b"helloEND"


async def test_a_refusal_is_an_ordinary_answer_and_the_connection_goes_on(probe: Probe) -> None:
    async with await probe.wire() as wire:
        for _ in range(3):
            answer = await wire.ask("POST", "/refuse", b"", *UPGRADE)
            assert (answer.status, answer.message) == (404, "No such container: c")
        await wire.ask("GET", "/ping")
        await wire.send("POST", "/echo", b"", *UPGRADE)
        assert (await wire.head()).status == 101
        await half_close(wire)
        assert await wire.ended() == b"END"


async def test_requests_behind_a_refused_upgrade_are_answered(probe: Probe) -> None:
    request = b"POST /refuse HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n"
    async with await probe.wire() as wire:
        await wire.stream.send_all(request + b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await wire.answer()).status == 404
        assert (await wire.answer()).body == b"pong"


@pytest.mark.parametrize("upgrade", [UPGRADE, ()])
async def test_bytes_that_came_early_and_the_body_before_them_are_told_apart(
    probe: Probe, stage: Stage, upgrade: tuple[str, ...]
) -> None:
    async with await probe.wire() as wire:
        await wire.ask("GET", "/ping")
        await wire.send("POST", "/body", b'{"Detach":false}', *upgrade)
        await wire.stream.send_all(b"EARLY ")
        await wire.head()
        await wire.stream.send_all(b"late")
        await half_close(wire)
        assert await wire.ended() == b"EARLY lateEND"
        assert stage.bodies == [b'{"Detach":false}']


async def test_a_body_that_nobody_read_is_no_part_of_the_stream(probe: Probe) -> None:
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\nUpgrade: tcp\r\n\r\n"
    async with await probe.wire() as wire:
        await wire.stream.send_all(head + b"bod")
        await until(lambda: len(probe.long_lived) == 1)
        await wire.stream.send_all(b"ies" + b"stream")
        assert (await wire.head()).status == 101
        await half_close(wire)
        assert await wire.ended() == b"streamEND"


@pytest.mark.parametrize("upgrade", [UPGRADE, ()])
async def test_a_half_close_that_came_with_the_request_is_seen(
    probe: Probe, upgrade: tuple[str, ...]
) -> None:
    async with await probe.wire() as wire:
        await wire.send("POST", "/echo", b"", *upgrade)
        await half_close(wire)
        await wire.head()
        assert await wire.ended() == b"END"


async def test_a_half_closed_client_is_there_until_it_closes(unix: Path, stage: Stage) -> None:
    """A Unix socket tells the end of sending from the end of the client."""
    async with Wire(await trio.open_unix_socket(unix)) as wire:
        await wire.send("POST", "/linger", b"", *UPGRADE)
        await wire.head()
        await half_close(wire)
        assert await wire.takes(b"still here")
        assert not stage.gone.is_set()
    with trio.fail_after(5):
        await stage.gone.wait()


async def test_the_head_is_read_before_anything_follows(unix: Path) -> None:
    """Clients that lose what shares a segment with the head find it alone."""
    async with Wire(await trio.open_unix_socket(unix)) as wire:
        await wire.send("POST", "/blob?size=5", b"", *UPGRADE)
        assert (await wire.stream.receive_some(1 << 16)).endswith(b"\r\n\r\n")
        assert await wire.ended() == b"yyyyy"


async def test_what_was_sent_arrives_though_the_client_still_sends(probe: Probe) -> None:
    """Closing with input unread resets the connection, and a reset overtakes data."""
    size = 3_000_000
    async with await probe.wire() as wire, trio.open_nursery() as nursery:
        await wire.send("POST", f"/blob?size={size}", b"", *UPGRADE)
        await wire.head()

        async def keep_sending() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while True:
                    await wire.stream.send_all(b"z" * 65536)

        nursery.start_soon(keep_sending)
        assert await wire.takes(b"y" * size)
        await trio.aclose_forcefully(wire.stream)


async def test_a_client_that_does_not_read_delays_no_drain(probe: Probe, stage: Stage) -> None:
    async with await probe.wire() as wire, await probe.wire() as idle:
        await wire.send("POST", "/flood", b"", *UPGRADE)
        await wire.head()
        await idle.send("POST", "/echo", b"", *UPGRADE)
        await idle.head()
        with trio.fail_after(2):
            probe.stop.set()
            assert await idle.ended() == b""
            await stage.over.wait()
            await probe.stopped.wait()


async def test_a_client_that_vanishes_ends_the_sender(probe: Probe, stage: Stage) -> None:
    with structlog.testing.capture_logs() as lines:
        async with await probe.wire() as wire:
            await wire.send("POST", "/flood", b"", *UPGRADE)
            await wire.head()
        with trio.fail_after(5):
            await stage.over.wait()
            await until(lambda: any(line["event"] == "request" for line in lines))
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["status"], line["cut_short"], line["log_level"]) == (101, True, "info")
    assert not [line for line in lines if line["log_level"] == "error"]


async def test_a_conversation_is_one_line_in_the_log(probe: Probe) -> None:
    with structlog.testing.capture_logs() as lines:
        async with await probe.wire() as wire:
            await wire.send("POST", "/echo", b"", *UPGRADE)
            await wire.head()
            await wire.stream.send_all(b"12345")
            await half_close(wire)
            await wire.ended()
            await until(lambda: any(line["event"] == "request" for line in lines))
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/echo",
        "operation": "POST /echo",
        "status": 101,
        "received_bytes": 5,
        "sent_bytes": 8,
    }


async def test_a_conversation_that_never_begins_is_an_internal_error(probe: Probe) -> None:
    async with await probe.wire() as wire:
        answer = await wire.ask("POST", "/never", b"", *UPGRADE)
        assert answer.status == 500
        assert (await wire.ask("GET", "/ping")).status == 200


async def test_during_the_drain_a_conversation_is_a_503(nursery: trio.Nursery, stage: Stage) -> None:
    held, entered = trio.Event(), trio.Event()

    async def slow(_: Call, switch: Switch) -> None:
        entered.set()
        await held.wait()
        await switch(RAW)

    probe = await start_probe(nursery, [route("POST", "/slow", hijack(slow))])
    async with await probe.wire() as wire:
        await wire.send("POST", "/slow", b"", *UPGRADE)
        await entered.wait()
        probe.stop.set()
        answer = await wire.answer()
        assert (answer.status, answer.message) == (503, "the daemon is shutting down")


async def test_a_client_that_leaves_before_the_switch_cancels_the_conversation(
    nursery: trio.Nursery, tmp_path: Path
) -> None:
    entered, cancelled = trio.Event(), trio.Event()

    async def slow(_: Call, __: Switch) -> None:
        entered.set()
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    listeners = [unix_listener(tmp_path / "s")]
    probe = await start_probe(nursery, [route("POST", "/slow", hijack(slow))], listeners=listeners)
    async with Wire(await trio.open_unix_socket(tmp_path / "s")) as wire:
        await wire.send("POST", "/slow", b"", *UPGRADE)
        await entered.wait()
    with trio.fail_after(5):
        await cancelled.wait()
    probe.stop.set()


async def test_a_reset_is_a_client_that_is_gone(probe: Probe, stage: Stage) -> None:
    async with await probe.wire() as wire:
        assert isinstance(wire.stream, trio.SocketStream)
        await wire.send("POST", "/linger", b"", *UPGRADE)
        await wire.head()
        await half_close(wire)
        assert await wire.takes(b"still here")
        wire.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    with trio.fail_after(5):
        await stage.gone.wait()


async def test_a_conversation_may_receive_while_it_sends(nursery: trio.Nursery) -> None:
    async def both(_: Call, switch: Switch) -> None:
        duplex: Duplex = await switch(RAW)
        total = 0

        async def count() -> None:
            nonlocal total
            while data := await duplex.receive():
                total += len(data)

        async with trio.open_nursery() as tasks:
            tasks.start_soon(count)
            await duplex.send(bytes(2_000_000))
        await duplex.send(b"%d" % total)

    probe = await start_probe(nursery, [route("POST", "/both", hijack(both))])
    async with await probe.wire() as wire, trio.open_nursery() as tasks:
        await wire.send("POST", "/both", b"", *UPGRADE)
        await wire.head()

        async def send() -> None:
            await wire.stream.send_all(bytes(3_000_000))
            await half_close(wire)

        tasks.start_soon(send)
        assert await wire.ended() == bytes(2_000_000) + b"3000000"
    probe.stop.set()
