"""Answers that are given again from memory: the same bytes, never stale, and only where nothing is subtle."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import structlog
import trio

from sockerless_ecs.errors import NotFound
from sockerless_ecs.http.hot import Hot
from sockerless_ecs.http.route import Call, Reply, json_reply
from tests.http.probe import Probe, Revised, route, start_probe
from tests.http.wire import Whole, Wire

HOT = b"GET /hot HTTP/1.1\r\nHost: x\r\n\r\n"


class Counted:
    """Handlers that count how often they are asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def show(self, call: Call) -> Reply:
        self.asked += 1
        return json_reply({"asked": self.asked, "all": call.query.flag("all"), "version": call.version})

    async def fail(self, _: Call) -> Reply:
        self.asked += 1
        raise NotFound("No such container: c")

    async def race(self, call: Call) -> Reply:
        answer = await self.show(call)
        call.backend.revision += 1  # type: ignore[misc]
        return answer


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
async def probe(nursery: trio.Nursery, counted: Counted) -> AsyncIterator[Probe]:
    probe = await start_probe(
        nursery,
        [
            route("GET", "/hot", counted.show, hot=True),
            route("HEAD", "/hot", counted.show, hot=True),
            route("GET", "/brief", counted.show, hot=True, hot_seconds=0.05),
            route("GET", "/cold", counted.show),
            route("POST", "/hot", counted.show),
            route("GET", "/fail", counted.fail, hot=True),
            route("GET", "/race", counted.race, hot=True),
        ],
    )
    yield probe
    probe.stop.set()


@pytest.fixture
async def wire(probe: Probe) -> AsyncIterator[Wire]:
    async with await probe.wire() as wire:
        yield wire


def varying(answer: Whole) -> tuple[int, dict[str, str], bytes]:
    """An answer without what is its own."""
    own = {"x-request-id", "date"}
    return (
        answer.status,
        {name: value for name, value in answer.headers.items() if name not in own},
        answer.body,
    )


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_hot_answer_is_the_same_but_for_its_id(wire: Wire, counted: Counted, method: str) -> None:
    answers = [await wire.ask(method, "/hot") for _ in range(4)]
    assert counted.asked == 1
    assert all(varying(answer) == varying(answers[0]) for answer in answers)
    assert list(answers[0].headers) == list(answers[1].headers) or set(answers[0].headers) == set(
        answers[1].headers
    )
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4


async def test_it_lasts_until_something_changes(wire: Wire, probe: Probe, counted: Counted) -> None:
    for _ in range(3):
        await wire.ask("GET", "/hot")
    probe.source.revision += 1
    assert (await wire.ask("GET", "/hot")).json["asked"] == 2
    assert (await wire.ask("GET", "/hot")).json["asked"] == 2
    assert counted.asked == 2


async def test_what_changed_while_it_was_made_is_not_kept(wire: Wire, counted: Counted) -> None:
    await wire.ask("GET", "/race")
    await wire.ask("GET", "/race")
    assert counted.asked == 2


async def test_what_shows_times_lasts_a_moment(wire: Wire) -> None:
    assert (await wire.ask("GET", "/brief")).json["asked"] == 1
    with trio.fail_after(5):
        while (await wire.ask("GET", "/brief")).json["asked"] == 1:
            await trio.lowlevel.checkpoint()


async def test_every_target_is_its_own(wire: Wire, counted: Counted) -> None:
    for _ in range(2):
        assert (await wire.ask("GET", "/hot")).json["all"] is False
        assert (await wire.ask("GET", "/hot?all=1")).json["all"] is True
        assert (await wire.ask("GET", "/v1.44/hot")).json["version"] == [1, 44]
        assert (await wire.ask("GET", "/v1.23/hot")).status == 400
    assert counted.asked == 3


async def test_failures_and_cold_routes_are_asked_each_time(wire: Wire, counted: Counted) -> None:
    for path in ("/fail", "/cold"):
        counted.asked = 0
        for _ in range(3):
            await wire.ask("GET", path)
        assert counted.asked == 3, path


@pytest.mark.parametrize(
    "header",
    [
        "Connection: close",
        "Connection: Upgrade\r\nUpgrade: tcp",
        "Content-Length: 0",
        "Expect: 100-continue",
        "Transfer-Encoding: chunked\r\nX: y",
        "connection:close",
    ],
)
async def test_what_is_not_plain_takes_the_normal_road(probe: Probe, counted: Counted, header: str) -> None:
    async with await probe.wire() as wire:
        await wire.ask("GET", "/hot")
    async with await probe.wire() as wire:
        body = b"0\r\n\r\n" if "chunked" in header else b""
        await wire.stream.send_all(f"GET /hot HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode() + body)
        assert (await wire.answer()).json["asked"] == 2
    assert counted.asked == 2


async def test_keep_alive_may_be_said(wire: Wire, counted: Counted) -> None:
    for _ in range(3):
        await wire.ask("GET", "/hot", b"", "Connection: keep-alive", "Accept-Encoding: gzip, deflate")
    assert counted.asked == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /hot HTTP/1.1\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: x\r\nbad name: y\r\n\r\n",
        b"GET /hot HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET  /hot HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_malformed_is_malformed_when_hot_too(probe: Probe, request_: bytes) -> None:
    async with await probe.wire() as wire:
        await wire.ask("GET", "/hot")
        await wire.stream.send_all(request_)
        answer = await wire.answer()
        assert (answer.status, answer.message) == (400, "malformed HTTP request")


async def test_pipelined_and_partial_requests_are_answered_in_order(wire: Wire, counted: Counted) -> None:
    await wire.ask("GET", "/hot")
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    await wire.stream.send_all(HOT + ping + HOT + HOT[:20])
    assert (await wire.answer()).json["all"] is False
    assert (await wire.answer()).body == b"pong"
    assert (await wire.answer()).json["all"] is False
    await wire.stream.send_all(HOT[20:])
    assert (await wire.answer()).json["all"] is False
    asked = counted.asked
    await wire.ask("GET", "/hot")
    assert counted.asked == asked


async def test_a_request_in_the_body_of_another_is_none(wire: Wire, counted: Counted) -> None:
    """The body comes alone and looks like a hot request: it is a body all the same."""
    await wire.ask("GET", "/hot")
    await wire.stream.send_all(
        b"POST /hot HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 * len(HOT))
    )
    for _ in range(10):
        await trio.testing.wait_all_tasks_blocked()
    await wire.stream.send_all(HOT)
    await trio.testing.wait_all_tasks_blocked()
    await wire.stream.send_all(HOT)
    wire._method = "POST"
    assert (await wire.answer()).json["asked"] == 2
    assert (await wire.ask("GET", "/ping")).body == b"pong"


async def test_a_hot_answer_is_logged_where_detail_is_asked_for(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    await wire.ask("GET", "/hot?x=secret")
    with structlog.testing.capture_logs() as lines:
        await wire.ask("GET", "/hot?x=secret")
        assert not [line for line in lines if line.get("hot")]
        caplog.set_level(logging.DEBUG, "sockerless_ecs.http.hot")
        answer = await wire.ask("GET", "/hot?x=secret")
    (line,) = [line for line in lines if line.get("hot")]
    assert line == {
        "event": "request",
        "log_level": "debug",
        "method": "GET",
        "path": "/hot",
        "status": 200,
        "hot": True,
        "request_id": answer.headers["x-request-id"],
    }


async def test_a_client_that_does_not_read_hot_answers_delays_no_drain(probe: Probe) -> None:
    assert probe.app.hot is not None
    probe.app.hot.keep("GET", b"/big", {}, bytes(4_000_000), revision=0, seconds=60)
    async with await probe.wire() as wire:
        await wire.stream.send_all(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        await wire._more()
        with trio.fail_after(5):
            probe.stop.set()
            await probe.stopped.wait()


def test_memory_is_bounded_and_the_least_used_goes_first() -> None:
    hot = Hot(Revised())

    def keep(number: int) -> None:
        hot.keep("GET", b"/%d" % number, {}, bytes(1 << 20), revision=0, seconds=60)

    def kept(number: int) -> bool:
        return hot.answer(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number) is not None

    for number in range(31):
        keep(number)
    assert kept(0)
    keep(31)
    assert [number for number in range(32) if not kept(number)] == [1]
    hot.keep("GET", b"/large", {}, bytes(5 << 20), revision=0, seconds=60)
    assert hot.answer(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n") is None
    for _ in range(100):
        keep(2)
    assert kept(2)
    assert kept(30)
