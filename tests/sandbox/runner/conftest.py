"""Runners in every mode that this machine can do."""

# ruff: noqa: PTH101

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from sockerless_ecs.sandbox.runner.client import Mode, Runner, RunnerError
from tests.sandbox.runner.box import Box, archive

NOBODY = 65534
#: How a runner can be had: its mode, and whether root is given up first.
SETTINGS = {
    "full": (Mode.FULL, None),
    "rootless": (Mode.ROOTLESS, None),
    "rootless-nobody": (Mode.ROOTLESS, NOBODY),
    "bare": (Mode.BARE, None),
    "bare-nobody": (Mode.BARE, NOBODY),
}
_AT_LEAST = {"full": ("full",), "rootless": ("full", "rootless", "rootless-nobody"), "bare": tuple(SETTINGS)}


@cache
def _why_not(mode: Mode, user: int | None) -> str:
    if user is not None and os.geteuid():
        return "only root can become somebody else"
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        try:
            Runner(Path(folder, "state"), mode=mode, user=user).close()
        except RunnerError as error:
            return str(error)
    return ""


def require_mode(mode: Mode, user: int | None = None) -> None:
    """Skip, naming the mode, where this machine cannot do it."""
    if reason := _why_not(mode, user):
        pytest.skip(f"needs {mode} mode: {reason}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for a box runs in every setting at or above the mode it is marked with."""
    if "box" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("mode")
        settings = _AT_LEAST[marker.args[0] if marker else "bare"]
        metafunc.parametrize("box", settings, indirect=True, scope="module")


def go() -> str:
    """The Go tool: on PATH, or beside the interpreter."""
    beside = Path(sys.executable).parent / "go"
    found = shutil.which("go") or (str(beside) if beside.exists() else None)
    if found is None:
        pytest.fail("there is no Go toolchain: install the dev extra")
    return found


@pytest.fixture(scope="session")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static program that containers run."""
    binary = tmp_path_factory.mktemp("tool") / "tool"
    source = Path(__file__).parent.parent / "tool" / "main.go"
    flags = ["-trimpath", "-ldflags=-s -w"]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    subprocess.run([go(), "build", *flags, "-o", str(binary), str(source)], check=True, env=environment)
    return binary


@pytest.fixture
def places() -> Iterator[Callable[[], Path]]:
    """Makes state folders that every user can reach, and removes them."""
    made: list[Path] = []

    def make() -> Path:
        folder = Path(tempfile.mkdtemp(prefix="sockerless-runner-"))
        folder.chmod(0o755)
        made.append(folder)
        return folder / "state"

    yield make
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def box(
    request: pytest.FixtureRequest, tool: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Box]:
    """A runner in one setting, with the tool's image."""
    mode, user = SETTINGS[request.param]
    require_mode(mode, user)
    folder = Path(tempfile.mkdtemp(prefix="sockerless-runner-"))
    folder.chmod(0o755)
    with Runner(folder / "state", mode=mode, user=user) as runner:
        layer = runner.unpack(*archive(tmp_path_factory.mktemp("layers"), ("tool", {}, tool.read_bytes())))
        made = Box(runner, (layer,))
        yield made
        made.close()
    shutil.rmtree(folder)
