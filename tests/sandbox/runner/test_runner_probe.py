"""Which mode a machine gets, and what is said when it is not the one that was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sockerless_ecs.sandbox.runner.client import Mode, Runner, RunnerError
from tests.sandbox.runner.conftest import NOBODY, require_mode

HERE = Path(__file__).parent
PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from sockerless_ecs.sandbox.runner.client import Runner
with Runner(Path(sys.argv[2])) as runner:
    print(runner.mode, *runner.limits, sep="\\n")
"""


def test_root_gets_full_mode(places: Callable[[], Path]) -> None:
    """On a machine of its own."""
    require_mode(Mode.FULL)
    with Runner(places()) as runner:
        assert runner.mode is Mode.FULL


def test_a_plain_user_gets_rootless_mode(places: Callable[[], Path]) -> None:
    """And is told why it is not full mode."""
    require_mode(Mode.ROOTLESS, NOBODY)
    with Runner(places(), user=NOBODY) as runner:
        assert runner.mode is Mode.ROOTLESS
        assert runner.limits[0] == "Full mode is impossible here: full mode needs root."


def test_a_mode_that_cannot_be_is_an_error_that_says_why(places: Callable[[], Path]) -> None:
    """Never another mode instead."""
    if os.geteuid() == 0:
        with pytest.raises(RunnerError, match="needs root"):
            Runner(places(), mode=Mode.FULL, user=NOBODY)
    else:
        with pytest.raises(RunnerError, match="needs root"):
            Runner(places(), mode=Mode.FULL)


@pytest.mark.parametrize("rights", ["docker", "nothing"])
def test_a_container_without_rights_gets_bare_mode(rights: str, places: Callable[[], Path]) -> None:
    """With the reasons first and every limit stated."""
    require_mode(Mode.ROOTLESS)
    words = [sys.executable, "-c", PROBE, str(HERE.parents[2]), str(places())]
    done = confined(rights, *words)
    assert done.returncode == 0, done.stderr
    mode, full, rootless, *limits = done.stdout.splitlines()
    assert mode == "bare"
    assert full.startswith("Full mode is impossible here: ")
    assert rootless.startswith("Rootless mode is impossible here: ")
    assert any("Roots are copies" in limit for limit in limits) == (rights == "docker")
    assert any("static programs" in limit for limit in limits) == (rights == "nothing")


@pytest.mark.parametrize("rights", ["docker", "nothing"])
def test_the_life_of_tasks_is_the_same_without_rights(rights: str, places: Callable[[], Path]) -> None:
    """The tests of bare mode pass where nothing else can be had."""
    require_mode(Mode.ROOTLESS)
    tests = [str(HERE / f"test_runner_{name}.py") for name in ("life", "files", "network")]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-k", "bare and not nobody"]
    options.append(f"--basetemp={places()}")
    done = confined(rights, sys.executable, "-m", "pytest", *options, *tests)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def confined(rights: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command with few rights."""
    command = [sys.executable, str(HERE / "confined.py"), rights, *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=HERE.parents[2], timeout=120
    )


def test_what_is_forked_for_every_task_is_light() -> None:
    """The supervisor starts without site packages, and without what only its helpers need."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); import sockerless_ecs.sandbox.runner.boot; "
    code += "print(*sys.modules)"
    words = [sys.executable, "-ISc", code, str(HERE.parents[2])]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert "sockerless_ecs.sandbox.runner.supervisor" in loaded
    assert {"asyncio", "ssl", "typing_extensions"} & set(loaded) == set()
