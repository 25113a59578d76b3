"""A container's root file system: an overlay over layers, or over the machine's own root (image `host`)."""

# ruff: noqa: PTH102, PTH112, PTH114, PTH115, PTH119, PTH211

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sockerless_ecs.sandbox.runner import kernel
from sockerless_ecs.sandbox.runner.kernel import NODEV, NOSUID, RDONLY
from sockerless_ecs.sandbox.runner.place import Place
from sockerless_ecs.sandbox.runner.spec import HOST, Container, Mode

_PRIVATE = {"/tmp": "mode=1777", "/run": "mode=755", "/var/tmp": "mode=1777"}  # noqa: S108 - what is covered
_SYSTEM = frozenset({"/proc", "/sys", "/dev"})
_HOMES = frozenset({"/root", "/home"})


def mount_root(place: Place, container: Container, root: str) -> None:
    """Mount the root of a container on the empty folder `root`."""
    upper = place.folder / container.name
    if container.layers != HOST:
        os.chdir(place.layers)  # relative names: no escaping, and 127 layers fit into a page
        # A layer that is there twice (mostly the empty one) counts where it is topmost.
        names = dict.fromkeys(reversed(container.layers)) if container.layers else ("empty",)
        _overlay(":".join(names), upper, root, place)
    elif place.mode is Mode.FULL:
        _overlay("/", upper, root, place)
        for entry in _top_folders():
            if os.path.ismount(entry) and not _covered(entry):
                _overlay(
                    entry, upper.with_name(f"{upper.name}.{os.path.basename(entry)}"), root + entry, place
                )
    else:
        _mount_host_in_pieces(place, upper, root)


def _overlay(lower: str, upper: Path, target: str, place: Place) -> None:
    (upper / "upper").mkdir(parents=True)
    (upper / "work").mkdir()
    options = (
        f"lowerdir={lower},upperdir={os.path.relpath(upper)}/upper,workdir={os.path.relpath(upper)}/work"
    )
    if place.mode is Mode.ROOTLESS:
        options += ",userxattr"
    kernel.mount("overlay", target, "overlay", NODEV, options)


def _top_folders() -> list[str]:
    return [entry.path for entry in os.scandir("/") if entry.is_dir(follow_symlinks=False)]


def _covered(path: str) -> bool:
    return path in _PRIVATE or path in _SYSTEM or path in _HOMES


def prepare_host(state: Path) -> list[str]:
    """Make ready for image `host` in a user namespace, once for all tasks; the limits that remain.

    There the machine's mounts are locked to each other, and overlayfs refuses a lower layer that has mounts
    beneath it. In a container that is true of /etc, which is small and must be writable: it is copied.
    """
    busy = sorted(path for path in _top_folders() if not _covered(path) and _has_mounts(path))
    if "/etc" in busy:
        busy.remove("/etc")
        shutil.copytree(
            "/etc", _etc_copy(state), symlinks=True, ignore=_unreadable, ignore_dangling_symlinks=True
        )
    return (
        [f"Image host: {', '.join(busy)} cannot be written, for something is mounted in it."] if busy else []
    )


def _etc_copy(state: Path) -> Path:
    return state / "tasks" / ".etc"  # not a task's name; goes with them


def _unreadable(folder: str, names: list[str]) -> list[str]:
    paths = {name: Path(folder, name) for name in names}
    return [
        name
        for name, path in paths.items()
        if not path.is_symlink() and not (os.access(path, os.R_OK) and (path.is_dir() or path.is_file()))
    ]


def _has_mounts(path: str) -> bool:
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return any(point == path or point.startswith(path + "/") for point in mounted)


def _mount_host_in_pieces(place: Place, upper: Path, root: str) -> None:
    kernel.mount("tmpfs", root, "tmpfs", NODEV, "mode=755")
    for entry in os.scandir("/"):
        target = f"{root}/{entry.name}"
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir():
            os.mkdir(target)
            if _covered(entry.path) or not os.access(entry.path, os.R_OK | os.X_OK):
                continue
            if entry.path == "/etc" and _etc_copy(place.state).is_dir():
                _overlay(str(_etc_copy(place.state)), upper / entry.name, target, place)
            elif _has_mounts(entry.path):
                kernel.bind(entry.path, target, flags=RDONLY | NODEV, recursive=True)
            else:
                _overlay(entry.path, upper / entry.name, target, place)


def hide_private_parts(place: Place) -> None:
    """Cover what image `host` must not show: homes, sockets and temporary files, the sandbox's own state."""
    for path, options in _PRIVATE.items():
        if os.path.isdir(path) and not os.path.islink(path):
            kernel.mount("tmpfs", path, "tmpfs", NOSUID | NODEV, options)
    if os.path.isdir("/root"):
        kernel.mount("tmpfs", "/root", "tmpfs", NOSUID | NODEV, "mode=700")
    if os.path.isdir("/home"):
        homes = [
            (entry.path, entry.stat()) for entry in os.scandir("/home") if entry.is_dir(follow_symlinks=False)
        ]
        kernel.mount("tmpfs", "/home", "tmpfs", NOSUID | NODEV, "mode=755")
        for path, status in homes:
            os.mkdir(path, 0o700)
            if place.mode is Mode.FULL:
                os.chown(path, status.st_uid, status.st_gid)
    if os.path.isdir(place.state):
        kernel.mount("tmpfs", str(place.state), "tmpfs", NODEV | RDONLY, "size=0")
