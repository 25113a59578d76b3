"""The few Linux system calls that Python 3.11 does not offer."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, REMOUNT, BIND, REC, PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_DETACH = 2
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_READ, _PR_CAPBSET_DROP = 1, 4, 23, 24
_PR_GET_SECCOMP, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 21, 22, 2
_PR_SET_CHILD_SUBREAPER = 36
_CAPABILITIES_V3 = 0x20080522
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_SYS_MOUNT_SETATTR = 442
_AT_RECURSIVE = 0x8000
_OVERLAYFS_MAGIC = 0x794C7630
CAP_SETGID, CAP_SETUID, CAP_SYS_CHROOT, CAP_MKNOD = 6, 7, 18, 27

#: What Docker, and so Fargate, leaves to a container: chown dac_override fowner fsetid kill setgid
#: setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write setfcap.
DOCKER_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31})

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(what: str, result: int) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount `source` on `target`."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        os.fsencode(data) or None,
    )
    _checked(f"mount {kind or 'bind'} on {target}", result)


def bind(source: str, target: str, *, flags: int = 0, recursive: bool = False) -> None:
    """Bind `source` on `target` and add flags."""
    mount(source, target, "", BIND | (REC if recursive else 0))
    if flags:
        add_flags(target, flags, recursive=recursive)


def add_flags(target: str, flags: int, *, recursive: bool = False) -> None:
    """Add flags to a mount; never replaces them: in a user namespace the old ones are locked."""
    attributes = (ctypes.c_uint64 * 4)(flags, 0, 0, 0)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        -100,
        os.fsencode(target),
        _AT_RECURSIVE if recursive else 0,
        attributes,
        ctypes.c_size_t(ctypes.sizeof(attributes)),
    )
    if result == -1 and ctypes.get_errno() == errno.ENOSYS:  # before Linux 5.12
        mount("none", target, "", BIND | REMOUNT | flags)
    else:
        _checked(f"set flags of {target}", result)


def unmount(target: str) -> None:
    """Detach the mount at `target`."""
    _checked(f"umount {target}", _libc.umount2(os.fsencode(target), _DETACH))


def unshare(flags: int) -> None:
    """Enter new namespaces."""
    _checked("unshare", _libc.unshare(flags))


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace behind `descriptor`."""
    _checked("setns", _libc.setns(descriptor, kind))


def pivot_into(root: str) -> int:
    """Make `root` the root; the old one stays reachable through the returned descriptor until detached."""
    old = os.open("/", os.O_DIRECTORY | os.O_CLOEXEC)
    os.chdir(root)
    _checked("pivot_root", _libc.syscall(_SYS_PIVOT_ROOT[os.uname().machine], b".", b"."))
    os.chdir("/")
    return old


def sethostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    _checked("sethostname", _libc.sethostname(name.encode(), len(name.encode())))


def die_with_parent(parent: int) -> None:
    """SIGKILL for us when the thread that forked us ends; ends at once if `parent` is already gone.

    `parent` is 0 where it is outside our PID namespace.
    """
    _checked("prctl", _libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0))
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Orphans below us become our children, not those of the machine's init."""
    _checked("prctl", _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def own_proc() -> None:
    """Take back /proc/self after a change of user, which had made it root's."""
    _checked("prctl", _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0))


def keep_only(capabilities: frozenset[int]) -> None:
    """Narrow the bounding set; the exec that follows narrows the rest (we are uid 0)."""
    for number in range(64):
        if number not in capabilities and _libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) == 1:
            _checked("prctl", _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))


def can_filter_system_calls() -> bool:
    """Whether this kernel has seccomp."""
    return bool(_libc.prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) != -1)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_void_p))


def filter_system_calls(steps: ctypes.Array[ctypes.c_char], count: int) -> None:
    """Install a seccomp filter of `count` steps."""
    program = _FilterProgram(count, ctypes.addressof(steps))
    result = _libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0)
    _checked("seccomp", result)


def has_capability(number: int) -> bool:
    """Whether we may use this capability. Not read from /proc: there may be none."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_V3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; then their upper halves
    _checked("capget", _libc.capget(header, sets))
    return bool(sets[number // 32 * 3] >> number % 32 & 1)


def is_overlay(path: Path) -> bool:
    """Whether `path` lies on overlayfs."""
    answer = ctypes.create_string_buffer(256)
    _checked("statfs", _libc.statfs(os.fsencode(path), answer))
    return int.from_bytes(answer.raw[:8], "little") == _OVERLAYFS_MAGIC
