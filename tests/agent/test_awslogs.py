"""The copy for the log driver, and reading it back."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sockerless_ecs.agent import AwslogsParser, FinalRecord, StartRequest
from sockerless_ecs.agent.awslogs import DRIVER_LINE, MIN_PIECE
from sockerless_ecs.model.log import STDERR, STDOUT, LogLine
from tests.agent.conftest import AgentTask, StartAgent

WRITER = """
import base64, os, sys
for part in sys.argv[1:]:
    stream, data = part.split(":")
    data = base64.b64decode(data)
    while data:
        data = data[os.write(int(stream), data):]
"""
Parts = list[tuple[int, bytes]]


def writer(parts: Parts) -> tuple[str, ...]:
    return (sys.executable, "-c", WRITER, *(f"{s}:{base64.b64encode(d).decode()}" for s, d in parts))


def parse(log: list[bytes], run: str) -> tuple[list[LogLine], FinalRecord | None]:
    """As CloudWatch Logs would give it: without empty events."""
    parser = AwslogsParser(run)
    return parser.feed((0, line.decode()) for line in log if line), parser.final


def replaced(data: bytes) -> bytes:
    """UTF-8, as the copy has it: a byte that is none becomes a question mark."""
    return data.decode(errors="surrogateescape").encode(errors="replace")


async def check_copy(task: AgentTask, run: str, parts: Parts) -> None:
    """What is written comes back from the copy as it does from the agent."""
    events = await task.run(*writer(parts), run=run, linger_seconds=1000)
    live = await task.lines(run)
    for stream in (STDOUT, STDERR):
        written = b"".join(data for kind, data in parts if kind == stream)
        assert b"".join(line.data for line in live if line.stream == stream) == written
    await wait_recorded(task, run)
    lines, final = parse(task.log(), run)
    assert final == FinalRecord(0, False, len(live))
    assert events[-1].lines == len(live)
    assert [(n, s, d) for n, _, s, d in lines] == [(n, s, replaced(d)) for n, _, s, d in live]
    assert max(map(len, task.log())) < DRIVER_LINE


async def wait_recorded(task: AgentTask, run: str) -> None:
    with trio.fail_after(10):
        while not any(  # noqa: ASYNC110 - a file tells nobody
            line.startswith(b"[sockerless] exited run=%s " % run.encode()) for line in task.log()
        ):
            await trio.sleep(0.002)


TRICKY: Parts = [
    (1, b"plain\n\n[stdout] mine\n[stderr] mine\n[sockerless] exited run=r1 code=0 oom=0 lines=1\n"),
    (2, b"\n[stdout] err\n[sockerless] started run=r1\n"),
    (1, b"\xff\xfe\x00\xc3\n\r\n \n" + b"x" * (MIN_PIECE - 1) + b"\n" + b"x" * MIN_PIECE + b"\n"),
    (1, "é".encode() * 9000 + b"\n" + b"\x80" * 50000 + b"\n"),
    (2, b"[stdout] " + b"y" * 40000),
    (1, b"no newline"),
]


async def test_what_is_hard_to_tell_apart_comes_back_as_it_was(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await check_copy(task, "r1", TRICKY)
        await check_copy(task, "r2", [(1, b"z" * MIN_PIECE)])
        await check_copy(task, "r3", [])
        await check_copy(task, "r4", [(1, b"".join(b"%d\n" % n for n in range(3500)))])
        assert sum(line.startswith(b"[sockerless] line ") for line in task.log()) == 3


piece = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"\n", b"[stdout] ", b"[stderr] ", b"[sockerless] ", "é€😀".encode(), b"\x80", b"\xc3", b"\r"]
    ),
    st.builds(
        lambda filler, length: filler * length,
        st.sampled_from([b"x", b"\x80", "é".encode(), "😀".encode()]),
        st.integers(MIN_PIECE - 5, MIN_PIECE + 5),
    ),
)
parts_strategy = st.lists(st.tuples(st.sampled_from([1, 2]), piece), max_size=12)


def test_whatever_is_written_comes_back_as_it_was(start_agent: StartAgent) -> None:
    """One task, many runs: each one's bytes are random."""

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(examples=st.lists(parts_strategy, min_size=1, max_size=6))
    @example(examples=[TRICKY])
    def check(examples: list[Parts]) -> None:
        async def runs() -> None:
            async with start_agent() as task:
                for number, parts in enumerate(examples):
                    await check_copy(task, f"r{number}", parts)

        trio.run(runs)

    check()


@pytest.fixture
def full_pipe() -> tuple[int, int]:
    return os.pipe()


async def test_log_driver_that_reads_nothing_holds_nobody_up(
    start_agent: StartAgent, full_pipe: tuple[int, int]
) -> None:
    reading, writing = full_pipe
    async with start_agent(stdout=writing, SOCKERLESS_SPOOL_BYTES="300000") as task:
        os.close(writing)
        with trio.fail_after(20):
            events = await task.run("seq", "500000", linger_seconds=1000)
        assert (events[1].code, events[2].lines) == (0, 500_000)
        log = bytearray()
        with trio.fail_after(20):
            async with trio.lowlevel.FdStream(reading) as stream:
                while b"[sockerless] exited run=r1" not in log:
                    log += await stream.receive_some()
        lines, final = parse(bytes(log).split(b"\n")[:-1], "r1")
        assert final == FinalRecord(0, False, 500_000)
        assert all(line.number == int(line.data) for line in lines)
        assert 10_000 < len(lines) < 500_000
        assert b"were dropped run=r1: the log driver is slow" in log


async def test_log_driver_that_has_gone_is_no_harm(
    start_agent: StartAgent, full_pipe: tuple[int, int]
) -> None:
    reading, writing = full_pipe
    os.close(reading)
    async with start_agent(stdout=writing) as task:
        os.close(writing)
        exited = (await task.run("seq", "100000"))[1]
        await task.client.ack(exited.seq)
        with trio.fail_after(5):
            assert await task.process.wait() == 0


async def test_output_is_whole_before_a_task_that_does_not_linger_ends(start_agent: StartAgent) -> None:
    """The exit is acknowledged at once: who follows, and the log driver, still get everything."""
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("seq", "300000"), linger_seconds=0))
        count = 0
        async with task.client.logs("r1", follow=True) as batches, task.client.events(after=1) as events:
            await task.client.ack((await anext(events)).seq)
            async for batch in batches:
                count += len(batch)
                assert batch[-1].number == count
        assert count == 300_000
        await task.process.wait()
        lines, final = parse(task.log(), "r1")
        assert [line.number for line in lines] == list(range(1, 300_001))
        assert final == FinalRecord(0, False, 300_000)


def test_parser_knows_its_run_among_others() -> None:
    log = [
        b"[sockerless] some remark",
        b"[sockerless] started run=a",
        b"of a",
        b"[sockerless] exited run=a code=1 oom=1 lines=1",
        b"[sockerless] started run=b",
        b"of b",
        b"[sockerless] lines 2 to 4 were dropped run=b: the log driver is slow",
        b"[stderr] more of b",
        b"[sockerless] line 9 run=b",
        b"nine",
    ]
    assert parse(log, "a") == ([LogLine(1, 0, STDOUT, b"of a\n")], FinalRecord(1, True, 1))
    lines, final = parse(log, "b")
    assert final is None
    assert [(line.number, line.stream) for line in lines] == [(1, STDOUT), (5, STDERR), (9, STDOUT)]
    assert parse(log, "c") == ([], None)


def test_go_and_python_agree_on_the_cut(agent_binary: Path) -> None:
    source = Path(__file__).parents[2] / "sockerless_ecs" / "agent" / "go" / "cutter.go"
    assert f"driverLine = {DRIVER_LINE >> 10} << 10" in source.read_text()
    assert subprocess.run([agent_binary, "version"], check=True, capture_output=True).stdout
