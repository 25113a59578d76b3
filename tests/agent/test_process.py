"""What the agent does with a process: start, end, identity, environment, limits."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import StartRefused, StartRequest
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound
from sockerless_ecs.model.container import Ulimit
from tests.agent.conftest import StartAgent

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs full mode: users of its own")


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)]
)
async def test_exit_code_is_the_processes_as_docker_counts_it(
    start_agent: StartAgent, script: str, code: int
) -> None:
    async with start_agent() as task:
        started, exited, drained = await task.run("sh", "-c", script)
        assert (started.type, exited.type, drained.type) == ("started", "exited", "drained")
        assert [started.seq, exited.seq, drained.seq] == [1, 2, 3]
        assert (exited.code, exited.oom, drained.lines) == (code, False, 0)
        await task.client.ack(exited.seq)
        with trio.fail_after(5):
            assert await task.process.wait() == code


@pytest.mark.parametrize(
    ("wishes", "kind", "message"),
    [
        ({"argv": ("nosuch",)}, "not_found", 'exec: "nosuch": executable file not found in $PATH'),
        ({"argv": ()}, "not_found", "no command specified"),
        ({"argv": ("/no/such",)}, "not_found", 'exec: "/no/such": stat /no/such: no such file or directory'),
        ({"argv": ("/etc",)}, "not_executable", 'exec: "/etc": is a directory'),
        ({"argv": ("/etc/passwd",)}, "not_executable", 'exec: "/etc/passwd": permission denied'),
        (
            {"argv": ("true",), "user": "ghost"},
            "bad_user",
            "unable to find user ghost: no matching entries in passwd file",
        ),
        (
            {"argv": ("true",), "user": "root:ghosts"},
            "bad_user",
            "unable to find group ghosts: no matching entries in group file",
        ),
        (
            {"argv": ("true",), "cwd": "/etc/passwd"},
            "bad_cwd",
            "mkdir /etc/passwd: not a directory",
        ),
        (
            {"argv": ("true",), "cwd": "here"},
            "bad_cwd",
            "the working directory 'here' is invalid, it needs to be an absolute path",
        ),
    ],
)
async def test_failed_start_says_why_in_dockers_words_and_another_may_follow(
    start_agent: StartAgent, wishes: dict[str, object], kind: str, message: str
) -> None:
    async with start_agent() as task:
        with pytest.raises(StartRefused) as refused:
            await task.client.start(StartRequest(run="bad", **wishes))  # type: ignore[arg-type]
        assert (refused.value.kind, refused.value.message) == (kind, message)
        assert (await task.run("true", run="good"))[1].code == 0


async def test_garbage_and_a_missing_interpreter_have_their_own_kinds(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    for name, content in (("garbage", b"\0\1garbage"), ("orphan", b"#!/no/such/interpreter\n")):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o755)
    async with start_agent() as task:
        for name, kind in (("garbage", "bad_format"), ("orphan", "not_found")):
            with pytest.raises(StartRefused) as refused:
                await task.client.start(StartRequest(run=name, argv=(str(tmp_path / name),)))
            assert refused.value.kind == kind


async def test_start_is_idempotent_by_run_id(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        request = StartRequest(run="r1", argv=("sleep", "60"))
        first = await task.client.start(request)
        assert await task.client.start(request) == first
        with pytest.raises(StartRefused) as refused:
            await task.client.start(StartRequest(run="r2", argv=("true",)))
        assert refused.value.kind == "conflict"
        await task.client.signal("r1", "KILL")
        events = await task.drained()
        assert events[0].seq == first.seq
        assert await task.client.start(request) == first


@pytest.mark.parametrize(
    "wishes",
    [
        {"run": "no/slash"},
        {"stop_signal": "SIGNOT"},
        {"cap_drop": ("NOT_A_CAPABILITY",)},
        {"ulimits": (Ulimit(name="notalimit", soft=1, hard=1),)},
        {"linger_seconds": -1},
        {"env": ("A=\0",)},
    ],
)
async def test_nonsense_is_refused_before_anything_starts(
    start_agent: StartAgent, wishes: dict[str, object]
) -> None:
    async with start_agent() as task:
        with pytest.raises(StartRefused) as refused:
            await task.client.start(StartRequest(**{"run": "r1", "argv": ("true",), **wishes}))  # type: ignore[arg-type]
        assert refused.value.kind == "bad_request"


async def test_environment_is_the_containers_and_the_tasks_credentials(start_agent: StartAgent) -> None:
    async with start_agent(ECS_AGENT_URI="x") as task:
        await task.run("env", env=("A=1", "A=2", "GONE=1", "GONE", "SOCKERLESS_SOCKET=mine"), hostname="box")
        variables = set((await task.output()).decode().split("\n")) - {""}
        home = next(v for v in variables if v.startswith("HOME="))
        assert variables - {home} == {
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOSTNAME=box",
            "AWS_REGION=eu-west-1",
            "ECS_AGENT_URI=x",
            "A=2",
            "SOCKERLESS_SOCKET=mine",  # given to the container itself
        }


async def test_containers_own_variable_wins_over_the_tasks(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.run("sh", "-c", "echo $AWS_REGION", env=("AWS_REGION=us-east-1",))
        assert await task.output() == b"us-east-1\n"


@needs_root
async def test_user_group_directory_and_limits(start_agent: StartAgent, tmp_path: Path) -> None:
    wanted = (
        "id -u; id -g; id -G; pwd; ulimit -n; "
        "grep -E 'CapEff|CapBnd|NoNewPrivs' /proc/self/status; echo x > /dev/stdout"
    )
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    async with start_agent() as task:
        await task.run(
            "sh",
            "-c",
            wanted,
            user="65534:12345",
            groups=("44",),
            cwd=str(tmp_path / "made" / "here"),
            ulimits=(Ulimit(name="nofile", soft=500, hard=600),),
            cap_drop=("ALL",),
            no_new_privs=True,
        )
        uid, gid, groups, cwd, nofile, eff, bound, privs, via = (await task.output()).decode().splitlines()
        assert (uid, gid, set(groups.split())) == ("65534", "12345", {"12345", "44"})
        assert (cwd, nofile) == (str(tmp_path / "made" / "here"), "500")
        assert {eff.split()[1], bound.split()[1]} == {"0000000000000000"}
        assert privs.split()[1] == "1"
        assert via == "x"


@needs_root
async def test_user_by_name_has_its_home_and_one_capability_can_go(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.run("sh", "-c", "id -un; echo $HOME", user="nobody", run="a")
        assert await task.output("a") == b"nobody\n/nonexistent\n"
        await task.run("grep", "CapEff", "/proc/self/status", cap_drop=("NET_RAW",), run="b")
        kept = int((await task.output("b")).split()[1], 16)
        assert not kept & (1 << 13)
        assert kept & 1


async def test_process_is_the_better_oom_victim_and_stdin_is_empty(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        await task.run("sh", "-c", "cat; cat /proc/self/oom_score_adj")
        assert int(await task.output()) >= 500


async def test_signal_reaches_the_process(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        script = "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.01; done"
        await task.client.start(StartRequest(run="r1", argv=("sh", "-c", script)))
        async with task.client.logs("r1", follow=True) as batches:
            assert (await anext(batches))[0].data == b"ready\n"
        for text in ("SIGNOT", "0", "65"):
            with pytest.raises(InvalidParameter, match=f"Invalid signal: {text}"):
                await task.client.signal("r1", text)
        with pytest.raises(NotFound):
            await task.client.signal("other", "TERM")
        await task.client.signal("r1", "usr1")
        assert (await task.drained())[1].code == 9
        with pytest.raises(Conflict):
            await task.client.signal("r1", "TERM")


async def test_what_the_process_left_running_is_killed(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        events = await task.run("sh", "-c", "setsid sleep 1000 & (sleep 1000 &) ; exit 3")
        assert events[1].code == 3  # and drained came: nobody holds the pipes


async def test_several_runs_follow_each_other_in_one_task(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent() as task:
        file = tmp_path / "kept"
        codes, seqs = [], []
        for number in range(6):
            events = await task.run(
                "sh", "-c", f"echo {number} >> {file}; exit {number}", run=f"r{number}", linger_seconds=60
            )
            codes.append(events[1].code)
            seqs += [event.seq for event in events]
            if number % 2:
                await task.client.ack(events[1].seq)
        assert codes == list(range(6))
        assert seqs == list(range(1, 19))
        assert file.read_text() == "0\n1\n2\n3\n4\n5\n"
        assert (await task.client.health()).run == ""
        with pytest.raises(NotFound):
            await task.output("r0")  # only the newest runs' output is kept
        assert await task.output("r5") == b""


async def test_task_stays_until_the_exit_is_acknowledged_then_lingers(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        events = await task.run("sh", "-c", "exit 4", linger_seconds=0.05)
        with trio.move_on_after(0.3) as waiting:
            await task.process.wait()
        assert waiting.cancelled_caught
        await task.client.ack(events[1].seq)
        with trio.fail_after(5):
            assert await task.process.wait() == 4


async def test_events_end_properly_when_the_agent_does(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        exited = (await task.run("true"))[1]
        async with task.client.events(after=exited.seq) as events:
            await task.client.ack(exited.seq)
            with trio.fail_after(5):
                assert [event.type async for event in events] == ["drained"]


@pytest.mark.parametrize("live", [True, False])
async def test_quit_ends_it_at_once(start_agent: StartAgent, live: bool) -> None:
    async with start_agent() as task:
        if live:
            await task.client.start(StartRequest(run="r1", argv=("sleep", "1000")))
        with trio.fail_after(3):
            await task.client.quit()
            assert await task.process.wait() == (137 if live else 0)
        if live:
            assert task.log()[-1] == b"[sockerless] exited run=r1 code=137 oom=0 lines=0"


async def test_agent_that_nobody_tells_anything_ends(start_agent: StartAgent) -> None:
    async with start_agent(SOCKERLESS_START_TIMEOUT_SECONDS="1") as task:
        with trio.fail_after(5):
            assert await task.process.wait() == 125
        assert task.log() == [b"[sockerless] nothing was started in time"]


def _agent_pid(task_pid: int) -> int:
    """Unshare's child, where the agent is PID 1; a plain agent is its own."""
    children = Path(f"/proc/{task_pid}/task/{task_pid}/children").read_text().split()
    name = Path(f"/proc/{task_pid}/comm").read_text().strip()
    return int(children[0]) if name == "unshare" else task_pid


async def test_sigterm_becomes_the_containers_stop_signal(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        script = "trap 'echo interrupted; exit 5' INT; echo ready; while :; do sleep 0.01; done"
        await task.client.start(
            StartRequest(run="r1", argv=("sh", "-c", script), stop_signal="SIGINT", linger_seconds=1000)
        )
        async with task.client.logs("r1", follow=True) as batches:
            assert (await anext(batches))[0].data == b"ready\n"
            os.kill(_agent_pid(task.process.pid), signal.SIGTERM)
            assert (await anext(batches))[0].data == b"interrupted\n"
        exited = (await task.drained())[1]
        assert exited.code == 5
        await task.client.ack(exited.seq)
        with trio.fail_after(5):  # a task that ECS stops does not linger
            assert await task.process.wait() == 5


async def test_sigterm_ends_a_lingering_and_an_idle_agent(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        exited = (await task.run("sh", "-c", "exit 6", linger_seconds=1000))[1]
        await task.client.ack(exited.seq)
        os.kill(_agent_pid(task.process.pid), signal.SIGTERM)
        with trio.fail_after(5):
            assert await task.process.wait() == 6
    async with start_agent() as task:
        os.kill(_agent_pid(task.process.pid), signal.SIGTERM)
        with trio.fail_after(5):
            assert await task.process.wait() == 143
