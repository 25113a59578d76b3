"""Bodies as they arrive: bounded memory, ends that come too early, and heads that are wrong."""

from __future__ import annotations

import itertools
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
import trio

from sockerless_ecs.errors import NotFound
from sockerless_ecs.http.listeners import unix_listener
from sockerless_ecs.http.route import Call, Reply
from tests.conftest import not_run_here
from tests.http.probe import Probe, echo, hijack, route, start_probe
from tests.http.test_http_streams import until
from tests.http.wire import Wire

MIB = 1 << 20


class Sink:
    """Handlers that read bodies, or do not."""

    def __init__(self) -> None:
        self.go = trio.Event()
        self.entered = trio.Event()
        self.cancelled = trio.Event()
        self.sizes: list[int] = []

    async def count(self, call: Call) -> Reply:
        size = 0
        async for piece in call.stream_body():
            size += len(piece)
        self.sizes.append(size)
        return Reply(200, b"%d" % size, "text/plain")

    async def whole(self, call: Call) -> Reply:
        return Reply(200, b"%d" % len(await call.read_body()), "text/plain")

    async def slow(self, call: Call) -> Reply:
        self.entered.set()
        try:
            await self.go.wait()
        except trio.Cancelled:
            self.cancelled.set()
            raise
        return await self.count(call)

    async def refuse(self, _: Call) -> Reply:
        raise NotFound("No such container: c")


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture
async def probe(nursery: trio.Nursery, sink: Sink) -> AsyncIterator[Probe]:
    table = {"/count": sink.count, "/whole": sink.whole, "/slow": sink.slow, "/refuse": sink.refuse}
    probe = await start_probe(nursery, [route("PUT", path, handle) for path, handle in table.items()])
    yield probe
    probe.stop.set()


def head(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"PUT {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / MIB


async def test_a_large_body_is_read_in_bounded_memory(probe: Probe, sink: Sink) -> None:
    piece, pieces = bytes(MIB), 400
    async with await probe.wire() as wire:
        await wire.ask("GET", "/ping")
        before = resident_mib()
        await wire.stream.send_all(head("/count", f"Content-Length: {pieces * MIB}"))
        for _ in range(pieces):
            await wire.stream.send_all(piece)
        wire._method = "PUT"
        assert (await wire.answer()).body == b"%d" % (pieces * MIB)
        assert resident_mib() - before < 32
        assert (await wire.ask("GET", "/ping")).status == 200


async def test_a_body_that_is_not_read_stays_with_its_client(probe: Probe, sink: Sink) -> None:
    """Upstream takes all of it into memory, however slow the handler."""
    async with await probe.wire() as wire:
        assert isinstance(wire.stream, trio.SocketStream)
        before, sent = resident_mib(), 0
        await wire.stream.send_all(head("/slow", f"Content-Length: {400 * MIB}"))
        await sink.entered.wait()
        with trio.move_on_after(1):
            while True:
                await wire.stream.send_all(bytes(65536))
                sent += 65536
        assert sent < 32 * MIB
        assert resident_mib() - before < 32


async def test_chunks_are_joined(probe: Probe) -> None:
    async with await probe.wire() as wire:
        chunks = b"3\r\nabc\r\n" * 1000 + b"0\r\n\r\n"
        await wire.stream.send_all(head("/count", "Transfer-Encoding: chunked") + chunks)
        assert (await wire.answer()).body == b"3000"
        assert (await wire.ask("PUT", "/whole", b"12345")).body == b"5"


@pytest.mark.parametrize("path", ["/count", "/whole"])
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (head("/count", "Content-Length: 10") + b"abc", "received 3 bytes, expected 10"),
        (head("/count", "Transfer-Encoding: chunked") + b"3\r\nab", "incomplete chunked read"),
    ],
)
async def test_a_body_cut_short_is_a_400_that_says_so(
    probe: Probe, path: str, sent: bytes, reason: str
) -> None:
    async with await probe.wire() as wire:
        assert isinstance(wire.stream, trio.SocketStream)
        await wire.stream.send_all(sent.replace(b"/count", path.encode()))
        await wire.stream.send_eof()
        answer = await wire.answer()
        assert answer.status == 400
        assert answer.message.startswith("the request body is incomplete: ")
        assert reason in answer.message
        assert answer.headers["connection"] == "close"
        assert await wire.ended() == b""


async def test_a_chunk_that_is_none_is_a_400(probe: Probe) -> None:
    async with await probe.wire() as wire:
        await wire.stream.send_all(head("/count", "Transfer-Encoding: chunked") + b"zz\r\nabc\r\n")
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await wire.ended() == b""


async def test_a_body_over_the_limit_is_refused_where_all_of_it_is_wanted(probe: Probe) -> None:
    async with await probe.wire() as wire:
        await wire.stream.send_all(head("/whole", f"Content-Length: {64 * MIB}"))
        with trio.move_on_after(5):
            await wire.stream.send_all(bytes(17 * MIB))
        answer = await wire.answer()
        assert (answer.status, answer.message) == (400, "the request body is larger than 16 MiB")


async def test_a_client_that_leaves_in_the_middle_of_a_body_cancels_its_handler(
    nursery: trio.Nursery, sink: Sink, tmp_path: Path
) -> None:
    listeners = [unix_listener(tmp_path / "s")]
    probe = await start_probe(nursery, [route("PUT", "/slow", sink.slow)], listeners=listeners)
    async with Wire(await trio.open_unix_socket(tmp_path / "s")) as wire:
        await wire.stream.send_all(head("/slow", "Content-Length: 10") + b"abc")
        await sink.entered.wait()
    with trio.fail_after(5):
        await sink.cancelled.wait()
    probe.stop.set()


async def test_an_answer_before_a_small_body_leaves_the_connection_usable(probe: Probe) -> None:
    async with await probe.wire() as wire:
        for _ in range(3):
            assert (await wire.ask("PUT", "/refuse", b"x" * 1000)).status == 404
        assert (await wire.ask("GET", "/ping")).body == b"pong"


@pytest.mark.parametrize(
    ("method", "path", "first"), [("GET", "/ping", (200, "OK")), ("PUT", "/refuse", (404, "Not Found"))]
)
async def test_a_status_line_has_words(probe: Probe, method: str, path: str, first: tuple[int, str]) -> None:
    """Clients put them into what they tell people: "404 Client Error: Not Found"."""
    async with await probe.wire() as wire:
        await wire.send(method, path)
        head = await wire.head()
        assert (head.status, head.reason) == first


async def test_an_answer_waits_for_a_small_body_that_is_on_its_way(probe: Probe) -> None:
    """Clients send heads and bodies apart: one that nobody reads must not cost the connection."""
    async with await probe.wire() as wire:
        await wire.stream.send_all(head("/refuse", "Content-Length: 3"))
        await trio.testing.wait_all_tasks_blocked()
        await wire.stream.send_all(b"abc")
        answer = await wire.answer()
        assert (answer.status, "connection" in answer.headers) == (404, False)
        assert (await wire.ask("GET", "/ping")).body == b"pong"


async def test_an_answer_before_a_large_body_arrives_and_the_connection_ends(probe: Probe) -> None:
    """A reset for what was not read would eat the answer."""
    async with await probe.wire() as wire, trio.open_nursery() as nursery:
        await wire.stream.send_all(head("/refuse", f"Content-Length: {64 * MIB}"))

        async def upload() -> None:
            try:
                await wire.stream.send_all(bytes(64 * MIB))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

        nursery.start_soon(upload)
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await wire.ended() == b""
        await trio.aclose_forcefully(wire.stream)


async def test_a_client_that_waits_for_leave_gets_it_when_its_body_is_wanted(
    probe: Probe, sink: Sink
) -> None:
    async with await probe.wire() as wire:
        await wire.stream.send_all(head("/slow", "Content-Length: 3", "Expect: 100-continue"))
        await sink.entered.wait()
        with trio.move_on_after(0.1) as quiet:
            await wire.stream.receive_some(100)
        assert quiet.cancelled_caught
        sink.go.set()
        assert (await wire.head()).status == 100
        await wire.stream.send_all(b"abc")
        assert (await wire.answer()).body == b"3"
        assert (await wire.ask("GET", "/ping")).status == 200


async def test_a_client_that_waits_for_leave_and_is_refused_sends_nothing(probe: Probe) -> None:
    async with await probe.wire() as wire:
        await wire.stream.send_all(head("/refuse", "Content-Length: 3", "Expect: 100-continue"))
        answer = await wire.answer()
        assert (answer.status, answer.headers["connection"]) == (404, "close")


async def test_curl_uploads_with_expect(nursery: trio.Nursery, sink: Sink, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        not_run_here("the curl command")
    (tmp_path / "body").write_bytes(bytes(3 * MIB))
    listeners = [unix_listener(tmp_path / "s")]
    probe = await start_probe(nursery, [route("PUT", "/count", sink.count)], listeners=listeners)
    line = ["curl", "-sS", "--unix-socket", str(tmp_path / "s"), "-T", str(tmp_path / "body")]
    line += ["-H", "Expect: 100-continue", "http://d/count"]
    done = await trio.run_process(line, capture_stdout=True)
    assert done.stdout == b"%d" % (3 * MIB)
    probe.stop.set()


async def test_a_head_that_is_too_long_is_a_431_in_json(probe: Probe) -> None:
    async with await probe.wire() as wire, trio.open_nursery() as nursery:

        async def send() -> None:
            try:
                await wire.stream.send_all(b"GET /ping HTTP/1.1\r\nHost: x\r\nX: " + b"x" * (2 * MIB))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

        nursery.start_soon(send)
        answer = await wire.answer()
        assert (answer.status, answer.message) == (431, "the request's head is too large")
        assert await wire.ended() == b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n bad\r\nfold\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\nBad Name: x\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
    ],
)
async def test_garbage_is_answered_in_json_and_closed(probe: Probe, garbage: bytes) -> None:
    async with await probe.wire() as wire:
        await wire.ask("GET", "/ping")
        await wire.stream.send_all(garbage)
        answer = await wire.answer()
        assert answer.status in (400, 501)
        assert answer.message == "malformed HTTP request"
        assert await wire.ended() == b""


@pytest.mark.parametrize("half", [b"G", b"GET /ping HTTP/1.1\r\nHo", b""])
async def test_half_a_request_and_then_nothing_ends_the_connection(probe: Probe, half: bytes) -> None:
    async with await probe.wire() as wire:
        assert isinstance(wire.stream, trio.SocketStream)
        await wire.stream.send_all(half)
        await wire.stream.send_eof()
        with trio.fail_after(5):
            rest = await wire.ended()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 400 ")


async def test_a_head_that_comes_too_slowly_is_cut_off(nursery: trio.Nursery) -> None:
    """But who merely keeps a connection is left alone."""
    probe = await start_probe(nursery, [], head_seconds=0.3)
    async with await probe.wire() as idle, await probe.wire() as slow:
        await idle.ask("GET", "/ping")
        await slow.ask("GET", "/ping")
        with trio.fail_after(5), suppress(trio.BrokenResourceError, EOFError):
            for byte in itertools.chain(b"GET /ping HTTP/1.1\r\nX: ", itertools.repeat(120)):
                await slow.stream.send_all(bytes([byte]))
                with trio.move_on_after(0.02):
                    await slow._more()
        assert (await idle.ask("GET", "/ping")).status == 200
    probe.stop.set()


@pytest.mark.parametrize(
    "whole",
    [
        head("/count", "Content-Length: 5") + b"12345",
        head("/echo", "Content-Length: 2", "Connection: Upgrade", "Upgrade: tcp") + b"{}input",
        head("/echo", "Content-Length: 0") + b"input",
    ],
)
async def test_clients_that_vanish_in_any_phase_leave_nothing(
    nursery: trio.Nursery, sink: Sink, whole: bytes
) -> None:
    table = [route("PUT", "/count", sink.count), route("PUT", "/echo", hijack(echo))]
    probe = await start_probe(nursery, table)
    async with await probe.wire() as wire:
        await wire.ask("GET", "/ping")

    def living() -> tuple[int, int]:
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        return descriptors, trio.lowlevel.current_statistics().tasks_living

    before = living()
    for cut in range(0, len(whole), 3):
        for reset in (True, False):
            plain = socket.create_connection(probe.address)
            if reset:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            plain.sendall(whole[:cut])
            await trio.lowlevel.checkpoint()
            plain.close()
    await until(lambda: all(now <= then for now, then in zip(living(), before, strict=True)))
    probe.stop.set()


async def test_a_thousand_connections_do_not_delay_the_drain(nursery: trio.Nursery) -> None:
    probe = await start_probe(nursery, [], grace_seconds=60)
    async with AsyncExitStack() as closing:
        streams = [
            await closing.enter_async_context(await trio.open_tcp_stream(*probe.address)) for _ in range(1000)
        ]
        for stream in streams[:500]:
            await stream.send_all(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        for stream in streams[:500]:
            assert (await stream.receive_some(1000)).endswith(b"pong")
        async with await probe.wire() as wire:
            await wire.ask("GET", "/ping")
        with trio.fail_after(20):
            probe.stop.set()
            await probe.stopped.wait()
