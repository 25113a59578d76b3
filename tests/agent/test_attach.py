"""Attached clients: what they get of a run's output, and what the process gets of their input."""

from __future__ import annotations

import hashlib
import random

import pytest
import trio
import trio.testing

from sockerless_ecs.agent import AgentClient, AgentLost, StartRefused, StartRequest
from sockerless_ecs.errors import NotFound
from tests.agent.conftest import TOKEN, AgentTask, StartAgent
from tests.agent.streams import descriptors, event, received, received_until, unframed

SMALL_RING = "300000"
COUNT = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo line $i of many; done"
COUNTED = b"".join(b"line %d of many\n" % number for number in range(1, 20001))


async def start(task: AgentTask, *argv: str, run: str = "r1", **wishes: object) -> None:
    await task.client.start(StartRequest(run=run, argv=argv, **wishes))  # type: ignore[arg-type]


async def test_client_that_came_before_the_run_gets_its_first_byte(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await start(task, "sh", "-c", "echo out; echo err >&2; exit 3")
        assert (streams.position, streams.pid) == (0, 0)
        assert unframed(await received(streams)) == (b"out\n", b"err\n")
        assert await streams.receive() == b""


async def test_output_of_a_process_that_exits_at_once_is_whole(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        for number in range(20):
            async with task.client.attach(f"r{number}", after=None) as streams:
                await start(task, "sh", "-c", "echo a; echo b >&2; echo c", run=f"r{number}")
                assert unframed(await received(streams)) == (b"a\nc\n", b"b\n")


async def test_client_that_comes_late_gets_the_same_bytes_from_any_position(
    start_agent: StartAgent,
) -> None:
    async with start_agent() as task:
        async with task.client.attach("r1", after=0) as streams:
            await start(task, "sh", "-c", COUNT)
            whole = await received(streams)
        assert unframed(whole) == (COUNTED, b"")
        chance = random.Random(7)
        for after in [0, 1, 7, 8, 9, len(whole), *(chance.randrange(len(whole)) for _ in range(30))]:
            async with task.client.attach("r1", after=after) as streams:
                assert streams.position == after
                assert await received(streams) == whole[after:]
        for beyond in (len(whole) + 5, None):
            async with task.client.attach("r1", after=beyond) as streams:
                assert (streams.position, await received(streams)) == (len(whole), b"")


async def test_stream_begins_where_the_ring_still_has_it_and_says_so(start_agent: StartAgent) -> None:
    async with start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task:
        await task.run("head", "-c", "3000000", "/dev/zero")
        async with task.client.attach("r1", after=5) as streams:
            rest = await received(streams)
            assert streams.position > 2_500_000
            assert set(unframed(rest)[0]) == {0}
        async with task.client.attach("r1", after=streams.position + 3) as later:
            assert later.position == streams.position + 3
            assert await received(later) == rest[3:]


async def test_reconnecting_client_goes_on_where_it_was(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await start(task, "sh", "-c", f"{COUNT}; read end; echo end", stdin=True)
        data = b""
        while len(data) < 200_000:
            async with task.client.attach("r1", after=len(data)) as streams:
                data += await streams.receive()
        async with task.client.attach("r1", after=len(data)) as streams:
            await streams.send(b"\n")
            data += await received(streams)
        assert unframed(data) == (COUNTED + b"end\n", b"")


async def test_from_now_on_has_nothing_of_before(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await start(task, "sh", "-c", "echo before; cat", stdin=True, stdin_once=True)
        async with task.client.attach("r1", after=0) as first:
            await received_until(first, b"before\n")
            async with task.client.attach("r1", after=None) as second:
                assert second.position == 8 + len(b"before\n")
                await second.send(b"after\n")
                await second.send_eof()
                assert unframed(await received(second)) == (b"after\n", b"")


async def test_all_clients_get_everything_and_their_inputs_come_whole(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        ended: list[bytes] = []

        async def client(number: int, task_status: trio.TaskStatus[None]) -> None:
            async with task.client.attach("r1", after=0) as streams:
                task_status.started()
                await streams.send(b"%d" % (number % 10) * 60_000 + b"\n")
                ended.append(await received(streams))

        async with trio.open_nursery() as nursery:
            for number in range(50):
                await nursery.start(client, number)
            await start(task, "head", "-n", "50", stdin=True)
        assert len(set(ended)) == 1
        lines = unframed(ended[0])[0].splitlines()
        assert len(lines) == 50
        assert {len(set(line)) for line in lines} == {1}
        assert {len(line) for line in lines} == {60_000}


async def test_large_input_and_output_keep_their_bytes_with_a_half_close(start_agent: StartAgent) -> None:
    data = random.Random(1).randbytes(1 << 20) * 100
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await start(task, "cat", stdin=True, stdin_once=True)

        async def send() -> None:
            for begin in range(0, len(data), 300_001):
                await streams.send(data[begin : begin + 300_001])
            await streams.send_eof()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            output, errors = unframed(await received(streams))
        assert hashlib.sha256(output).digest() == hashlib.sha256(data).digest()
        assert errors == b""


async def test_end_of_input_counts_only_with_stdin_once_and_a_cut_never(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await start(task, "cat", stdin=True)
        for _ in range(2):
            async with task.client.attach("r1", after=None) as streams:
                await streams.send_eof()
                await streams.send(b"more\n")
                await received_until(streams, b"more\n")
        await task.client.signal("r1", "KILL")
        await task.drained()
        await start(task, "cat", run="r2", stdin=True, stdin_once=True)
        async with task.client.attach("r2", after=None) as streams:
            await streams.send(b"once\n")
            await received_until(streams, b"once\n")
        async with task.client.attach("r2", after=None) as streams:
            await streams.send(b"more\n")
            await streams.send_eof()
            assert unframed(await received(streams)) == (b"more\n", b"")


async def test_input_for_a_process_without_stdin_is_dropped(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await start(task, "sh", "-c", "cat; echo end", stdin_once=True)
        for _ in range(10):
            await streams.send(bytes(100_000))
        await streams.send_eof()
        assert unframed(await received(streams)) == (b"end\n", b"")


async def test_input_that_the_process_left_unread_does_not_keep_its_output_from_the_client(
    start_agent: StartAgent,
) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await start(task, "sh", "-c", "head -c 5; head -c 400000 /dev/zero", stdin=True)

        async def send() -> None:
            while True:
                await streams.send(b"x" * 100_000)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await event(task, "drained")
            await trio.sleep(0.2)  # lets it go on sending to a process that has ended
            nursery.cancel_scope.cancel()
        assert unframed(await received(streams)) == (b"xxxxx" + bytes(400_000), b"")


async def test_client_that_waits_for_a_run_that_fails_gets_an_end(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        with pytest.raises(StartRefused):
            await start(task, "nosuch")
        assert await received(streams) == b""
        async with task.client.attach("r1", after=0) as late:
            assert await received(late) == b""


async def test_client_that_waits_for_a_run_gets_an_end_when_another_starts(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r2", after=0) as streams:
        with pytest.raises(StartRefused):
            await start(task, "nosuch", run="r0")
        await start(task, "true")
        assert await received(streams) == b""


async def test_clients_get_an_end_when_the_agent_ends(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as live:
        await start(task, "sh", "-c", "echo here; exec sleep 1000")
        await received_until(live, b"here\n")
        async with task.client.attach("r2", after=0) as waiting:
            await task.client.quit()
            assert await received(live) == b""
            assert await received(waiting) == b""
            with trio.fail_after(5):
                assert await task.process.wait() == 137


async def test_cut_is_not_an_end(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await start(task, "sleep", "1000")
        async with task.client.attach("r1", after=0) as streams:
            task.process.kill()
            with pytest.raises(AgentLost), trio.fail_after(5):
                await streams.receive()


async def test_run_whose_output_was_given_up_is_not_found(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        for number in range(6):
            await task.run("true", run=f"r{number}")
        with pytest.raises(NotFound):
            async with task.client.attach("r0", after=0):
                pass


async def test_client_that_does_not_read_holds_the_process_back_and_loses_nothing(
    start_agent: StartAgent,
) -> None:
    """And it holds nothing else: another client's stream stands still, but calls are answered."""
    size = 40_000_000  # more than sockets take
    async with (
        start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task,
        task.client.attach("r1", after=0) as slow,
        task.client.attach("r1", after=0) as quick,
    ):
        await start(task, "sh", "-c", f"head -c {size} /dev/zero; echo end", stdin=True)
        got = 0
        while True:
            with trio.move_on_after(0.5) as standing:
                got += len(await quick.receive())
            if standing.cancelled_caught:
                break
        assert 100_000 < got < size
        assert (await task.client.health()).run == "r1"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(received, quick)
            output = unframed(await received(slow))[0]
        assert output == bytes(size) + b"end\n"


async def test_client_that_never_reads_does_not_keep_the_exit_or_the_task(start_agent: StartAgent) -> None:
    async with start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task, task.client.attach("r1", after=0):
        await start(task, "sh", "-c", "yes & sleep 0.5; exit 4", linger_seconds=0)
        exited = await event(task, "exited")
        assert exited.code == 4
        await task.client.ack(exited.seq)
        with trio.fail_after(25):
            assert await task.process.wait() == 4


async def test_client_that_vanishes_holds_nothing(start_agent: StartAgent) -> None:
    async with start_agent(SOCKERLESS_SPOOL_BYTES=SMALL_RING) as task:
        await start(
            task, "sh", "-c", f"{COUNT}; {COUNT}; {COUNT}; {COUNT}; {COUNT}; {COUNT}", linger_seconds=9
        )
        for _ in range(3):
            client = AgentClient("127.0.0.1", task.port, TOKEN, task.client._context)
            async with client.attach("r1", after=0) as streams:
                await streams.receive()
                streams._stream._sock.close()
        with trio.fail_after(20):
            assert (await task.drained())[-1].lines == 120_000


async def test_attaching_and_leaving_leaks_nothing(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await start(task, "cat", stdin=True)
        await task.client.health()
        before = descriptors(task)
        for number in range(30):
            async with task.client.attach("r1" if number % 2 else "later", after=0) as streams:
                await streams.send(b"x")
        await task.client.connect()
        with trio.fail_after(10):
            while descriptors(task) != before:
                await trio.testing.wait_all_tasks_blocked(0.01)
