"""Reading a run's output from the agent: numbers, streams, times, tail, follow, and what was lost."""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import pytest
import trio

from sockerless_ecs.agent import StartRequest
from sockerless_ecs.errors import NotFound
from sockerless_ecs.model.log import STDERR, STDOUT
from tests.agent.conftest import AgentTask, StartAgent

TEN = "for i in 1 2 3 4 5; do echo out $i; sleep 0.01; echo err $i >&2; sleep 0.01; done"
SMALL_RING = "300000"


async def test_lines_of_both_streams_are_numbered_in_the_order_they_end(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.run("sh", "-c", TEN)
        lines = await task.lines()
        assert [line.number for line in lines] == list(range(1, 11))
        assert [line.stream for line in lines] == [STDOUT, STDERR] * 5
        assert [line.data for line in lines][:2] == [b"out 1\n", b"err 1\n"]
        times = [line.time_ns for line in lines]
        assert times == sorted(times)
        assert abs(times[-1] - time.time_ns()) < 10_000_000_000


async def test_reader_gets_what_it_asked_for(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        events = await task.run("sh", "-c", TEN)
        assert events[-1].lines == 10
        every = await task.lines()

        async def numbers(**options: Any) -> list[int]:
            return [line.number for line in await task.lines(**options)]

        assert await numbers(after=7) == [8, 9, 10]
        assert await numbers(after=10) == []
        assert await numbers(tail=3) == [8, 9, 10]
        assert await numbers(tail=0) == []
        assert await numbers(tail=99) == list(range(1, 11))
        assert await numbers(tail=3, after=8) == [9, 10]
        assert await numbers(tail=4, stderr=False) == [7, 9]
        assert await numbers(stdout=False) == [2, 4, 6, 8, 10]
        assert await numbers(since_ns=every[4].time_ns) == [5, 6, 7, 8, 9, 10]
        assert await numbers(until_ns=every[4].time_ns) == [1, 2, 3, 4, 5]
        assert await numbers(follow=True) == list(range(1, 11))
        with pytest.raises(NotFound):
            await task.lines("other")


async def test_lines_keep_their_bytes_and_long_ones_come_in_pieces(start_agent: StartAgent) -> None:
    script = r"""
import sys
out = sys.stdout.buffer
out.write(b"\n\r\n\0\xff\n" + "é".encode() * 40000 + b"\n" + b"x" * 16371 + b"\n" + b"y" * 16370 + b"\n")
out.write(b"end")
"""
    expected = (
        b"\n\r\n\0\xff\n" + "é".encode() * 40000 + b"\n" + b"x" * 16371 + b"\n" + b"y" * 16370 + b"\nend"
    )
    async with start_agent() as task:
        events = await task.run(sys.executable, "-c", script)
        lines = await task.lines()
        assert b"".join(line.data for line in lines) == expected
        assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        assert events[-1].lines == len(lines)
        assert max(len(line.data) for line in lines) <= 16374
        for line in lines:
            if b"\xff" not in line.data:
                line.data.decode()  # no piece splits a character
        assert [line.data for line in lines[-4:]] == [b"x" * 16371, b"\n", b"y" * 16370 + b"\n", b"end"]


async def test_unfinished_lines_get_the_last_numbers(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        events = await task.run(
            "sh", "-c", "printf halfout; printf halferr >&2; sleep 0.02; echo; printf more"
        )
        assert [(line.number, line.stream, line.data) for line in await task.lines()] == [
            (1, STDOUT, b"halfout\n"),
            (2, STDOUT, b"more"),
            (3, STDERR, b"halferr"),
        ]
        assert events[-1].lines == 3


async def test_follower_has_a_line_within_milliseconds(start_agent: StartAgent) -> None:
    script = (
        "import sys, time\nfor line in range(100):\n print(time.time_ns(), flush=True); time.sleep(0.002)"
    )
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=(sys.executable, "-c", script)))
        late = []
        async with task.client.logs("r1", follow=True) as batches:
            async for batch in batches:
                now = time.time_ns()
                late += [now - int(line.data) for line in batch]
        assert len(late) == 100
        assert statistics.median(late) < 20_000_000  # 0.3 ms on an idle machine


async def test_reading_without_follow_ends_at_the_present_end(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sh", "-c", "echo one; printf two; sleep 1000")))
        async with task.client.logs("r1", follow=True) as batches:
            assert (await anext(batches))[0].data == b"one\n"
        with trio.fail_after(5):
            assert await task.output() == b"one\n"
            assert await task.lines(tail=0) == []
        with trio.fail_after(5):  # a deadline in the output's own time ends a follower
            assert await task.output(follow=True, until_ns=time.time_ns() + 50_000_000) == b"one\n"


async def test_many_lines_arrive_whole_and_in_order(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("seq", "300000")))
        expected = 1
        async with task.client.logs("r1", follow=True) as batches:
            async for batch in batches:
                for line in batch:
                    assert (line.number, int(line.data)) == (expected, expected)
                    expected += 1
        assert expected == 300_001


async def _check_numbers_tell_the_truth(task: AgentTask) -> int:
    """`seq` prints its own line numbers: whatever was lost, what is left is numbered right."""
    lines = await task.lines()
    assert lines[-1].number == 200_000
    assert all(line.number == int(line.data) for line in lines)
    assert [line.number for line in lines] == list(range(lines[0].number, 200_001))
    return lines[0].number


async def test_overwritten_lines_make_the_numbers_jump(start_agent: StartAgent) -> None:
    async with start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task:
        await task.run("seq", "200000")
        assert await _check_numbers_tell_the_truth(task) > 100_000
        assert [line.number for line in await task.lines(tail=2)] == [199_999, 200_000]
        assert len(await task.lines(after=199_000)) == 1000


async def test_line_whose_beginning_was_overwritten_is_left_out(start_agent: StartAgent) -> None:
    script = (
        "import sys\n"
        "for n in range(60): sys.stdout.write(chr(97 + n % 26) * 49999 + '\\n'); sys.stdout.flush()"
    )
    async with start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task:
        events = await task.run(sys.executable, "-c", script)
        assert events[-1].lines == 240
        lines = await task.lines()
        assert lines[0].number > 1
        for line in lines:  # every line is four pieces; the number says which
            letter = 97 + (line.number - 1) // 4 % 26
            assert set(line.data) <= {letter, 10}
            assert len(line.data) == (887 if line.number % 4 == 0 else 16371)


async def test_slow_reader_holds_nobody_up(start_agent: StartAgent) -> None:
    """The process ends while a follower has read nothing; the follower then gets the newest of it."""
    async with start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task:
        await task.client.start(StartRequest(run="r1", argv=("seq", "2000000")))
        async with task.client.logs("r1", follow=True) as batches:
            with trio.fail_after(30):
                await task.drained()
            lines = [line async for batch in batches for line in batch]
        assert all(line.number == int(line.data) for line in lines)
        assert lines[-1].number == 2_000_000
        assert len(lines) < 2_000_000
