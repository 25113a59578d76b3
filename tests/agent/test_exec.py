"""More processes beside a run's: streams, exit codes, identity, and who may leave when."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest
import trio
import trio.testing

from sockerless_ecs.agent import AgentClient, ExecRequest, ExecState, StartRefused, StartRequest
from sockerless_ecs.errors import Conflict, NotFound
from sockerless_ecs.model.container import Ulimit
from tests.agent.conftest import TOKEN, AgentTask, StartAgent
from tests.agent.streams import descriptors, event, received, received_until, unframed

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs full mode: users of its own")


async def sleeper(task: AgentTask, run: str = "r1", **wishes: object) -> None:
    await task.client.start(StartRequest(run=run, argv=("sleep", "1000"), **wishes))  # type: ignore[arg-type]


def request(*argv: str, exec_id: str = "e1", run: str = "r1", **wishes: object) -> ExecRequest:
    return ExecRequest(id=exec_id, run=run, argv=argv, **wishes)  # type: ignore[arg-type]


async def said(task: AgentTask, *argv: str, exec_id: str = "e1", run: str = "r1", **wishes: object) -> bytes:
    """What an exec wrote to its standard output."""
    async with task.client.exec(request(*argv, exec_id=exec_id, run=run, **wishes)) as streams:
        return unframed(await received(streams))[0]


async def test_streams_are_apart_and_the_code_is_known_when_they_end(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await sleeper(task)
        for code in range(10):
            exec_id = f"e{code}"
            script = f"echo out; echo err >&2; exit {code}"
            async with task.client.exec(request("sh", "-c", script, exec_id=exec_id)) as streams:
                assert streams.pid > 1
                assert unframed(await received(streams)) == (b"out\n", b"err\n")
                state = await task.client.exec_state(exec_id)
            assert state == ExecState(id=exec_id, pid=streams.pid, code=code)
            ended = await event(task, "exec_exited", exec_id)
            assert (ended.run, ended.pid, ended.code) == ("r1", streams.pid, code)
        assert await task.output() == b""  # nothing of it is the container's output


async def test_state_has_no_code_while_it_lives_and_signals_reach_it(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await sleeper(task)
        async with task.client.exec(request("sh", "-c", "echo up; exec sleep 1000")) as streams:
            await received_until(streams, b"up\n")
            assert await task.client.exec_state("e1") == ExecState(id="e1", pid=streams.pid)
            await task.client.signal_exec("e1", "SIGTERM")
            assert await received(streams) == b""
        assert (await task.client.exec_state("e1")).code == 143
        with pytest.raises(Conflict):
            await task.client.signal_exec("e1", "SIGTERM")
        for call in (task.client.signal_exec("e2", "SIGTERM"), task.client.exec_state("e2")):
            with pytest.raises(NotFound):
                await call
        assert (await task.client.health()).run == "r1"


async def test_input_ends_where_the_client_says_and_its_bytes_are_kept(start_agent: StartAgent) -> None:
    data = random.Random(2).randbytes(1 << 20) * 20
    async with start_agent() as task:
        await sleeper(task)
        async with task.client.exec(request("cat", stdin=True)) as streams:

            async def send() -> None:
                await streams.send(data)
                await streams.send(b"")  # is not the end
                await streams.send(b"last")
                await streams.send_eof()
                await streams.send(b"too late")

            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                output = unframed(await received(streams))[0]
        assert hashlib.sha256(output).digest() == hashlib.sha256(data + b"last").digest()


async def test_without_stdin_input_is_at_its_end_and_what_is_sent_dropped(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await sleeper(task)
        async with task.client.exec(request("sh", "-c", "cat; echo end")) as streams:
            await streams.send(bytes(1_000_000))
            assert unframed(await received(streams))[0] == b"end\n"
            await streams.send(b"dropped")
            await streams.send_eof()


async def test_environment_directory_and_terminal_variable_are_dockers(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    async with start_agent() as task:
        await sleeper(task, env=("A=1", "B=1", "HOME=/h"), cwd=str(tmp_path), tty=True, hostname="box")
        output = await said(
            task, "sh", "-c", "echo $A $B $C $HOME $PWD $HOSTNAME $AWS_REGION; env", env=("B=2", "C=3")
        )
        first, *rest = output.decode().splitlines()
        assert first == f"1 2 3 /h {tmp_path} box eu-west-1"
        assert not [line for line in rest if line.startswith(("TERM=", "SOCKERLESS_"))]
        assert await said(task, "pwd", exec_id="e2", cwd="/usr") == b"/usr\n"


@needs_root
async def test_user_limits_and_privileges_are_the_runs_unless_asked(start_agent: StartAgent) -> None:
    wanted = "id -u; id -G; ulimit -n; grep -E 'CapBnd|NoNewPrivs' /proc/self/status"
    async with start_agent() as task:
        await sleeper(
            task,
            user="65534:12345",
            groups=("44",),
            ulimits=(Ulimit(name="nofile", soft=500, hard=600),),
            cap_drop=("ALL",),
            no_new_privs=True,
        )
        uid, groups, files, bound, privs = (await said(task, "sh", "-c", wanted)).decode().splitlines()
        assert (uid, set(groups.split()), files) == ("65534", {"12345", "44"}, "500")
        assert (bound.split()[1], privs.split()[1]) == ("0000000000000000", "1")
        assert (await said(task, "id", "-u", exec_id="e2", user="root")) == b"0\n"


@pytest.mark.parametrize(
    ("wishes", "kind", "message"),
    [
        ({"argv": ("nosuch",)}, "not_found", 'exec: "nosuch": executable file not found in $PATH'),
        ({"argv": ()}, "not_found", "no command specified"),
        ({"argv": ("/etc/passwd",)}, "not_executable", 'exec: "/etc/passwd": permission denied'),
        (
            {"argv": ("true",), "user": "ghost"},
            "bad_user",
            "unable to find user ghost: no matching entries in passwd file",
        ),
        (
            {"argv": ("true",), "cwd": "/no/such"},
            "bad_cwd",
            'chdir to cwd ("/no/such") set in config.json failed: no such file or directory',
        ),
    ],
)
@pytest.mark.parametrize("detach", [False, True])
async def test_what_does_not_start_is_refused_and_its_id_is_free(
    start_agent: StartAgent, wishes: dict[str, object], kind: str, message: str, detach: bool
) -> None:
    async with start_agent() as task:
        await sleeper(task)
        asked = ExecRequest(id="e1", run="r1", **wishes)  # type: ignore[arg-type]

        async def attempt() -> None:
            if detach:
                await task.client.exec_detached(asked)
            else:
                async with task.client.exec(asked):
                    pass

        with pytest.raises(StartRefused) as refused:
            await attempt()
        assert (refused.value.kind, refused.value.message) == (kind, message)
        with pytest.raises(NotFound):
            await task.client.exec_state("e1")
        assert await said(task, "echo", "x") == b"x\n"


async def test_it_needs_a_live_run_and_an_id_of_its_own(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        with pytest.raises(Conflict, match="run r1 is not running"):
            await said(task, "true")
        await sleeper(task)
        with pytest.raises(Conflict, match="run r2 is not running"):
            await said(task, "true", run="r2")
        assert await said(task, "true") == b""
        with pytest.raises(Conflict, match="exec e1 has been started already"):
            await said(task, "true")
        await task.client.signal("r1", "KILL")
        await task.drained()
        with pytest.raises(Conflict):
            await said(task, "true", exec_id="e2")


async def test_detached_lives_without_streams_and_its_end_is_told(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    async with start_agent() as task:
        await sleeper(task)
        script = f"cat; head -c 3000000 /dev/zero; echo done > {tmp_path / 'file'}; exit 9"
        state = await task.client.exec_detached(request("sh", "-c", script, stdin=True))
        assert (state.id, state.code) == ("e1", None)
        assert (await event(task, "exec_exited", "e1")).code == 9
        assert (tmp_path / "file").read_text() == "done\n"
        assert (await task.client.exec_state("e1")).code == 9


async def test_client_that_leaves_ends_the_input_and_the_process_lives_on(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    async with start_agent() as task:
        await sleeper(task)
        file = tmp_path / "file"
        script = f"echo up; cat > /dev/null; head -c 5000000 /dev/zero; echo done > {file}; exit 5"
        async with task.client.exec(request("sh", "-c", script, stdin=True)) as streams:
            await received_until(streams, b"up\n")
        assert (await event(task, "exec_exited", "e1")).code == 5
        assert file.read_text() == "done\n"


async def test_client_that_vanishes_while_output_waits_for_it_does_not_hold_the_process(
    start_agent: StartAgent,
) -> None:
    async with start_agent() as task:
        await sleeper(task)
        client = AgentClient("127.0.0.1", task.port, TOKEN, task.client._context)
        async with client.exec(request("head", "-c", "60000000", "/dev/zero")) as streams:
            await streams.receive()
            assert (await task.client.exec_state("e1")).code is None  # held back: more than sockets take
        assert (await event(task, "exec_exited", "e1")).code == 0


async def test_slow_client_gets_all_of_a_process_that_has_ended(start_agent: StartAgent) -> None:
    """Even later than others who hold its output are waited for."""
    async with start_agent() as task:
        await sleeper(task)
        async with task.client.exec(request("sh", "-c", "sleep 1000 & head -c 900000 /dev/zero")) as streams:
            assert (await event(task, "exec_exited", "e1")).code == 0
            await trio.sleep(2.5)
            assert unframed(await received(streams)) == (bytes(900_000), b"")


async def test_output_that_others_hold_is_waited_for_a_little_and_they_live_on(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    script = f"(sleep 0.3; echo soon; sleep 2.7; echo late; touch {file}) & echo now"
    async with start_agent() as task:
        await sleeper(task)
        began = trio.current_time()
        assert await said(task, "sh", "-c", script) == b"now\nsoon\n"
        assert 1.9 < trio.current_time() - began < 2.9
        with trio.fail_after(10):
            while not file.exists():  # it wrote to an output that nobody reads, and lived
                await trio.testing.wait_all_tasks_blocked(0.01)


async def test_end_of_the_container_ends_its_execs_and_tells_their_codes(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await sleeper(task)
        async with task.client.exec(request("sh", "-c", "echo up; exec sleep 1000")) as streams:
            await received_until(streams, b"up\n")
            await task.client.signal("r1", "KILL")
            assert await received(streams) == b""
        assert (await event(task, "exec_exited", "e1")).code == 137


async def test_start_beside_a_run_that_ends_leaves_nothing_behind(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        for number in range(8):
            run = f"r{number}"
            await task.client.start(StartRequest(run=run, argv=("sleep", "0.03"), linger_seconds=60))
            async with trio.open_nursery() as nursery:

                async def try_one(exec_id: str, run: str = run) -> None:
                    try:
                        await task.client.exec_detached(request("sleep", "1000", exec_id=exec_id, run=run))
                    except (Conflict, StartRefused):
                        return
                    assert (await event(task, "exec_exited", exec_id)).code == 137

                for other in range(8):
                    nursery.start_soon(try_one, f"e{number}-{other}")
            await task.drained(run)
        assert (await task.client.health()).run == ""


async def test_400_at_once_each_get_their_own_and_leave_nothing(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await sleeper(task)
        assert await said(task, "true") == b""
        await task.client.health()
        before = descriptors(task)
        correct = []

        async def one(number: int) -> None:
            exec_id = f"c{number}"
            async with task.client.exec(
                request("sh", "-c", f"cat; exit {number % 200}", exec_id=exec_id, stdin=True)
            ) as streams:
                await streams.send(b"%d" % number)
                await streams.send_eof()
                output = unframed(await received(streams))[0]
            code = (await task.client.exec_state(exec_id)).code
            correct.append((output, code) == (b"%d" % number, number % 200))

        async with trio.open_nursery() as nursery:
            for number in range(400):
                nursery.start_soon(one, number)
        assert correct == [True] * 400
        await task.client.connect()
        with trio.fail_after(10):
            while descriptors(task) != before:
                await trio.testing.wait_all_tasks_blocked(0.01)
