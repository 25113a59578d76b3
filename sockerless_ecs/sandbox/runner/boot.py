"""The keeper: drops rights, makes the namespaces, watches over the supervisor and sweeps after it.

It survives both the daemon's death (its socket closes, the supervisor ends) and the supervisor's, and takes
the supervisor with it when it is killed itself. argv: state folder, descriptor of the socket, mode, user or
nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

from sockerless_ecs.sandbox.runner import bare, kernel
from sockerless_ecs.sandbox.runner.cgroups import Memory
from sockerless_ecs.sandbox.runner.limits import limits_of
from sockerless_ecs.sandbox.runner.place import layer_store
from sockerless_ecs.sandbox.runner.spec import Mode, RunnerError
from sockerless_ecs.sandbox.runner.supervisor import Supervisor


def main() -> None:
    """Body of the process that `client.Runner` starts."""
    state, mode = Path(sys.argv[1]), Mode(sys.argv[3])
    control = socket.socket(fileno=int(sys.argv[2]))
    control.set_inheritable(False)
    os.umask(0o022)
    try:
        if sys.argv[4]:
            from sockerless_ecs.sandbox.runner import relay  # noqa: F401, PLC0415 - see _drop_to

            _drop_to(int(sys.argv[4]))
        user = os.geteuid()
        _lock(state)
        memory = Memory(state)
    except (OSError, RunnerError) as error:
        _fail(control, error)
    try:
        _isolate(mode)
    except (OSError, RunnerError) as error:
        memory.sweep(whole=True)
        _fail(control, error)
    _sweep(state)
    parent = os.getpid() if mode is Mode.BARE else 0  # 0 is a parent outside of a PID namespace
    child = os.fork()
    if child == 0:
        kernel.die_with_parent(parent)
        _supervise(control, state, mode, memory, user)
    control.close()
    _, status = os.waitpid(child, 0)
    if mode is Mode.BARE:
        bare.kill_all_below()
    else:
        with contextlib.suppress(OSError):  # it is a mount only where the state folder lies on overlayfs
            for folder in (state / "tasks", layer_store(state, mode)):
                kernel.unmount(str(folder))
    memory.sweep(whole=True)
    _sweep(state)
    os._exit(os.waitstatus_to_exitcode(status) & 255)


def _supervise(control: socket.socket, state: Path, mode: Mode, memory: Memory, user: int) -> NoReturn:
    try:
        if mode is Mode.BARE:
            kernel.adopt_orphans()
        try:
            supervisor = Supervisor(control, state, mode, memory)
        except (OSError, RunnerError) as error:
            _fail(control, error)
        supervisor.run(limits_of(mode, memory, user))
    except BaseException:  # noqa: BLE001 - the only way out of a forked child
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _fail(control: socket.socket, error: Exception) -> NoReturn:
    with contextlib.suppress(OSError):
        control.sendall(json.dumps({"event": "failed", "error": str(error), "at": time.time()}).encode())
    os._exit(1)


def _lock(state: Path) -> None:
    # Held by every process of ours until the last has gone.
    lock = os.open(state / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise RunnerError(f"another sandbox uses the state folder {state}") from error


def _drop_to(user: int) -> None:
    # After every import, lazy ones too: the user need not be able to read our interpreter's files.
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
    kernel.own_proc()


def _isolate(mode: Mode) -> None:
    match mode:
        case Mode.FULL:
            if os.geteuid():
                raise RunnerError("full mode needs root")
        case Mode.ROOTLESS:
            _become_root_of_a_namespace()
        case Mode.BARE:
            kernel.adopt_orphans()
            return
    kernel.unshare(kernel.NEWPID | kernel.NEWNS)
    kernel.mount("none", "/", flags=kernel.REC | kernel.PRIVATE)


def _become_root_of_a_namespace() -> None:
    # One id only: more would take newuidmap and an administrator's leave.
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _sweep(state: Path) -> None:
    for folder in (state / "tasks", *(state / "layers").glob("*/*.partial")):
        shutil.rmtree(folder, ignore_errors=True)
