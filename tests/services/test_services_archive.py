"""A run's output, read back from CloudWatch Logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from sockerless_ecs.model.container import Run
from sockerless_ecs.model.log import STDERR, STDOUT, LogLine
from sockerless_ecs.services.archive import Archive
from tests.services.fakes import FakeCloudLogs
from tests.store.records import RUN

STREAM = RUN.log_stream
LIVE = replace(RUN, exit_code=None, lines=None)
LOST = replace(RUN, exit_code=137, lines=None)


def lines(count: int) -> list[LogLine]:
    return [LogLine(n, 0, STDERR if n % 7 == 0 else STDOUT, b"%d\n" % n) for n in range(1, count + 1)]


async def read(cloud: FakeCloudLogs, first: int, last: int | None, run: Run = RUN) -> list[LogLine]:
    batches = Archive(cloud, "/g").lines(run, first, last)
    return [line async for batch in batches for line in batch]


def missing(logs: Sequence[Mapping[str, Any]]) -> list[tuple[int, int | None]]:
    return [(log["first"], log["last"]) for log in logs if log["event"] == "log_lines_missing"]


@pytest.fixture
def cloud() -> FakeCloudLogs:
    return FakeCloudLogs()


@pytest.mark.parametrize(
    ("first", "last"), [(1, None), (1, 500), (120, 130), (1, 1), (500, 500), (499, None)]
)
async def test_pages_are_joined_and_cut_to_what_was_asked(
    cloud: FakeCloudLogs, first: int, last: int | None
) -> None:
    cloud.copy(STREAM, RUN.id, lines(500))
    with capture_logs() as logs:
        assert await read(cloud, first, last) == lines(500)[first - 1 : last]
    assert missing(logs) == []


async def test_nothing_is_read_for_a_run_without_lines(cloud: FakeCloudLogs) -> None:
    assert await read(cloud, 1, 0) == []
    assert cloud.reads == 0


async def test_one_run_is_told_from_the_others_of_its_task(cloud: FakeCloudLogs) -> None:
    cloud.copy(STREAM, "a" * 32, lines(30))
    cloud.copy(STREAM, RUN.id, lines(3))
    cloud.copy(STREAM, "c" * 32, lines(30))
    assert await read(cloud, 1, None) == lines(3)


async def test_lines_that_are_late_are_waited_for(autojump_clock: MockClock, cloud: FakeCloudLogs) -> None:
    """The stream itself comes late too; each line that arrives buys more time."""
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def reader() -> None:
            got.extend(await read(cloud, 1, 3))

        nursery.start_soon(reader)
        for number in (1, 2, 3):
            await trio.sleep(25)
            if number == 1:
                cloud.write(STREAM, f"[sockerless] started run={RUN.id}")
            cloud.write(STREAM, str(number), *(["[stderr] late"] if number == 3 else []))
    assert [line.data for line in got] == [b"1\n", b"2\n", b"3\n"]


async def test_what_never_comes_is_named_as_missing_after_a_bounded_time(
    autojump_clock: MockClock, cloud: FakeCloudLogs
) -> None:
    cloud.copy(STREAM, RUN.id, lines(5), end=False)
    with capture_logs() as logs:
        assert await read(cloud, 1, 9) == lines(5)
    assert missing(logs) == [(6, 9)]
    assert 30 < trio.current_time() < 32


async def test_stream_that_never_exists_is_named_as_missing(
    autojump_clock: MockClock, cloud: FakeCloudLogs
) -> None:
    with capture_logs() as logs:
        assert await read(cloud, 1, None, LOST) == []
    assert missing(logs) == [(1, None)]
    assert 30 < trio.current_time() < 32


async def test_what_the_log_driver_dropped_is_named_and_not_waited_for(
    autojump_clock: MockClock, cloud: FakeCloudLogs
) -> None:
    """The run goes on, so that its last record is not there to end the wait."""
    cloud.copy(STREAM, RUN.id, lines(200), dropped={1, 50, 51, 120, 121}, end=False)
    with capture_logs() as logs:
        found = await read(cloud, 1, 121)
    assert [line.number for line in found] == [n for n in range(1, 121) if n not in (1, 50, 51, 120)]
    assert missing(logs) == [(1, 1), (50, 51), (120, 121)]
    assert trio.current_time() < 1


async def test_end_of_the_run_ends_the_wait(autojump_clock: MockClock, cloud: FakeCloudLogs) -> None:
    cloud.copy(STREAM, RUN.id, lines(5), dropped={4, 5})
    with capture_logs() as logs:
        assert await read(cloud, 1, None, LOST) == lines(3)
        assert await read(cloud, 1, 5) == lines(3)
    assert missing(logs) == [(4, 5), (4, 5)]
    assert trio.current_time() < 1


async def test_run_that_goes_on_gives_what_there_is_by_now(
    autojump_clock: MockClock, cloud: FakeCloudLogs
) -> None:
    assert await read(cloud, 1, None, LIVE) == []
    cloud.copy(STREAM, RUN.id, lines(75), end=False)
    with capture_logs() as logs:
        assert await read(cloud, 1, None, LIVE) == lines(75)
    assert missing(logs) == []
    assert trio.current_time() == 0
