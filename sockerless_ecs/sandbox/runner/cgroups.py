"""Memory limits of tasks: cgroup v1, v2, or none with a reason."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_BUSY_SECONDS = 2.0


class Memory:
    """A parent group for one sandbox, with one child for each task. `reason` says why there is none."""

    def __init__(self, state: Path) -> None:
        self.reason = ""
        self._parent: Path | None = None
        self._version = 2 if (_ROOT / "cgroup.controllers").exists() else 1
        tree = _ROOT if self._version == 2 else _ROOT / "memory"  # noqa: PLR2004 - cgroup v2
        own = _own_group("" if self._version == 2 else "memory")  # noqa: PLR2004 - cgroup v2
        name = f"sockerless-{hashlib.sha256(os.fsencode(state)).hexdigest()[:12]}"
        self.reason = f"no writable memory cgroup under {tree}"
        # Our own group first, then upwards: in v2 a group that holds processes cannot pass memory on to
        # children, and in a container the path may be one of the host's.
        for start in (tree / own, *(tree / own).parents):
            if not start.is_relative_to(tree):
                break
            try:
                self._parent = self._make_parent(start, name)
            except OSError as error:
                self.reason = f"no memory cgroup: {error.strerror}: {error.filename}"
            if self._parent:
                self.sweep(whole=False)
                break

    def _make_parent(self, start: Path, name: str) -> Path | None:
        control = start / "cgroup.subtree_control"
        if control.exists() and "memory" not in control.read_text():
            return None
        parent = start / name
        parent.mkdir(exist_ok=True)
        if control.exists():
            (parent / "cgroup.subtree_control").write_text("+memory")
            _try_to_move_into(parent / "probe")
        return parent

    def __bool__(self) -> bool:
        return self._parent is not None

    def make(self, task: str, mebibytes: int) -> tuple[Path, ...]:
        """The group of a task, or nothing where there are none."""
        if self._parent is None:
            return ()
        group = self._parent / task
        group.mkdir()
        if self._version == 2:  # noqa: PLR2004 - cgroup v2
            limits = {"memory.max": mebibytes << 20, "memory.swap.max": 0}
        else:
            limits = {
                "memory.limit_in_bytes": mebibytes << 20,
                "memory.memsw.limit_in_bytes": mebibytes << 20,
            }
        for name, limit in limits.items():
            if (group / name).exists():
                (group / name).write_text(str(limit))
        return (group,)

    def remove(self, task: str) -> None:
        """Drop the group of a task that has ended; what is still busy is left to the sweep."""
        if self._parent is not None:
            with contextlib.suppress(OSError):
                (self._parent / task).rmdir()

    def sweep(self, *, whole: bool) -> None:
        """Drop every task's group, and with `whole` ours too; waits a little for those still busy."""
        if self._parent is None:
            return
        deadline = time.monotonic() + _BUSY_SECONDS
        groups = (
            [group for group in self._parent.iterdir() if group.is_dir()] if self._parent.is_dir() else []
        )
        for group in (*groups, *([self._parent] if whole else ())):
            while group.is_dir():
                try:
                    group.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.005)


def enter(groups: tuple[Path, ...]) -> None:
    """Move the calling process; what it forks inherits it (a move waits about 10 ms for RCU in v1)."""
    for group in groups:
        (group / "cgroup.procs").write_text("0")


def oom_kills(groups: tuple[Path, ...]) -> int:
    """How often the kernel killed for memory in these groups."""
    for group in groups:
        for name in ("memory.events", "memory.oom_control"):
            if not (group / name).exists():
                continue
            for line in (group / name).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def _own_group(controller: str) -> str:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            return path.lstrip("/")
    return ""


def _try_to_move_into(group: Path) -> None:
    # Where only a subtree is delegated, a group can be made but nobody moved into it: see before it matters.
    group.mkdir(exist_ok=True)
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(OSError):
            enter((group,))
            code = 0
        os._exit(code)
    _, status = os.waitpid(child, 0)
    group.rmdir()
    if status:
        raise PermissionError(1, "processes cannot be moved", str(group))
