"""A container that writes without end: nothing waits for it, disk and memory stay bounded."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
import trio

from sockerless_ecs.sandbox.launch import LOG_GROUP, SandboxOptions, embedded_aws
from sockerless_ecs.sandbox.logs.output import Output
from sockerless_ecs.sandbox.logs.spool import Spool
from sockerless_ecs.sandbox.logs.store import Events, LogEvent, LogStore, Stream, block
from tests.e2e.world import Cloud
from tests.sandbox.aws.account import FOREVER, Account, eventually

LOG_BYTES = 4 << 20
NOISE = "exec yes 'a line of a noisy container'"


def spool_of(account: Account, arn: str) -> Path:
    return account.info.state_dir / "runner" / "logs" / arn.rsplit("/", 1)[-1] / "main"


def check(account: Account) -> None:
    arn = account.start(NOISE)
    account.until(arn, "RUNNING")
    spool = spool_of(account, arn)
    eventually(lambda: spool.stat().st_size > 16 * LOG_BYTES)
    started = time.monotonic()
    account.until(account.start(FOREVER), "RUNNING")
    stream = f"sockerless/main/{arn.rsplit('/', 1)[-1]}"
    wanted = {"logGroupName": LOG_GROUP, "logStreamName": stream, "limit": 10}
    page = eventually(lambda: account.logs.get_log_events(**wanted)["events"])
    assert {event["message"] for event in page} == {"a line of a noisy container"}
    account.logs.describe_log_streams(logGroupName=LOG_GROUP)
    account.until(account.start(FOREVER), "RUNNING")
    assert time.monotonic() - started < 10
    notices = set(account.lines(arn)) - {"a line of a noisy container"}
    assert notices
    assert all(re.match(r"\[sockerless\] the sandbox (dropped|keeps) \d+ bytes", item) for item in notices)
    eventually(lambda: spool.stat().st_size > 64 * LOG_BYTES)
    eventually(lambda: spool.stat().st_blocks * 512 < 32 * LOG_BYTES)


async def test_a_noisy_container_is_bounded_and_ends_at_once() -> None:
    options = SandboxOptions(
        provision_seconds=0, stop_seconds=0, log_delay_seconds=0.05, rate_limits=False, log_bytes=LOG_BYTES
    )
    async with embedded_aws(options) as info:
        account = Account(Cloud(info))
        await trio.to_thread.run_sync(check, account)
        account.http.close()
        ending = time.monotonic()
    assert time.monotonic() - ending < 9, "it had to be killed"
    assert not info.state_dir.exists()


class Written:
    """A spool with its output, without a task."""

    def __init__(self, path: Path, most_bytes: int, *, punches: bool = True) -> None:
        self.path = path
        self.stream = Stream("s", "arn", 0)
        spool = Spool(path) if punches else Spool(path, _cannot_punch)
        self.output = Output(spool, self.stream, LogStore("here").lock, most_bytes=most_bytes)

    def write(self, data: bytes, *, last: bool = False) -> None:
        with self.path.open("ab") as file:
            file.write(data)
        self.output.look(time.time(), last=last)

    def messages(self) -> list[str]:
        end = self.output.ready(time.time())
        while self.output.advance(end, None):
            pass
        return [event.message for event in self.stream.events.forward(0, self.stream.events.end)]


def _cannot_punch(_descriptor: int, _start: int, _size: int) -> None:
    raise OSError(95, os.strerror(95))


def test_the_oldest_is_dropped_up_to_a_line_and_the_stream_says_how_much(tmp_path: Path) -> None:
    written = Written(tmp_path / "main", most_bytes=1000)
    written.write(b"".join(b"%09d\n" % number for number in range(1000)))
    notice, *lines = written.messages()
    kept = 1000 - int(re.search(r"dropped (\d+) bytes", notice)[1]) // 10  # type: ignore[index]
    assert kept in (99, 100)
    assert lines == [f"{number:09d}" for number in range(1000 - kept, 1000)]
    written.write(b"later\n")
    assert written.messages()[-1] == "later"


@pytest.mark.parametrize("punches", [True, False])
def test_what_is_read_or_dropped_is_given_back_to_the_disk(tmp_path: Path, *, punches: bool) -> None:
    """Where a file system cannot free a part of a file, the file begins again."""
    written = Written(tmp_path / "main", most_bytes=2 << 20, punches=punches)
    for number in range(64):
        written.write(b"%d\n" % number + b"x" * 999_999 + b"\n")
        assert written.path.stat().st_blocks * 512 < 6 << 20
    written.write(b"the end", last=True)
    written.path.unlink()
    found = written.messages()
    assert found[-1] == "the end"
    assert "dropped" in found[0]
    assert written.output.over


def test_unread_output_of_a_task_that_is_over_can_still_be_read(tmp_path: Path) -> None:
    """In memory if it is little, else in the nameless file."""
    for size in (10, 300_000):
        written = Written(tmp_path / str(size), most_bytes=100 << 20)
        wanted = [f"{number:09d}" for number in range(size)]
        written.write("\n".join(wanted).encode(), last=True)
        written.path.unlink()
        assert written.messages() == wanted


def test_output_is_not_ready_before_its_time_unless_there_is_too_much_of_it(tmp_path: Path) -> None:
    written = Written(tmp_path / "main", most_bytes=1000)
    written.write(b"y\n" * 200)
    assert written.output.ready(time.time() - 60) == 0
    written.write(b"y\n" * 200)
    assert written.output.ready(time.time() - 60) == 800


def test_no_more_is_parsed_than_is_asked_for(tmp_path: Path) -> None:
    written = Written(tmp_path / "main", most_bytes=100 << 20)
    written.write(b"y\n" * 1_000_000)
    end = written.output.ready(time.time())
    while written.output.advance(end, 10_000):
        pass
    assert 10_000 <= written.stream.events.end < 100_000


def test_a_stream_keeps_a_bounded_part_and_its_events_keep_their_numbers() -> None:
    events = Events(most_bytes=10_000)
    for number in range(1000):
        events.append(block(LogEvent(number, str(number), 0)))
    found = list(events.forward(events.first, events.end))
    assert (events.end, found[-1].message) == (1000, "999")
    assert found[1].message == str(events.first + 1)
    assert "keeps 10000 bytes" in found[0].message
    gone = sum(len(str(number)) + 1 for number in range(events.first + 1))
    assert f"the {gone} before this" in found[0].message
    assert list(events.backward(events.first, events.end)) == found[::-1]


def test_a_late_event_finds_its_place() -> None:
    events = Events()
    for time_, message in ((1, "a"), (5, "c\nd"), (3, "b"), (5, "e")):
        events.append(block(LogEvent(time_, message, 0)))
    assert [event.message for event in events.forward(0, events.end)] == ["a", "b", "c\nd", "e"]
    assert (events.since(3), events.since(4), events.since(6)) == (1, 2, 4)


def test_many_sizes_are_thinned_and_nothing_is_lost(tmp_path: Path) -> None:
    written = Written(tmp_path / "main", most_bytes=100 << 20)
    with written.path.open("ab", buffering=0) as file:
        for number in range(20_000):
            file.write(b"%d\n" % number)
            written.output.look(1000.0 + number, last=False)
    assert written.messages() == [str(number) for number in range(20_000)]
    newest = written.stream.events.edges
    assert newest is not None
    assert newest[1].timestamp == (1000 + 19_999) * 1000
