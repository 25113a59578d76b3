"""Long answers: logs, wait and events, their clients that leave and the drain that ends them."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from urllib.parse import quote

import pytest
import structlog
import trio
from trio_websocket import ConnectionClosed

from sockerless_ecs.errors import NotFound, Unavailable
from sockerless_ecs.model.log import STDERR, STDOUT, LogLine
from tests.http.conftest import Served
from tests.http.fake_backend import FakeBackend
from tests.http.wire import Wire, web_socket

V1 = "/internal/v1"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


def frames(raw: bytes) -> list[tuple[int, bytes]]:
    """Docker's frames taken apart."""
    found = []
    while raw:
        stream, size = struct.unpack(">BxxxL", raw[:8])
        found.append((stream, raw[8 : 8 + size]))
        raw = raw[8 + size :]
    return found


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what the fake tells only when it is asked."""
    with trio.fail_after(10):
        while not condition():
            await trio.lowlevel.checkpoint()


async def test_logs_are_frames_a_line_each(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    backend.containers.write("c", b"out\n")
    backend.containers.write("c", b"err\n", STDERR)
    backend.containers.write("c", b"no newline")
    answer = await wire.ask("GET", f"{V1}/containers/c/logs?stdout=1&stderr=1&tail=all")
    assert answer.headers["content-type"] == MULTIPLEXED
    assert frames(answer.body) == [(STDOUT, b"out\n"), (STDERR, b"err\n"), (STDOUT, b"no newline")]
    stamped = await wire.ask("GET", f"{V1}/containers/c/logs?stdout=1&timestamps=1&tail=1&details=1")
    assert frames(stamped.body) == [(STDOUT, b"2023-11-14T22:13:20.123456789Z  no newline")]


async def test_log_options_reach_the_engine(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    await wire.ask("GET", f"{V1}/containers/c/logs?stderr=True&since=12.5&until=1970-01-01T00:01:00Z&tail=7")
    options = backend.containers.options
    assert options is not None
    assert (options.stdout, options.stderr, options.follow, options.tail) == (False, True, False, 7)
    assert (options.since_ns, options.until_ns) == (12_500_000_000, 60_000_000_000)


async def test_logs_of_a_terminal_are_raw(wire: Wire, backend: FakeBackend) -> None:
    await backend.container(tty=True)
    backend.containers.write("c", b"\x1b[1mhi\r\n")
    answer = await wire.ask("GET", f"{V1}/containers/c/logs?stdout=1")
    assert answer.headers["content-type"] == "application/vnd.docker.raw-stream"
    assert answer.body == b"\x1b[1mhi\r\n"


async def test_follow_sends_its_head_at_once_and_lines_as_they_come(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    await wire.send("GET", f"{V1}/containers/c/logs?stdout=1&follow=1")
    assert (await wire.head()).status == 200
    for number in range(3):
        backend.containers.write("c", b"%d\n" % number)
        assert frames(await wire.chunk()) == [(1, b"%d\n" % number)]
    backend.containers.write("c", b"last\n")
    backend.containers.exit("c", 0)
    assert frames(await wire.chunk()) == [(1, b"last\n")]
    assert await wire.chunk() == b""
    assert (await wire.ask("GET", f"{V1}/info")).status == 200  # the connection is good for more


async def test_wait_before_start_answers_at_once_and_pads_for_buffering_frontends(
    wire: Wire, backend: FakeBackend
) -> None:
    await backend.container()
    await wire.send("POST", f"{V1}/containers/c/wait?condition=next-exit")
    assert (await wire.head()).headers["content-type"] == "application/json"
    padding = await wire.chunk()
    assert len(padding) >= 8 << 10
    assert not padding.strip()
    backend.containers.exit("c", 7)
    assert json.loads(await wire.chunk()) == {"StatusCode": 7}
    assert await wire.chunk() == b""


async def test_wait_for_what_has_ended_is_short(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    backend.containers.exit("c", 3)
    answer = await wire.ask("POST", f"{V1}/containers/c/wait")
    assert (answer.status, answer.json, len(answer.body)) == (200, {"StatusCode": 3}, 17)


async def test_wait_for_what_is_not_there_is_a_404(wire: Wire) -> None:
    assert (await wire.ask("POST", f"{V1}/containers/nope/wait")).message == "No such container: nope"


async def test_events_flush_their_head_and_have_dockers_shape(wire: Wire, backend: FakeBackend) -> None:
    await wire.send("GET", f"{V1}/events")
    assert (await wire.head()).headers["content-type"] == "application/json"
    container_id = await backend.container()
    event = json.loads(await wire.chunk())
    assert event == {
        "Type": "container",
        "Action": "create",
        "Actor": {"ID": container_id, "Attributes": {"image": "alpine:3", "name": "c"}},
        "scope": "local",
        "time": event["timeNano"] // 10**9,
        "timeNano": event["timeNano"],
        "status": "create",
        "id": container_id,
        "from": "alpine:3",
    }


async def test_events_of_the_past_end_at_until(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    answer = await wire.ask("GET", f"{V1}/events?since=1&until=99999999999")
    assert [json.loads(line)["Action"] for line in answer.body.splitlines()] == ["create"]


async def test_a_hundred_clients_that_leave_leave_nothing_behind(served: Served) -> None:
    await served.backend.container()
    containers, system = served.backend.containers, served.backend.system
    wires = []
    for number in range(102):
        wire = await served.wire()
        target = ("containers/c/logs?stdout=1&follow=1", "events", "containers/c/wait")[number % 3]
        await wire.send("POST" if number % 3 == 2 else "GET", f"{V1}/{target}")
        wires.append(wire)
    for wire in wires:
        await wire.head()
    assert (containers.followers, len(system.listeners)) == (34, 34)
    assert len(containers.waits.popitem()[1]) == 34
    for wire in wires:
        await trio.aclose_forcefully(wire.stream)
    await until(lambda: not served.long_lived)
    assert (containers.followers, len(system.listeners)) == (0, 0)


async def test_a_client_that_leaves_a_flood_ends_it(served: Served) -> None:
    """It stopped reading, the handler is stuck in a send: the reset is still noticed."""
    await served.backend.container()
    containers = served.backend.containers
    containers.batches = [[LogLine(n, 1, STDOUT, b"x" * 1000) for n in range(1000)]] * 100
    async with await served.wire() as wire:
        await wire.send("GET", f"{V1}/containers/c/logs?stdout=1&follow=1")
        await wire.head()
    await until(lambda: containers.followers == 0)


@pytest.mark.parametrize("failure", [Unavailable("the agent is gone"), ZeroDivisionError()])
async def test_a_failure_on_the_way_breaks_the_stream_off(
    wire: Wire, backend: FakeBackend, failure: Exception
) -> None:
    """The client sees that the end is missing; a clean end would be a lie."""
    await backend.container()
    backend.containers.batches = [[LogLine(1, 1, STDOUT, b"x\n")]]
    backend.containers.breaks_off = failure
    with structlog.testing.capture_logs() as lines:
        await wire.send("GET", f"{V1}/containers/c/logs?stdout=1")
        assert (await wire.head()).status == 200
        assert frames(await wire.chunk()) == [(1, b"x\n")]
        assert await wire.ended() == b""
        await until(lambda: any(line["event"] == "request" for line in lines))
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["cut_short"]
    assert line.get("error") == "the agent is gone" or lines[0]["event"] == "request failed"


async def test_a_websocket_that_fails_on_the_way_closes_with_the_reason(served: Served) -> None:
    await served.backend.container()
    served.backend.containers.breaks_off = Unavailable("the agent is gone")
    async with web_socket(served.address, f"{V1}/containers/c/logs/stream") as socket:
        with pytest.raises(ConnectionClosed):
            await socket.get_message()
        assert socket.closed is not None
        assert (socket.closed.code, socket.closed.reason) == (1011, "the agent is gone")


@pytest.mark.parametrize("target", ["containers/c/wait", "containers/c/wait?condition=removed"])
async def test_wait_as_a_websocket_is_one_message(served: Served, target: str) -> None:
    await served.backend.container()
    async with web_socket(served.address, f"{V1}/{target}") as socket:
        served.backend.containers.exit("c", 9)
        assert await socket.get_message() == '{"StatusCode":9,"Error":null}'
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_logs_as_a_websocket_are_messages(served: Served) -> None:
    container_id = await served.backend.container()
    served.backend.containers.write("c", b"one\n")
    async with web_socket(served.address, f"{V1}/containers/c/logs/stream") as socket:
        assert json.loads(await socket.get_message()) == {
            "type": "stdout",
            "id": container_id,
            "data": base64.b64encode(b"one\n").decode(),
        }
        served.backend.containers.write("c", b"two\n", STDERR)
        assert json.loads(await socket.get_message())["type"] == "stderr"
    await until(lambda: not served.long_lived)
    assert served.backend.containers.followers == 0


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("containers/nope/wait", 404),
        ("containers/nope/logs/stream", 404),
        ("containers/nope/attach/ws", 404),
        ("exec/e/start/ws", 404),
        ("nowhere", 404),
    ],
)
async def test_a_websocket_that_cannot_be_is_refused_with_the_message(
    wire: Wire, backend: FakeBackend, path: str, status: int
) -> None:
    await backend.container()
    handshake = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    answer = await wire.ask(
        "GET", f"{V1}/{path}", b"", "Connection: Upgrade", "Upgrade: websocket", *handshake
    )
    assert answer.status == status
    assert answer.message


async def test_pull_streams_progress(wire: Wire, backend: FakeBackend) -> None:
    auth = base64.urlsafe_b64encode(b'{"username":"u","password":"p","serveraddress":"r"}').decode()
    answer = await wire.ask("POST", f"{V1}/images/pull", {"Reference": "alpine:latest", "Auth": auth})
    lines = [json.loads(line) for line in answer.body.splitlines()]
    assert lines[0] == {"status": "Pulling from library/alpine", "id": "3"}
    assert lines[1]["status"].startswith("Status:")
    assert backend.images.credentials is not None
    assert backend.images.credentials.password == "p"
    shown = (await wire.ask("GET", f"{V1}/images/inspect?name=alpine")).json
    assert (shown["RepoTags"], shown["Config"]["Cmd"]) == (["alpine:latest"], ["sh"])
    assert (await wire.ask("GET", f"{V1}/images")).json[0]["RepoTags"] == ["alpine:latest"]


async def test_a_pull_that_fails_at_once_has_its_status(wire: Wire) -> None:
    assert (await wire.ask("POST", f"{V1}/images/pull", {"Reference": "missing:latest"})).status == 404
    assert (await wire.ask("POST", f"{V1}/images/pull", {"Reference": "a", "Auth": "*"})).status == 400
    assert (await wire.ask("POST", f"{V1}/images/pull", {"Reference": ":x"})).status == 501
    assert "Reference" in (await wire.ask("POST", f"{V1}/images/pull", {})).message


async def test_a_pull_that_fails_on_the_way_says_so_in_its_last_line(
    wire: Wire, backend: FakeBackend
) -> None:
    backend.images.fails_on_the_way = Unavailable("registry went away")
    answer = await wire.ask("POST", f"{V1}/images/pull", {"Reference": "alpine:3"})
    assert answer.status == 200
    assert json.loads(answer.body.splitlines()[-1]) == {
        "errorDetail": {"message": "registry went away"},
        "error": "registry went away",
    }


async def test_image_names_may_have_slashes_escaped_or_not(wire: Wire, backend: FakeBackend) -> None:
    await backend.pulled("ghcr.io/own/tool:1")
    for path in (quote("ghcr.io/own/tool:1", safe=":"), "ghcr.io/own/tool:1"):
        assert (await wire.ask("GET", f"{V1}/images/{path}")).status == 200
        assert (await wire.ask("POST", f"{V1}/images/{path}/tag?repo=x&tag=2")).status == 201
        history = (await wire.ask("GET", f"{V1}/images/{path}/history")).json
        assert ("x:2" in history[0]["Tags"], history[1]["Id"]) == (True, "<missing>")
        gone = await wire.ask("DELETE", f"{V1}/images/{path}")
        assert gone.json == [{"Untagged": "ghcr.io/own/tool:1"}]
        await backend.pulled("ghcr.io/own/tool:1")


async def test_a_stream_that_cannot_begin_is_an_ordinary_failure(wire: Wire, backend: FakeBackend) -> None:
    await backend.container()
    backend.containers.failure = NotFound("No such container: c")
    assert (await wire.ask("GET", f"{V1}/containers/c/logs?stdout=1&follow=1")).status == 404
