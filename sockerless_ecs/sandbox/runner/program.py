"""The last step into a container: limits, user, environment, exec."""

# ruff: noqa: PTH103, PTH112

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sockerless_ecs.sandbox.runner import kernel
from sockerless_ecs.sandbox.runner.spec import Container, Mode

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NOT_FOUND, _NOT_EXECUTABLE, _NOT_STARTED = 127, 126, 125
_TOLD_TO_PYTHON = (
    signal.SIGPIPE,
    signal.SIGXFSZ,
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGCHLD,
)


@dataclass(frozen=True, slots=True)
class User:
    """Whom a program runs as."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


def find_user(wanted: str, etc: Path) -> User:
    """`name|uid[:group|gid]` by the container's own passwd and group files; raises `LookupError`."""
    name, _, group_name = wanted.partition(":")
    name = name or "0"
    uid, gid, home = -1, 0, "/"
    for fields in _records(etc / "passwd", 7):
        if name in (fields[0], fields[2]):
            name, uid, gid, home = fields[0], int(fields[2]), int(fields[3]), fields[5]
            break
    if uid < 0:
        if not name.isdigit():
            raise LookupError(f"unable to find user {name}: no matching entries in passwd file")
        uid = int(name)
    groups = tuple(int(fields[2]) for fields in _records(etc / "group", 4) if name in fields[3].split(","))
    if group_name:
        matches = [int(f[2]) for f in _records(etc / "group", 4) if group_name in (f[0], f[2])]
        if not matches and not group_name.isdigit():
            raise LookupError(f"unable to find group {group_name}: no matching entries in group file")
        gid = matches[0] if matches else int(group_name)
        groups = ()
    return User(uid, gid, groups, home or "/")


def _records(file: Path, fields: int) -> list[list[str]]:
    try:
        lines = file.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    rows = [line.split(":") for line in lines]
    return [row for row in rows if len(row) >= fields and row[2].isdigit()]


def restore_signals() -> None:
    """Undo what Python ignores; an ignored signal stays ignored in the program."""
    signal.set_wakeup_fd(-1)
    for number in _TOLD_TO_PYTHON:
        signal.signal(number, signal.SIG_DFL)


def connect_streams(spool: int) -> None:
    """Standard output and error straight into the spool file, input from nowhere."""
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    os.dup2(spool, 1)
    os.dup2(spool, 2)


def set_limits(container: Container) -> None:
    """Apply the container's ulimits; raises `LookupError` or `ValueError` naming the one that cannot be."""
    for limit in container.ulimits:
        kind = getattr(resource, f"RLIMIT_{limit.name.upper()}", None)
        if kind is None:
            raise LookupError(f"there is no ulimit {limit.name}")
        try:
            resource.setrlimit(kind, (limit.soft, limit.hard))
        except (ValueError, OSError) as error:
            raise ValueError(f"ulimit {limit.name}={limit.soft}:{limit.hard}: {error}") from error


def become(user: User, mode: Mode) -> None:
    """Change to the user. Raises `PermissionError` where other users cannot be had."""
    if mode is Mode.ROOTLESS:
        if user.uid or user.gid:
            raise PermissionError(
                1, f"user {user.uid}:{user.gid} does not exist in rootless mode, which has one id"
            )
        return
    if mode is Mode.BARE and not kernel.has_capability(kernel.CAP_SETUID):
        if user.uid not in (0, os.getuid()):
            raise PermissionError(
                1, f"user {user.uid} cannot be had in bare mode without the right to change users"
            )
        return
    if mode is Mode.BARE and (user.uid, user.gid) == (os.getuid(), os.getgid()):
        return
    os.fchown(1, user.uid, user.gid)  # so that /dev/stdout can be opened again
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)


def make_working_directory(container: Container) -> None:
    """Make the working directory if it is missing, as Docker does, and go there."""
    if not os.path.isdir(container.cwd):
        os.makedirs(container.cwd, exist_ok=True)
    os.chdir(container.cwd)


def execute(container: Container, environment: Mapping[str, str]) -> None:
    """Replace the process; returns never, raises `OSError` as exec does."""
    os.execvpe(container.argv[0], container.argv, dict(environment))  # noqa: S606 - it is a container's command


def environment(container: Container, hostname: str, home: str) -> dict[str, str]:
    """The container's environment over what Docker always sets."""
    return {"PATH": _PATH, "HOSTNAME": hostname, "HOME": home, **container.env}


def exit_code(error: BaseException, *, while_executing: bool) -> int:
    """What a start that failed is called, as Docker does."""
    if not while_executing:
        return _NOT_STARTED
    match error:
        case FileNotFoundError() | NotADirectoryError():
            return _NOT_FOUND
        case OSError():
            return _NOT_EXECUTABLE
        case _:
            return _NOT_STARTED
