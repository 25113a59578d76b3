"""The commands `sandbox` and `demo`: what they start, what they hand on, and that nothing is left behind."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, SECONDS

_FAST = ["--provision-seconds", "0", "--stop-seconds", "0"]


def _sandbox(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "sandbox", *words],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


def test_a_command_gets_the_addresses_and_its_code_comes_back() -> None:
    """Somebody's real AWS account does not shine through."""
    script = (
        'test -S "$SOCKERLESS_SOCKET" && echo "$AWS_ENDPOINT_URL $AWS_PROFILE $SOCKERLESS_SOCKET" && exit 5'
    )
    done = _sandbox(*_FAST, "--", "sh", "-c", script, AWS_PROFILE="production", SOCKERLESS_ECS_CLUSTER="real")
    assert done.returncode == 5
    found = re.fullmatch(r"http://127\.0\.0\.1:\d+  (/.*)\n", done.stdout)
    assert found is not None
    assert "mode, for trying and testing only" in done.stderr
    assert not Path(found[1]).parents[1].exists()


def test_a_state_folder_is_kept_and_used_again(tmp_path: Path) -> None:
    run = ["--", *PROGRAM, "run", "--name", "kept", "host", "true"]
    assert _sandbox(*_FAST, "--state-dir", str(tmp_path / "s"), *run).returncode == 0
    done = _sandbox(*_FAST, "--state-dir", str(tmp_path / "s"), "--", *PROGRAM, "ps", "-a")
    assert re.search(r"Exited \(0\).* kept$", done.stdout, re.MULTILINE), done.stderr


@pytest.mark.parametrize("word", ["-1", "soon", "nan"])
def test_wrong_seconds_are_refused(word: str) -> None:
    assert _sandbox(f"--provision-seconds={word}").returncode == 2


def test_a_run_interrupted_before_its_container_runs_takes_it_along() -> None:
    """SIGTERM to the sandbox reaches its command; `run --rm` removes what would still have started."""
    script = (
        'run() { "$PYTHON" -m sockerless_ecs "$@"; }; exec 2>/dev/null; '
        '"$PYTHON" -m sockerless_ecs run --rm host true & started=$!; '
        "until run ps -aq | grep -q .; do :; done; "
        'kill -INT $started; wait $started; echo "code $?"; run ps -aq'
    )
    slow = ["--provision-seconds", "600", "--stop-seconds", "0"]
    done = _sandbox(*slow, "--", "bash", "-c", script, PYTHON=PROGRAM[0])
    assert done.stdout == "code 130\n"


def test_sigkill_leaves_no_process_and_no_file() -> None:
    script = 'echo "$PPID $SOCKERLESS_SOCKET"; exec sleep 600'
    process = subprocess.Popen(
        [*PROGRAM, "sandbox", *_FAST, "--", "sh", "-c", script], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    parent, socket = process.stdout.readline().split()
    assert int(parent) == process.pid
    state = Path(socket).parents[1]
    children = _below(process.pid)
    assert len(children) >= 3
    handles = [os.pidfd_open(child) for child in children]
    process.send_signal(signal.SIGKILL)
    process.wait(SECONDS)
    for handle in handles:
        assert select.select([handle], [], [], SECONDS)[0]
        os.close(handle)
    process.stdout.close()
    assert not state.exists()


def _below(pid: int) -> list[int]:
    """All descendants of a process."""
    children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    for thread in Path(f"/proc/{pid}/task").iterdir():
        if int(thread.name) != pid:
            children += map(int, (thread / "children").read_text().split())
    return [descendant for child in children for descendant in (child, *_below(child))]


def test_the_demo_shows_three_containers_and_ends_well() -> None:
    done = subprocess.run(
        [*PROGRAM, "demo", *_FAST], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    for words in ("| hello from", "exit code 0", "exit code 7", "followed 3 lines", "All as it should be"):
        assert words in done.stdout
