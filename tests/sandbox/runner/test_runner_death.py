"""Nothing is left: after close, and after SIGKILL of whoever holds the runner, or of the supervisor."""

# ruff: noqa: PTH115, PTH208

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sockerless_ecs.sandbox.runner.client import Mode, Runner, RunnerError, Started
from tests.sandbox.runner.box import PATIENCE_SECONDS, Box, archive
from tests.sandbox.runner.conftest import SETTINGS, require_mode

TASKS = 5
HOLDER = Path(__file__).with_name("holder.py")


def below(ancestor: int) -> set[int]:
    """A process and all below it, through namespaces."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, queue = {ancestor}, [ancestor]
    while queue:
        more = children.get(queue.pop(), [])
        found |= set(more)
        queue += more
    return found


def alive(processes: set[int]) -> set[int]:
    """Those that are still there and no zombies."""
    found = set()
    for process in processes:
        try:
            state = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            found.add(process)
    return found


def namespaces(processes: set[int]) -> set[str]:
    """The namespaces they are in."""
    found = set()
    for process in processes:
        for kind in ("net", "mnt", "pid", "user"):
            try:
                found.add(os.readlink(f"/proc/{process}/ns/{kind}"))
            except OSError:
                continue
    return found


def on_the_machine(state: Path, prefix: str) -> set[str]:
    """What one sandbox has there besides processes: mounts, its link, route and address, its cgroups."""
    cgroup = f"sockerless-{hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:12]}"
    first, second = (int(part) for part in prefix.split("."))
    network = f"{second:02X}{first:02X}"  # as /proc/net/route writes it, last byte first
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()]
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    return {
        *(f"link {fields[0]}" for fields in routes if fields[1].endswith(network)),
        *(f"mount {line}" for line in mounts if str(state) in line),
        *(f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"**/{cgroup}")),
    }


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


@pytest.fixture
def hold(places: Callable[[], Path], tool: Path) -> Iterator[Callable[..., tuple[int, int, Path, str]]]:
    """Starts a holder; its process, the keeper's, and the state folder."""
    made: list[subprocess.Popen[str]] = []

    def start(mode: Mode, user: int | None) -> tuple[int, int, Path, str]:
        state = places()
        who = "-" if user is None else str(user)
        words = [sys.executable, str(HOLDER), str(state), mode.value, who, str(tool), str(TASKS)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        made.append(process)
        assert process.stdout
        lines = [process.stdout.readline().strip() for _ in range(4)]
        assert lines[:2] == ["running", mode.value]
        return process.pid, int(lines[2]), state, lines[3]

    yield start
    for process in made:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


@pytest.mark.parametrize("victim", ["holder", "supervisor", "keeper"])
@pytest.mark.parametrize("setting", list(SETTINGS))
def test_sigkill_leaves_nothing_behind(
    hold: Callable[..., tuple[int, int, Path, str]], setting: str, victim: str
) -> None:
    """No process (not even in a session of its own), mount, namespace, link or route."""
    mode, user = SETTINGS[setting]
    require_mode(mode, user)
    holder, keeper, state, prefix = hold(mode, user)
    assert on_the_machine(state, prefix) or mode is not Mode.FULL
    (supervisor,) = [pid for pid in below(keeper) if pid != keeper and parent(pid) == keeper]
    family = below(keeper)
    theirs = namespaces(family) - namespaces({os.getpid()})
    others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - family
    assert len(family) >= 2 + TASKS * 3
    os.kill({"holder": holder, "supervisor": supervisor, "keeper": keeper}[victim], signal.SIGKILL)
    if victim == "keeper" and mode is Mode.BARE:
        eventually(lambda: len(alive(family)) <= TASKS, f"{alive(family)} of {family}")  # the stated limit
        for pid in alive(family):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(family), f"{alive(family)} of {family}")
    assert not theirs & namespaces(others)  # numbers are used again, so only those who were there count
    if victim == "keeper":  # nobody is left to sweep folders and cgroups: the next start does
        with Runner(state, mode=mode, user=user):
            assert list((state / "tasks").iterdir()) == []
    eventually(lambda: not on_the_machine(state, prefix), "the machine is as it was")
    assert not (state / "tasks").exists()


def parent(pid: int) -> int:
    """Its parent."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_close_ends_every_task_and_leaves_layers_and_logs(
    places: Callable[[], Path], tool: Path, tmp_path: Path
) -> None:
    """What is left is the caller's: layers are found again by the next runner."""
    state = places()
    with Runner(state) as runner:
        layer = runner.unpack(*archive(tmp_path, ("tool", {}, tool.read_bytes())))
        box = Box(runner, (layer,))
        task, _ = box.start(box.container("print", "kept", ";", "sleep", "600"))
        box.wait_for_line(task, "kept")
        family = below(runner._process.pid)
        box.close()
        assert not alive(family)
    assert sorted(path.name for path in state.iterdir()) == ["layers", "lock", "logs", "root"]
    assert runner.log_path(task, "main").read_text() == "kept\n"
    eventually(lambda: not on_the_machine(state, runner._prefix), "the machine is as it was")
    with Runner(state) as runner:
        assert runner.unpack(Path("/nonexistent"), f"sha256:{layer}") == layer


@pytest.mark.parametrize("mode", list(Mode))
def test_the_death_of_the_supervisor_is_told(mode: Mode, places: Callable[[], Path], tool: Path) -> None:
    """Events end with an error, orders fail, close still works."""
    require_mode(mode)
    runner = Runner(places(), mode=mode)
    (supervisor,) = below(runner._process.pid) - {runner._process.pid} if mode is Mode.BARE else {0}
    if not supervisor:
        supervisor = next(pid for pid in below(runner._process.pid) if parent(pid) == runner._process.pid)
    os.kill(supervisor, signal.SIGKILL)
    with pytest.raises(RunnerError, match="died"):
        list(runner.events())
    with pytest.raises(RunnerError):
        runner.allow("0.0.0.0/0", "sg")
    runner.close()


def test_a_task_whose_process_is_killed_is_stopped(box: Box) -> None:
    """Its containers go with it; the sandbox stays."""
    task, _ = box.start(box.container("sleep", "600"))
    keeper = box.runner._process.pid
    (supervisor,) = [pid for pid in below(keeper) if parent(pid) == keeper]
    theirs = [pid for pid in below(supervisor) if parent(pid) == supervisor and len(below(pid)) > 1]
    for pid in theirs:
        os.kill(pid, signal.SIGKILL)
    result = box.ended(task)
    assert any(isinstance(event, Started) for event in result.events)
    assert result.stopped.error
    assert box.finish(box.container("exit", "3")).codes == {"main": 3}


def test_one_state_folder_has_one_sandbox(places: Callable[[], Path]) -> None:
    """A second one is refused, and its words say why."""
    state = places()
    with Runner(state), pytest.raises(RunnerError, match="another sandbox"):
        Runner(state)
