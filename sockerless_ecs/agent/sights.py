"""What an agent sees of its container: the processes, and what they use."""

from __future__ import annotations

import msgspec

from sockerless_ecs.agent.client import AgentClient
from sockerless_ecs.model.usage import Usage


class ProcessInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the container; the agent is none. Ids are the container's own."""

    pid: int
    ppid: int
    uid: int
    user: str
    """By the image's own passwd, else the number."""
    gid: int
    state: str
    """The kernel's letter: R, S, D, T, …"""
    nice: int
    cpu_percent: float
    """Of one processor, over its whole life."""
    vsz_kib: int
    rss_kib: int
    tty: str
    """As ps has it: `pts/0`; `?` without one."""
    start_ns: int
    cpu_ns: int
    command: str
    """At most 15 bytes of its name."""
    arguments: str
    """The command line, or its name in brackets."""


class _Processes(msgspec.Struct):
    processes: tuple[ProcessInfo, ...]


async def processes(agent: AgentClient) -> list[ProcessInfo]:
    """Those that live; raises `Unimplemented` where the sandbox has no /proc."""
    return list((await agent.call("GET", "/top", _Processes)).processes)


async def usage(agent: AgentClient) -> Usage:
    """One sample of the counters: those of the container's cgroup, else what its processes add up to.

    Raises `Unimplemented` where there is neither.
    """
    return await agent.call("GET", "/stats", Usage)
