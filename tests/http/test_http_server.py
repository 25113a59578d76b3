"""The server itself: connections, requests that misbehave, and the drain."""

from __future__ import annotations

import json
import logging

import pytest
import structlog
import trio
from hypercorn.config import Config
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import TrioSingleTask

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.http import server as server_module
from sockerless_ecs.http.connection import Connection, Surroundings
from sockerless_ecs.http.hangups import HangUps
from sockerless_ecs.http.internal import internal_app
from sockerless_ecs.http.server import LongLived
from sockerless_ecs.model.log import STDOUT, LogLine
from tests.http.conftest import Served, start_serving
from tests.http.fake_backend import FakeBackend
from tests.http.test_http_streams import until
from tests.http.wire import Wire

V1 = "/internal/v1"


async def test_one_connection_serves_thousands_of_requests(wire: Wire) -> None:
    """Upstream closes after a thousand, and keeps a task per request."""
    for _ in range(1200):
        assert (await wire.ask("GET", f"{V1}/_ping")).body == b"OK"


async def test_requests_that_are_sent_ahead_are_answered_in_order(wire: Wire) -> None:
    await wire.stream.send_all(b"GET /internal/v1/_ping HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    for _ in range(3):
        assert (await wire.answer()).body == b"OK"


async def test_paths_may_begin_with_two_slashes(wire: Wire) -> None:
    for path in ("//internal/v1/_ping", "/internal/v1/_ping/", "/internal//v1//_ping"):
        assert (await wire.ask("GET", path)).status == 200, path


@pytest.mark.parametrize("host", ["/var/run/x.sock", "docker", "", "a b", "[::1"])
async def test_any_host_will_do(served: Served, host: str) -> None:
    async with await served.wire() as wire:
        await wire.stream.send_all(f"GET /internal/v1/_ping HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert (await wire.answer()).status == 200


async def test_what_is_nowhere_is_a_404_and_a_wrong_method_a_405(wire: Wire) -> None:
    assert (await wire.ask("GET", "/internal/v1/nowhere")).message == "page not found"
    assert (await wire.ask("GET", "/")).status == 404
    wrong = await wire.ask("PUT", f"{V1}/containers")
    assert (wrong.status, wrong.message) == (405, "method not allowed")
    assert wrong.headers["allow"] == "GET, POST"
    assert (await wire.ask("HEAD", f"{V1}/events")).status == 405


async def test_malformed_http_is_answered_in_json(served: Served) -> None:
    async with await served.wire() as wire:
        await wire.stream.send_all(b"nonsense\r\n\r\n")
        answer = await wire.answer()
        assert (answer.status, answer.message) == (400, "malformed HTTP request")


async def test_a_long_head_is_read(wire: Wire) -> None:
    """Filters and credentials travel in it; upstream stops at 16 KiB."""
    assert (await wire.ask("GET", f"{V1}/_ping", b"", "X-Registry-Auth: " + "x" * 200_000)).status == 200


async def test_h2c_is_not_taken(wire: Wire) -> None:
    """BuildKit asks for a raw stream this way; Hypercorn would speak HTTP/2."""
    answer = await wire.ask(
        "GET", f"{V1}/_ping", b"", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AA"
    )
    assert answer.status == 200


async def test_an_upgrade_that_is_refused_is_an_ordinary_answer(wire: Wire) -> None:
    answer = await wire.ask("POST", f"{V1}/containers/c/attach", None, "Connection: Upgrade", "Upgrade: tcp")
    assert answer.status == 404
    assert (await wire.ask("GET", f"{V1}/_ping")).status == 200


async def test_a_short_answer_leaves_in_one_piece(wire: Wire) -> None:
    await wire.send("GET", f"{V1}/_ping")
    assert (await wire.stream.receive_some(1 << 16)).endswith(b"\r\n\r\nOK")


async def test_idle_connections_close_at_the_drain_at_once(served: Served) -> None:
    async with await served.wire() as used, await served.wire() as fresh:
        await used.ask("GET", f"{V1}/_ping")
        await until_connected(served)
        with trio.fail_after(2):
            served.stop.set()
            assert await used.ended() == b""
            assert await fresh.ended() == b""
            await served.stopped.wait()


async def until_connected(served: Served) -> None:
    """A round trip on a connection of its own: those opened before it have been accepted."""
    async with await served.wire() as wire:
        await wire.ask("GET", f"{V1}/_ping")


async def test_the_drain_ends_streams_and_lets_short_requests_finish(served: Served) -> None:
    containers = served.backend.containers
    await served.backend.container()
    async with (
        await served.wire() as follow,
        await served.wire() as events,
        await served.wire() as wait,
        await served.wire() as short,
    ):
        await follow.send("GET", f"{V1}/containers/c/logs?stdout=1&follow=1")
        await events.send("GET", f"{V1}/events")
        await wait.send("POST", f"{V1}/containers/c/wait")
        for wire in (follow, events, wait):
            await wire.head()
        await wait.chunk()
        held = trio.Event()
        containers.hold, containers.entered = held, trio.Event()
        await short.send("POST", f"{V1}/containers/c/start")
        await containers.entered.wait()
        with trio.fail_after(5):
            served.stop.set()
            assert await follow.chunk() == b""
            assert await events.chunk() == b""
            assert json.loads(await wait.chunk())["Error"]["Message"].startswith(
                "the daemon is shutting down"
            )
            assert not served.stopped.is_set()
            held.set()
            assert (await short.answer()).status == 204
            await served.stopped.wait()
    with pytest.raises(OSError, match=r"."):
        await served.wire()


async def test_a_stream_that_is_asked_for_during_the_drain_is_a_503(served: Served) -> None:
    containers = served.backend.containers
    await served.backend.container()
    async with await served.wire() as wire:
        held = trio.Event()
        containers.hold, containers.entered = held, trio.Event()
        await wire.send("GET", f"{V1}/containers/c/logs?stdout=1&follow=1")
        await containers.entered.wait()
        served.stop.set()
        await until(lambda: served.long_lived.ended)
        held.set()
        answer = await wire.answer()
        assert (answer.status, answer.message) == (503, "the daemon is shutting down")
    await served.stopped.wait()


@pytest.mark.parametrize("endless", ["&follow=1", ""])
async def test_the_drain_waits_for_no_client_that_stopped_reading(served: Served, endless: str) -> None:
    """Upstream shields its sends: one such client would hold the exit up for ever."""
    containers = served.backend.containers
    await served.backend.container()
    containers.batches = [[LogLine(n, 1, STDOUT, b"x" * 1000) for n in range(1000)]] * 100
    async with await served.wire() as wire:
        await wire.send("GET", f"{V1}/containers/c/logs?stdout=1{endless}")
        await wire.head()
        await until(lambda: containers.followers == 1)
        with trio.fail_after(5):
            served.stop.set()
            await served.stopped.wait()


async def test_the_deadline_ends_what_does_not_finish(nursery: trio.Nursery) -> None:
    backend, long_lived = FakeBackend(), LongLived()
    served = await start_serving(nursery, internal_app(backend, long_lived), backend, long_lived, 0.2)
    await backend.container()
    backend.containers.hold, backend.containers.entered = trio.Event(), trio.Event()
    async with await served.wire() as wire:
        await wire.send("POST", f"{V1}/containers/c/start")
        await backend.containers.entered.wait()
        with trio.fail_after(5):
            served.stop.set()
            await served.stopped.wait()
            assert await wire.ended() == b""


async def test_a_client_that_leaves_cancels_its_request(served: Served) -> None:
    containers = served.backend.containers
    cancelled = trio.Event()

    class Held:
        async def wait(self) -> None:
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()

    await served.backend.container()
    containers.hold, containers.entered = Held(), trio.Event()
    async with await served.wire() as wire:
        await wire.send("POST", f"{V1}/containers/c/start")
        await containers.entered.wait()
    with trio.fail_after(5):
        await cancelled.wait()


async def test_every_request_is_one_line_with_its_id(wire: Wire, backend: FakeBackend) -> None:
    backend.containers.failure = Unavailable("throttled", request_ids=("aws-1", "aws-2"))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await wire.ask("GET", f"{V1}/containers/c?x=secret")
        await until(lambda: any(line["event"] == "request" for line in lines))
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line.pop("duration_ms") >= 0
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "path": f"{V1}/containers/c",
        "operation": "ContainerInspect",
        "status": 503,
        "request_id": answer.headers["x-request-id"],
        "error": "throttled",
        "aws_request_ids": ("aws-1", "aws-2"),
    }


async def test_a_failure_that_comes_with_a_cancellation_is_logged(served: Served) -> None:
    """Otherwise it would vanish with the client."""

    class Held:
        async def wait(self) -> None:
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                raise BaseExceptionGroup("nursery", [ValueError("lost"), cancelled]) from None

    containers = served.backend.containers
    await served.backend.container()
    containers.hold, containers.entered = Held(), trio.Event()
    with structlog.testing.capture_logs() as lines:
        async with await served.wire() as wire:
            await wire.send("POST", f"{V1}/containers/c/start")
            await containers.entered.wait()
        await until(lambda: any(line["event"] == "request" for line in lines))
    assert [str(line["exc_info"].exceptions[0]) for line in lines if "exc_info" in line] == ["lost"]
    assert [line["cut_short"] for line in lines if line["event"] == "request"] == [True]


async def test_the_upstream_that_is_mended_is_the_upstream_that_was_read() -> None:
    """What `Connection` overrides must exist; a new Hypercorn that renames it must not pass unseen."""
    for name in ("run", "protocol_send", "_read_data", "_close"):
        assert name in vars(TCPServer)
        assert name in vars(Connection)
    ours, (near, _) = server_module._config(), trio.testing.memory_stream_pair()
    assert ours.h11_max_incomplete_size >= 1 << 20
    assert ours.keep_alive_timeout > 600
    assert ours.keep_alive_max_requests > 10**9
    with HangUps().opened() as hang_ups:
        connection = Connection(Surroundings(None, Config(), hang_ups, None, 60), near)
    assert type(connection.idle_task) is not TrioSingleTask
    assert logging.getLogger("hypercorn.error").handlers == []
    app = internal_app(FakeBackend(), LongLived())
    assert (app.config["RESPONSE_TIMEOUT"], app.config["BODY_TIMEOUT"]) == (None, None)
    assert app.config["MAX_CONTENT_LENGTH"] == 16 << 20
