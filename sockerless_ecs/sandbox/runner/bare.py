"""Bare mode, where neither capabilities nor namespaces can be had: copies, chroot if possible, loopback.

Image `host`, and every image where chroot is not allowed, sees the machine's own files; its volumes are
reached by their real paths, which replace the mount targets in its command and environment. In a chroot a
volume is moved into the container that uses it and back when it ends.
"""

# ruff: noqa: PTH101, PTH114, PTH118

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sockerless_ecs.sandbox.runner.container import ETC_FILES
from sockerless_ecs.sandbox.runner.layers import OPAQUE, WHITEOUT, remove
from sockerless_ecs.sandbox.runner.place import Place
from sockerless_ecs.sandbox.runner.spec import AGENT_PORT, HOST, Container, Task

_DEVICES = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}


def enter(place: Place, task: Task, container: Container) -> Container:
    """Prepare the calling process as well as can be; returns the container as it must be executed here."""
    env = {**container.env, "SOCKERLESS_LISTEN": f"{place.address}:{AGENT_PORT}"}
    if container.layers != HOST:
        root = _copied_root(place, container)
        if place.chroot:
            _fill(root, place, container)
            _move_volumes_in(place, task, container, root)
            os.chroot(root)
            os.chdir("/")
            return replace(container, env=env)
        container = replace(container, argv=(_program_in(root, container), *container.argv[1:]))
    # The machine's /etc is not ours to write.
    env["SOCKERLESS_ETC"] = str(place.folder)
    return _with_real_paths(place, task, replace(container, env=env))


def take_volumes_back(place: Place, task: Task, container: Container) -> None:
    """Undo the move of a container's volumes, for the container that uses them next."""
    if container.layers == HOST or not place.chroot:
        return
    for mount in container.mounts:
        inside = _inside(_root(place, container), mount.target)
        if task.volumes[mount.volume] is None and inside.is_dir():
            with contextlib.suppress(OSError):
                inside.rename(place.folder / "volumes" / mount.volume)


def kill_session(leader: int) -> None:
    """End what a container's first process left behind in its session; the caller adopts orphans."""
    for pid in _below(os.getpid()):
        with contextlib.suppress(OSError):
            if os.getsid(pid) == leader:
                _kill(pid)


def kill_all_below() -> None:
    """End every process below the calling one, which adopts orphans, until there is none."""
    while True:
        for pid in _below(os.getpid()):
            _kill(pid)
        try:
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def _below(ancestor: int) -> list[int]:
    look = (
        _children_told if Path(f"/proc/self/task/{os.getpid()}/children").exists() else _children_searched()
    )
    found, queue = list[int](), [ancestor]
    while queue:
        more = look(queue.pop())
        found += more
        queue += more
    return found


def _children_told(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):  # it has just ended
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


def _children_searched() -> Callable[[int], list[int]]:
    # For kernels that do not tell: by everybody's parent, the second field after the name.
    children: dict[int, list[int]] = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(file.read_text(errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(file.parent.name))
    return lambda pid: children.get(pid, [])


def _copied_root(place: Place, container: Container) -> Path:
    root = _root(place, container)
    root.mkdir(parents=True)
    for layer in container.layers:
        _merge(place.layers / layer, root)
    return root


def _root(place: Place, container: Container) -> Path:
    return place.folder / container.name / "root"


def _inside(root: Path, target: str) -> Path:
    return root / os.path.normpath("/" + target).lstrip("/")


def _with_real_paths(place: Place, task: Task, container: Container) -> Container:
    real = {
        mount.target.rstrip("/"): str(task.volumes[mount.volume] or place.folder / "volumes" / mount.volume)
        for mount in container.mounts
    }

    def rewritten(text: str) -> str:
        for target, path in real.items():
            if text == target or text.startswith(target + "/"):
                return path + text[len(target) :]
        return text

    return replace(
        container,
        argv=tuple(rewritten(word) for word in container.argv),
        env={key: rewritten(value) for key, value in container.env.items()},
        cwd=rewritten(container.cwd),
    )


def _program_in(root: Path, container: Container) -> str:
    name = container.argv[0]
    if any(
        name == mount.target or name.startswith(mount.target.rstrip("/") + "/") for mount in container.mounts
    ):
        return name
    folders = [""] if "/" in name else container.env.get("PATH", "/usr/local/bin:/usr/bin:/bin").split(":")
    for folder in folders:
        found = _inside(root, os.path.join(folder, name))
        if found.exists():
            return str(found)
    return str(_inside(root, name))  # where exec will not find it either


def _move_volumes_in(place: Place, task: Task, container: Container, root: Path) -> None:
    for mount in container.mounts:
        if task.volumes[mount.volume] is not None:
            raise NotImplementedError(f"volume {mount.volume}: bare mode shares folders with image host only")
        source, target = place.folder / "volumes" / mount.volume, _inside(root, mount.target)
        if not source.is_dir():
            raise NotImplementedError(
                f"volume {mount.volume}: in bare mode one running container at a time has it"
            )
        if not target.parent.resolve().is_relative_to(root.resolve()):
            raise PermissionError(1, f"{mount.target} leads out of the image")
        target.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(target):
            remove(str(target))
        source.rename(target)


def _fill(root: Path, place: Place, container: Container) -> None:
    for folder in ("dev", "etc", "tmp", "proc"):
        if not os.path.lexists(root / folder):
            (root / folder).mkdir()
        if not (root / folder).resolve().is_relative_to(root.resolve()):
            raise PermissionError(1, f"/{folder} leads out of the image")
    if not (root / "proc").is_symlink() and container.argv[0].startswith("/"):
        # There is no /proc here, but programs look for themselves in it.
        if os.path.lexists(root / "proc/self"):
            remove(str(root / "proc/self"))
        (root / "proc/self").mkdir()
        (root / "proc/self/exe").symlink_to(container.argv[0])
    for name in ETC_FILES:
        target = root / "etc" / name
        if os.path.lexists(target):
            remove(str(target))
        shutil.copyfile(place.folder / name, target)
    for name, (major, minor) in _DEVICES.items():
        _make_device(root / "dev" / name, os.makedev(major, minor))
    null = root / "dev/null"
    if not null.exists():  # a stated limit; most programs cannot even start another one without it
        null.touch()
        null.chmod(0o666)


def _make_device(path: Path, number: int) -> None:
    if os.path.lexists(path):
        remove(str(path))
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, number)
        os.chmod(path, 0o666)  # noqa: S103 - as the device has it
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY))
    except OSError:  # no right to make it, or a file system that forbids it
        if path.name != "tty":  # which needs a terminal to be opened
            path.unlink(missing_ok=True)


def _merge(layer: Path, target: Path) -> None:
    """Add what overlayfs would show of one more layer: copies, as a write to a hard link would reach it."""
    seen: dict[tuple[int, int], Path] = {}
    for folder, names, files in os.walk(layer):
        place = target / Path(folder).relative_to(layer)
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        elif OPAQUE in files and place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True, exist_ok=True)
        shutil.copystat(folder, place)
        for name in (name for name in files if name.startswith(WHITEOUT) and name != OPAQUE):
            if os.path.lexists(hidden := place / name.removeprefix(WHITEOUT)):
                remove(str(hidden))
        links = [name for name in names if os.path.islink(f"{folder}/{name}")]
        for name in (name for name in (*files, *links) if not name.startswith(WHITEOUT)):
            _copy(Path(folder, name), place / name, seen)


def _copy(source: Path, copy: Path, seen: dict[tuple[int, int], Path]) -> None:
    if os.path.lexists(copy):
        remove(str(copy))
    status = source.lstat()
    key = (status.st_dev, status.st_ino)
    if key in seen:
        os.link(seen[key], copy, follow_symlinks=False)
        return
    seen[key] = copy
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
        with contextlib.suppress(OSError):  # no right to make it; to read it would have no end
            os.mknod(copy, status.st_mode, status.st_rdev)
            shutil.copystat(source, copy)
        return
    shutil.copy2(source, copy, follow_symlinks=False)
    if os.geteuid() == 0:
        os.chown(copy, status.st_uid, status.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(copy, stat.S_IMODE(status.st_mode))  # chown cleared setuid
