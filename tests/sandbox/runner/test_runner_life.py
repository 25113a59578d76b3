"""What becomes of a task and its containers, in every mode."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest

from sockerless_ecs.errors import InvalidParameter, Unimplemented
from sockerless_ecs.sandbox.runner.client import (
    HOST,
    Condition,
    Container,
    Exited,
    Mode,
    Mount,
    Started,
    Task,
    Ulimit,
)
from tests.sandbox.runner.box import Box

AGENT = Mount("agent", "/.sockerless")


def test_a_container_prints_and_exits_with_its_code(box: Box) -> None:
    """Both streams reach the one spool file, in order."""
    result = box.finish(
        box.container("print", "out", ";", "complain", "err", ";", "print", "end", ";", "exit", "3")
    )
    assert result.codes == {"main": 3}
    assert result.log == "out\nerr\nend\n"
    assert [type(event).__name__ for event in result.events] == ["Started", "Exited", "Stopped"]


@pytest.mark.parametrize(
    ("argv", "code"),
    [(("/nope",), 127), (("nope",), 127), (("/data",), 126), (("/etc",), 126)],
    ids=["missing", "missing on PATH", "not executable", "a folder"],
)
def test_a_command_that_cannot_run_exits_as_docker_says(
    box: Box, argv: tuple[str, ...], code: int, data_layer: str
) -> None:
    """The error names the command; nothing started."""
    result = box.finish(Container("main", (*box.tool, data_layer), argv))
    assert result.codes == {"main": code}
    assert argv[0] in result.exits["main"].error
    assert not any(isinstance(event, Started) for event in result.events)


def test_death_by_a_signal_is_128_and_the_signal(box: Box) -> None:
    """Reported by the tool about its child, and by us about the tool."""
    assert box.finish(box.container("kill-child", "9")).codes == {"main": 137}
    task, _ = box.start(box.container("sleep", "60"))
    box.runner.stop(task, signal=signal.SIGKILL, kill_after=5)
    result = box.ended(task)
    assert result.codes == {"main": 137}
    assert not result.exits["main"].oom


def test_main_starts_when_init_has_succeeded(box: Box) -> None:
    """As the agent reaches a task: init installs a binary into a volume, main runs it from there."""
    result = box.finish(
        box.container("install", "/v/agent", name="init", essential=False, mounts=(Mount("agent", "/v"),)),
        Container(
            "main",
            HOST,
            (
                "/.sockerless/agent",
                "env",
                "SOCKERLESS_SPOOL_DIR",
                ";",
                "write",
                "/.sockerless/x",
                "y",
                ";",
                "exit",
                "7",
            ),
            env={"SOCKERLESS_SPOOL_DIR": "/.sockerless/spool"},
            mounts=(AGENT,),
            depends_on=(("init", Condition.SUCCESS),),
        ),
        volumes={"agent": None},
    )
    assert result.codes == {"init": 0, "main": 7}
    assert result.log.strip().endswith("/spool")
    order = [event.container for event in result.events if isinstance(event, Started)]
    assert order == ["init", "main"]


def test_main_of_an_image_runs_what_init_left(box: Box) -> None:
    """The same with an image other than host."""
    result = box.finish(
        box.container("install", "/v/agent", name="init", essential=False, mounts=(Mount("agent", "/v"),)),
        Container(
            "main",
            box.tool,
            ("/.sockerless/agent", "print", "agent", ";", "exit", "7"),
            mounts=(AGENT,),
            depends_on=(("init", Condition.SUCCESS),),
        ),
        volumes={"agent": None},
    )
    assert result.codes == {"init": 0, "main": 7}


def test_main_never_starts_when_init_fails(box: Box) -> None:
    """The task ends; main has no exit."""
    result = box.finish(
        box.container("exit", "4", name="init", essential=False),
        box.container("print", "never", depends_on=(("init", Condition.SUCCESS),)),
    )
    assert result.codes == {"init": 4}


def test_complete_and_start_conditions(box: Box) -> None:
    """COMPLETE takes any exit code; START only a start."""
    result = box.finish(
        box.container("exit", "4", name="first", essential=False),
        box.container(
            "sleep", "0.1", name="second", essential=False, depends_on=(("first", Condition.COMPLETE),)
        ),
        box.container("sleep", "0.2", depends_on=(("second", Condition.START),)),
    )
    assert result.codes == {"first": 4, "second": 0, "main": 0}


def test_the_others_end_with_an_essential_container(box: Box) -> None:
    """First asked, then killed after their own stop time."""
    result = box.finish(
        box.container("sleep", "0.2", ";", "exit", "5"),
        box.container("on-term", "8", ";", "sleep", "60", name="polite", essential=False),
        box.container("ignore-term", ";", "sleep", "60", name="deaf", essential=False, stop_seconds=0.3),
    )
    assert result.codes == {"main": 5, "polite": 8, "deaf": 137}


def test_a_container_that_is_not_essential_may_end(box: Box) -> None:
    """The task goes on without it."""
    task, _ = box.start(
        box.container("exit", "0", name="side", essential=False), box.container("sleep", "60")
    )
    box.wait(lambda: any(isinstance(event, Exited) for event in box.of(task)), "side exits")
    box.runner.stop(task, kill_after=0)
    codes = box.ended(task).codes
    assert codes["side"] == 0
    assert codes["main"] != 0  # killed, or ended by the signal before


def test_stop_asks_and_then_kills(box: Box) -> None:
    """SIGTERM reaches the program; one that does not listen is killed in time."""
    task, _ = box.start(
        box.container("on-term", "9", ";", "print", "ready", ";", "sleep", "60"),
        box.container("ignore-term", ";", "print", "ready", ";", "sleep", "60", name="deaf"),
    )
    for name in ("main", "deaf"):
        box.wait_for_line(task, "ready", name)
    began = time.monotonic()
    box.runner.stop(task, kill_after=0.4)
    result = box.ended(task)
    assert result.codes == {"main": 9, "deaf": 137}
    assert 0.4 <= time.monotonic() - began < 5


def test_stop_right_after_run_does_not_wait_for_a_program_that_never_ran(box: Box) -> None:
    """Whether or not it had started, the task is gone long before its patience."""
    began = time.monotonic()
    task = box.new_id()
    box.runner.run(Task(task, (box.container("on-term", "9", ";", "sleep", "60"),)))
    box.runner.stop(task, kill_after=2)
    box.runner.stop("unknown", kill_after=0)
    assert 0 not in box.ended(task).codes.values()
    assert time.monotonic() - began < 5


def test_stop_takes_each_containers_own_patience(box: Box) -> None:
    """When no time is said."""
    task, _ = box.start(
        box.container("ignore-term", ";", "print", "ready", ";", "sleep", "60", stop_seconds=0.1)
    )
    box.wait_for_line(task, "ready")
    box.runner.stop(task)
    assert box.ended(task).codes == {"main": 137}


def test_what_the_first_process_leaves_behind_dies_with_it(box: Box) -> None:
    """Even in a session of its own: the task stops only when nothing is left."""
    result = box.finish(box.container("orphan", ";", "exit", "0"))
    assert result.codes == {"main": 0}


def test_environment_directory_and_limits(box: Box) -> None:
    """Docker's defaults under the container's own; a missing working directory is made."""
    log = box.print("env", env={"A": "1"}, ulimits=(Ulimit("nofile", 100, 200),))
    assert "A=1" in log
    assert "PATH=" in log
    assert "HOME=" in log
    assert box.print("limit", ulimits=(Ulimit("nofile", 100, 200),)).endswith(
        " 200\n"
    )  # Go raises the soft one
    if box.runner.mode is not Mode.BARE:
        assert box.print("id", cwd="/new/folder") == "0 0 [] /new/folder\n"


def test_a_limit_or_user_that_cannot_be_is_an_exit_with_a_reason(box: Box) -> None:
    """125, as Docker's own errors are."""
    for fields in ({"ulimits": (Ulimit("nonsense", 1, 1),)}, {"user": "nosuchuser"}):
        result = box.finish(box.container("print", "x", **fields))
        assert result.codes == {"main": 125}
        assert "nos" in result.exits["main"].error or "nonsense" in result.exits["main"].error


def test_a_task_that_cannot_be_is_refused_at_once(box: Box) -> None:
    """Circles, unknown names, health conditions, names that are paths."""
    one = box.container("print", name="one", depends_on=(("two", Condition.START),))
    two = box.container("print", name="two", depends_on=(("one", Condition.START),))
    for containers in ((one, two), (one,), (), (one, one), (box.container(name="../x"),)):
        with pytest.raises(InvalidParameter):
            box.runner.run(Task("x", containers))
    healthy = box.container("print", depends_on=(("two", Condition.HEALTHY),))
    with pytest.raises(Unimplemented):
        box.runner.run(Task("x", (healthy, box.container("print", name="two"))))


def test_an_address_is_known_before_the_task_and_belongs_to_it(box: Box) -> None:
    """AWS shows it late; we choose when."""
    task = box.new_id()
    address = box.runner.address(task)
    assert box.start(box.container("sleep", "60"), id=task) == (task, address)
    assert box.runner.address("another") != address
    with pytest.raises(InvalidParameter):
        box.runner.run(Task(task, (box.container("print"),)))
    box.runner.stop(task, kill_after=0)
    box.ended(task)


def test_forget_deletes_the_spools(box: Box) -> None:
    """And nothing but them was left."""
    result = box.finish(box.container("print", "x"))
    task = result.stopped.task
    assert box.runner.log_path(task, "main").exists()
    box.runner.forget(task)
    assert not box.runner.log_path(task, "main").parent.exists()


@pytest.mark.mode("full")
def test_more_memory_than_the_task_has_is_an_oom_kill(box: Box) -> None:
    """137, and said to be one."""
    if any("Memory is not limited" in limit for limit in box.runner.limits):
        pytest.skip("needs full mode: no memory cgroup")
    result = box.finish(box.container("alloc", "200"), memory_mib=64)
    assert result.codes == {"main": 137}
    assert result.exits["main"].oom
    assert box.finish(box.container("alloc", "20"), memory_mib=64).codes == {"main": 0}


def test_many_at_once_all_run(box: Box) -> None:
    """No order and no address is lost."""
    tasks = [Task(box.new_id(), (box.container("sleep", "0.05", ";", "exit", "2"),)) for _ in range(20)]
    addresses = {box.runner.run(task) for task in tasks}
    assert len(addresses) == len(tasks)
    results: list[Any] = [box.ended(task.id).codes for task in tasks]
    assert results == [{"main": 2}] * len(tasks)


@pytest.fixture(scope="module")
def data_layer(box: Box, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A layer with a file that is no program."""
    from tests.sandbox.runner.box import archive  # noqa: PLC0415

    entries = (("data", {"mode": 0o644}, b"x"), ("etc", {"type": b"5"}, b""))
    return box.runner.unpack(*archive(tmp_path_factory.mktemp("data"), *entries))
