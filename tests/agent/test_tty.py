"""Terminals: the main process's and an exec's."""

from __future__ import annotations

import pytest
import trio

from sockerless_ecs.agent import ExecRequest, StartRequest
from sockerless_ecs.errors import Conflict, NotFound
from tests.agent.conftest import AgentTask, StartAgent
from tests.agent.streams import event, received, received_until


async def start(task: AgentTask, script: str, **wishes: object) -> None:
    await task.client.start(StartRequest(run="r1", argv=("sh", "-c", script), tty=True, **wishes))  # type: ignore[arg-type]


async def test_output_is_raw_and_one_stream_and_all_of_it_comes(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await start(task, "echo out; echo err >&2; tty; echo $TERM; seq 1 20000; exit 6")
        whole = await received(streams)
        out, err, tty, term, *numbers = whole.split(b"\r\n")
        assert (out, err, term) == (b"out", b"err", b"xterm")
        assert tty.startswith(b"/dev/pts/")
        assert numbers == [b"%d" % number for number in range(1, 20001)] + [b""]
        assert (await event(task, "exited")).code == 6
        async with task.client.attach("r1", after=5) as late:
            assert (late.position, await received(late)) == (5, whole[5:])
        lines = await task.lines()
        assert [line.stream for line in lines] == [1] * 20004
        assert (lines[0].data, lines[-1].data) == (b"out\r\n", b"20000\r\n")


async def test_output_of_a_process_that_exits_at_once_is_whole(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        for number in range(30):
            asked = ExecRequest(id=f"e{number}", run="r1", argv=("echo", "x" * 3000), tty=True)
            async with task.client.exec(asked) as streams:
                assert await received(streams) == b"x" * 3000 + b"\r\n"


async def test_size_is_there_before_the_process_and_can_change(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.02; done"
        await start(task, script, rows=24, columns=80, stdin=True, env=("TERM=dumb",))
        await received_until(streams, b"24 80\r\n")
        await task.client.resize(run="r1", rows=50, columns=132)
        await received_until(streams, b"50 132\r\n")


async def test_exec_has_a_terminal_of_its_own(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000"), env=("TERM=dumb",)))
        script = "trap 'stty size' WINCH; stty size; echo $TERM; while :; do sleep 0.02; done"
        asked = ExecRequest(id="e1", run="r1", argv=("sh", "-c", script), tty=True, rows=10, columns=20)
        async with task.client.exec(asked) as streams:
            assert await received_until(streams, b"dumb\r\n") == b"10 20\r\ndumb\r\n"
            await task.client.resize(exec_id="e1", rows=11, columns=21)
            await received_until(streams, b"11 21\r\n")
            await task.client.signal_exec("e1", "KILL")
            assert await received(streams) == b""


async def test_keys_make_signals_and_the_end_of_input(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        waiting = "trap stop=1 INT; echo up; while [ -z $stop ]; do sleep 0.02; done"
        await start(task, f"{waiting}; echo interrupted; cat; echo end", stdin=True, stdin_once=True)
        await received_until(streams, b"up\r\n")
        await streams.send(b"\x03")
        await received_until(streams, b"interrupted\r\n")
        await streams.send_eof()  # is not a key
        await streams.send(b"line\n")
        await received_until(streams, b"line\r\nline\r\n")
        await streams.send(b"\x04")
        assert (await received(streams)).endswith(b"end\r\n")


async def test_without_stdin_the_terminal_is_there_but_nobody_types(start_agent: StartAgent) -> None:
    async with start_agent() as task, task.client.attach("r1", after=0) as streams:
        await start(task, "test -t 0 && echo terminal; read -r x; echo no")
        await streams.send(b"typed\n")
        await received_until(streams, b"terminal\r\n")
        with trio.move_on_after(0.3):
            assert b"no" not in await streams.receive()
        await task.client.signal("r1", "KILL")
        assert b"no" not in await received(streams)


async def test_client_that_leaves_an_exec_hangs_nothing_up(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        script = "echo up; sleep 0.5; head -c 2000000 /dev/zero; exit 8"
        asked = ExecRequest(id="e1", run="r1", argv=("sh", "-c", script), tty=True, stdin=True)
        async with task.client.exec(asked) as streams:
            await received_until(streams, b"up\r\n")
        assert (await event(task, "exec_exited", "e1")).code == 8


async def test_only_a_live_terminal_can_be_resized(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        with pytest.raises(Conflict, match="no terminal"):
            await task.client.resize(run="r1", rows=1, columns=1)
        async with task.client.exec(ExecRequest(id="e1", run="r1", argv=("true",), tty=True)) as streams:
            await received(streams)
        with pytest.raises(Conflict, match="exec e1 is not running"):
            await task.client.resize(exec_id="e1", rows=1, columns=1)
        for which in ({"run": "r2"}, {"exec_id": "e2"}):
            with pytest.raises(NotFound):
                await task.client.resize(rows=1, columns=1, **which)
        await task.client.signal("r1", "KILL")
        await task.drained()
        with pytest.raises(Conflict, match="run r1 is not running"):
            await task.client.resize(run="r1", rows=1, columns=1)
