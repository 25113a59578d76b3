"""Where a task is: its folders, address and rights, as the supervisor decided them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sockerless_ecs.sandbox.runner.spec import Mode


@dataclass(frozen=True, slots=True)
class Place:
    """One task's place. `chroot` matters in bare mode only: whether a root of its own is possible."""

    state: Path
    task: str
    mode: Mode
    address: str
    gateway: str
    index: int
    hostname: str
    cgroups: tuple[Path, ...] = ()
    chroot: bool = False

    @property
    def folder(self) -> Path:
        """What is the task's own and goes with it."""
        return self.state / "tasks" / self.task

    @property
    def layers(self) -> Path:
        """Unpacked layers, one store for each mode: they say in different ways what they hide."""
        return layer_store(self.state, self.mode)

    @property
    def logs(self) -> Path:
        """One spool file for each container; the caller removes it."""
        return self.state / "logs" / self.task


def layer_store(state: Path, mode: Mode) -> Path:
    """Where a sandbox keeps its layers."""
    return state / "layers" / mode
