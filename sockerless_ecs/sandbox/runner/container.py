"""The inside of a container: its namespaces and mounts, between fork and exec."""

# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH120, PTH211

from __future__ import annotations

import os
import stat
from pathlib import Path

from sockerless_ecs.sandbox.runner import kernel
from sockerless_ecs.sandbox.runner.kernel import NODEV, NOEXEC, NOSUID, RDONLY
from sockerless_ecs.sandbox.runner.place import Place
from sockerless_ecs.sandbox.runner.rootfs import hide_private_parts, mount_root
from sockerless_ecs.sandbox.runner.spec import HOST, Container, Task

#: Written into the task's folder and bound into every container, writable in place.
ETC_FILES = ("hosts", "hostname", "resolv.conf")

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_MASKED = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
_DEVICE_LINKS = {
    "ptmx": "pts/ptmx",
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "core": "/proc/kcore",
}


def enter(place: Place, task: Task, container: Container) -> None:
    """Give the calling process the container's namespaces, root and mounts."""
    kernel.unshare(kernel.NEWNS | kernel.NEWUTS | kernel.NEWIPC | kernel.NEWCGROUP)
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)
    sources = [
        (os.open(source, os.O_PATH | os.O_CLOEXEC), target, flags)
        for source, target, flags in _binds(place, task, container)
    ]
    devices = [(os.open(f"/dev/{name}", os.O_PATH | os.O_CLOEXEC), f"/dev/{name}") for name in _DEVICES]
    root = str(place.state / "root")  # one empty folder for all: each mounts on it in its own namespace
    mount_root(place, container, root)
    old = kernel.pivot_into(root)
    ours = _mount_proc_and_sys(old)
    _mount_cgroups(place.cgroups)
    _mount_devices(devices)
    if container.layers == HOST:
        hide_private_parts(place)
    # Here every path is resolved inside the container: a symlink at a target cannot lead out of it.
    for descriptor, target, flags in sources:
        point = _mount_point(target, folder=stat.S_ISDIR(os.fstat(descriptor).st_mode))
        kernel.bind(f"/proc/self/fd/{descriptor}", point, flags=NODEV | flags)
    _cover_proc(recursive=not ours)
    os.fchdir(old)
    kernel.unmount(".")
    os.chdir("/")
    kernel.sethostname(place.hostname)


def can_mount_proc(folder: Path) -> bool:
    """Whether containers get a /proc of their own: not in a user namespace where it is partly masked."""
    child = os.fork()
    if child == 0:
        try:
            kernel.unshare(kernel.NEWNS)
            kernel.mount("proc", str(folder), "proc", NOSUID | NODEV | NOEXEC)
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def close_root() -> None:
    """Make the root read-only, for `readonlyRootFilesystem`; volumes and /etc/hosts stay writable."""
    kernel.add_flags("/", RDONLY)


def _binds(place: Place, task: Task, container: Container) -> list[tuple[str, str, int]]:
    binds = [(str(place.folder / name), f"/etc/{name}", 0) for name in ETC_FILES]
    for mount in container.mounts:
        source = task.volumes[mount.volume] or place.folder / "volumes" / mount.volume
        binds.append((str(source), mount.target, RDONLY if mount.readonly else 0))
    return binds


def _mount_proc_and_sys(old: int) -> bool:
    ours = True
    for path, kind, flags in (("/proc", "proc", 0), ("/sys", "sysfs", RDONLY)):
        _mount_point(path, folder=True)
        try:
            kernel.mount(kind, path, kind, NOSUID | NODEV | NOEXEC | flags)
        except PermissionError:
            # Rootless inside a container that masks parts of /proc: a new one would reveal them.
            os.fchdir(old)
            kernel.mount(path[1:], path, flags=kernel.BIND | kernel.REC)
            os.chdir("/")
            ours = False
    return ours


def _mount_cgroups(groups: tuple[Path, ...]) -> None:
    if not groups:
        return
    flags = NOSUID | NODEV | NOEXEC
    if not os.path.isdir("/sys/fs/cgroup"):
        return
    if not groups[0].is_relative_to("/sys/fs/cgroup/memory"):  # cgroup v2
        kernel.mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags | RDONLY)
        return
    kernel.mount("tmpfs", "/sys/fs/cgroup", "tmpfs", flags, "mode=755")
    os.mkdir("/sys/fs/cgroup/memory")
    kernel.mount("cgroup", "/sys/fs/cgroup/memory", "cgroup", flags | RDONLY, "memory")


def _mount_devices(devices: list[tuple[int, str]]) -> None:
    _mount_point("/dev", folder=True)
    # nodev: a container may mknod. The devices are bound, not made, and keep the flags of their own mount.
    kernel.mount("tmpfs", "/dev", "tmpfs", NOSUID | NODEV, "mode=755,size=64k")
    for descriptor, path in devices:
        _mount_point(path, folder=False)
        kernel.bind(f"/proc/self/fd/{descriptor}", path)
    for name, kind, flags, options in (
        ("pts", "devpts", 0, "newinstance,ptmxmode=0666,mode=0620"),
        ("mqueue", "mqueue", NODEV, ""),
        ("shm", "tmpfs", NODEV, "mode=1777,size=64m"),
    ):
        _mount_point(f"/dev/{name}", folder=True)
        kernel.mount(kind, f"/dev/{name}", kind, NOSUID | NOEXEC | flags, options)
    for link, target in _DEVICE_LINKS.items():
        os.symlink(target, f"/dev/{link}")


def _cover_proc(*, recursive: bool) -> None:
    for path in _READ_ONLY:
        if os.path.exists(path):
            kernel.bind(path, path, flags=RDONLY | NOSUID | NODEV | NOEXEC, recursive=recursive)
    for path in _MASKED:
        if os.path.isdir(path):
            kernel.mount("tmpfs", path, "tmpfs", RDONLY, "size=0")
        elif os.path.exists(path):
            kernel.bind("/dev/null", path)


def _mount_point(path: str, *, folder: bool) -> str:
    # /etc/resolv.conf is often a dangling symlink. Resolved by us, never by the kernel: until it is detached
    # the old root lies on top of ours, and a ".." that reaches / climbs into it.
    path = os.path.realpath(path)
    if folder:
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    return path
