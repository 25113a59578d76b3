"""Execs as Docker shows them and as they are asked for."""

from __future__ import annotations

import msgspec

from sockerless_ecs.http.shapes.create import Strings
from sockerless_ecs.http.shapes.naming import Answer, Request


class ExecCreateBody(Request, frozen=True, kw_only=True):
    """A process that is asked for."""

    cmd: Strings = None
    attach_stdin: bool | None = None
    attach_stdout: bool | None = None
    attach_stderr: bool | None = None
    tty: bool | None = None
    env: Strings = None
    working_dir: str | None = None
    user: str | None = None
    privileged: bool | None = None
    detach_keys: str | None = None
    console_size: tuple[int, int] | None = None
    """Where it is started is where it counts."""


class ExecStartBody(Request, frozen=True, kw_only=True):
    """How it is to be started."""

    detach: bool | None = None
    tty: bool | None = None
    console_size: tuple[int, int] | None = None
    """Rows, columns."""


class ExecCreatedView(Answer, frozen=True, kw_only=True):
    """The answer to a create."""

    id: str


class ProcessView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The process; Docker writes it in lower case."""

    tty: bool
    entrypoint: str
    arguments: list[str]
    privileged: bool
    user: str
    env: list[str]
    working_dir: str


class ExecView(Answer, frozen=True, kw_only=True):
    """What inspect shows."""

    id: str = msgspec.field(name="ID")
    container_id: str = msgspec.field(name="ContainerID")
    running: bool
    exit_code: int | None
    pid: int
    open_stdin: bool
    open_stdout: bool
    open_stderr: bool
    process_config: ProcessView
    can_remove: bool
    detach_keys: str = ""
