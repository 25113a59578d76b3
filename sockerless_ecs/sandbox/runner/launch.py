"""Forks a container and tells whether its program runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from sockerless_ecs.sandbox.runner import bare, container, kernel, program, seccomp
from sockerless_ecs.sandbox.runner.place import Place
from sockerless_ecs.sandbox.runner.spec import Container, Mode, Task


def start(place: Place, task: Task, wanted: Container) -> tuple[int, int]:
    """Fork a container: its process, and a pipe that closes at exec or says why there was none."""
    reading, writing = os.pipe()
    spool = os.open(place.logs / wanted.name, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o644)
    parent = os.getpid() if place.mode is Mode.BARE else 0
    home = -1
    if place.mode is not Mode.BARE:
        home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        kernel.unshare(kernel.NEWPID)  # for the next child only
    child = os.fork()
    if child == 0:
        _child(place, task, wanted, parent=parent, spool=spool, answer=writing)
    if home >= 0:
        kernel.setns(home, kernel.NEWPID)
        os.close(home)
    os.close(spool)
    os.close(writing)
    return child, reading


def _child(place: Place, task: Task, wanted: Container, *, parent: int, spool: int, answer: int) -> None:
    executing, asked = False, wanted.argv[0]
    try:
        kernel.die_with_parent(parent)
        program.restore_signals()
        os.setsid()
        Path("/proc/self/oom_score_adj").write_text("100")  # rather it than us
        program.connect_streams(spool)  # before the root changes: a copied one may have no /dev/null
        if place.mode is Mode.BARE:
            wanted = bare.enter(place, task, wanted)
        else:
            container.enter(place, task, wanted)
        user = program.find_user(wanted.user, Path("/etc"))
        program.set_limits(wanted)
        if wanted.readonly_root and place.mode is not Mode.BARE:
            program.make_working_directory(wanted)
            container.close_root()
        if place.mode is not Mode.BARE:
            if kernel.can_filter_system_calls():
                seccomp.install()
            kernel.keep_only(kernel.DOCKER_CAPABILITIES)
        environment = program.environment(wanted, place.hostname, user.home)
        program.become(user, place.mode)
        kernel.die_with_parent(parent)  # again: a change of user had made the kernel forget
        program.make_working_directory(wanted)
        executing = True
        program.execute(wanted, environment)
    except BaseException as error:  # noqa: BLE001 - the only way out of a forked child
        code = program.exit_code(error, while_executing=executing)
        text = _told(error, asked) if executing else f"{type(error).__name__}: {error}"
        os.write(answer, json.dumps({"code": code, "error": text}).encode())
    finally:
        os._exit(125)


def _told(error: BaseException, command: str) -> str:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return f"exec: {command!r}: {(reason or '').lower()}"
