"""What each mode cannot do, one sentence each."""

from __future__ import annotations

from sockerless_ecs.sandbox.runner import kernel
from sockerless_ecs.sandbox.runner.cgroups import Memory
from sockerless_ecs.sandbox.runner.spec import Mode

_ISOLATED = (
    "Nothing leads out of a task's network but the sandbox's own services.",
    "Tasks resolve only the names that the sandbox knows.",
    "32-bit programs do not run.",
)
_EVERYWHERE = "CPU and ephemeral storage are not limited."
_ROOTLESS = (
    "Every container runs as uid 0 of a user namespace with one id: other users do not exist.",
    "The machine reaches only the ports that a task names, and those below 1024 only if it may bind them.",
)
_NOT_ROOT = ("Image host: the machine's files can be read and hidden, not changed in place.",)
_BARE = (
    "There is no resolver: names outside a container's hosts file are the machine's.",
    "Containers are plain processes: they see each other, the machine's processes and its network.",
    "Image host is the machine itself, unprotected: volumes are reached by their real paths.",
    "A port is shared by all tasks unless the program binds its task's own address.",
    "Read-only roots and read-only volumes are writable.",
    "If the sandbox's own keeper process is killed with SIGKILL, what containers forked may survive.",
)
_CHROOT = (
    "Roots are copies of the image without /proc; a volume belongs to one running container at a time.",
    "Where devices may not be made, /dev/null is an ordinary file and there are no others.",
    "Shared folders reach image host only.",
)
_NO_CHROOT = ("Images other than host run only if they are static programs, and see the machine's files.",)
_NO_SETUID = ("Every container runs as the sandbox's own user: other users do not exist.",)


def limits_of(mode: Mode, memory: Memory, user: int) -> list[str]:
    """The limits of a mode on this machine, for the user who started it."""
    found = [_EVERYWHERE] if mode is Mode.BARE else [_EVERYWHERE, *_ISOLATED]
    if not memory:
        found.append(f"Memory is not limited: {memory.reason}.")
    if mode is not Mode.BARE and not kernel.can_filter_system_calls():
        found.append("System calls are not filtered: this kernel has no seccomp.")
    if mode is Mode.ROOTLESS:
        found += _ROOTLESS
        found += _NOT_ROOT if user else ()
    if mode is Mode.BARE:
        found += _BARE
        found += _CHROOT if kernel.has_capability(kernel.CAP_SYS_CHROOT) else _NO_CHROOT
        found += () if kernel.has_capability(kernel.CAP_SETUID) else _NO_SETUID
    return found
