"""The values of the agent protocol, and the ways in which talking to an agent fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from sockerless_ecs.errors import SockerlessError, Unavailable
from sockerless_ecs.model.container import Ulimit
from sockerless_ecs.model.health import Health as ContainerHealth

PROTOCOL = 1


class AgentUnreachable(Unavailable):
    """Nothing answers as an agent at the address: refused, reset, or it hung up during the handshake."""


class WrongAgent(Unavailable):
    """What answers does not hold the task's token: the address belongs to somebody else now."""


class AgentLost(Unavailable):
    """A connection to an agent was cut: what was asked may have happened, a stream is not complete."""


class StartRefused(SockerlessError):
    """A process did not start; `kind` is one of the closed set, the message is in Docker's words.

    Kinds: not_found, not_executable, bad_format, bad_user, bad_cwd, setup; conflict (another run's
    process lives, or the task is about to end); bad_request.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """What an agent says of itself; `run` is the one whose process lives."""

    status: str
    container_health: str
    protocol: int
    version: str
    pid: int
    task: str
    run: str
    proof: str


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A health check with every default filled in; times in nanoseconds, all but `start_period` above 0.

    `test` is Docker's: `("CMD", argv…)` or `("CMD-SHELL", line)`.
    """

    test: tuple[str, ...]
    interval: int
    timeout: int
    start_period: int
    start_interval: int
    retries: int


class StartRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `run` makes it idempotent: the same id again gets the first outcome."""

    run: str
    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    groups: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    no_new_privs: bool = False
    stop_signal: str = "SIGTERM"
    linger_seconds: float = 30
    hostname: str = ""
    tty: bool = False
    stdin: bool = False
    """Whether the process has a standard input that clients can write to; else it is at its end."""
    stdin_once: bool = False
    """Whether the end of one client's input is the end of the process's."""
    rows: int = 0
    columns: int = 0
    health: HealthCheck | None = None


class ExecRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One more process beside a run's; empty fields are the run's own, `env` is added to the run's."""

    id: str
    run: str
    argv: tuple[str, ...]
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    tty: bool = False
    stdin: bool = False
    rows: int = 0
    columns: int = 0
    detach: bool = False
    """Nobody reads its output: it is thrown away, and its standard input is at its end."""


class ExecState(msgspec.Struct, frozen=True, kw_only=True):
    """How an exec is; `code` once it has ended."""

    id: str
    pid: int
    code: int | None = None


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """A process that runs, or ran: its pid in the container and the number of its started event."""

    pid: int
    seq: int
    time_ns: int = msgspec.field(name="time")


class AgentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened; `seq` rises by one and never repeats within a task.

    `exited` has `code` and `oom` and comes the instant the process ends; `drained` has `lines` and
    comes when its output was read to the end; `exec_exited` has `exec`, `pid` and `code`; `health` comes
    after every probe with the whole state, and of these only the newest is kept and told to late readers.
    """

    seq: int
    time_ns: int = msgspec.field(name="time")
    type: Literal["started", "exited", "drained", "exec_exited", "health"]
    run: str
    pid: int = 0
    code: int | None = None
    oom: bool = False
    lines: int | None = None
    exec: str = ""
    health: ContainerHealth | None = None


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the container calls itself and others; `names` maps an address to the names it has."""

    hostname: str
    address: str
    names: Mapping[str, tuple[str, ...]] = {}
    extra_hosts: tuple[tuple[str, str], ...] = ()
    dns: bool = False
