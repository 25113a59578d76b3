"""A process's sockets from outside: what it has open, and cutting its connections as a network would."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PIDFD_GETFD = 438
AGENT_PORT = 9111


def descriptors(pid: int) -> int:
    """How many it has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def resident_mib(pid: int) -> float:
    """Its memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("it has ended")


def cut_agents(pid: int) -> int:
    """End every connection of the process to an agent, with nothing said; how many those were."""
    cut = 0
    for connection in _connections(pid):
        with connection:
            peer = connection.getpeername()
            if isinstance(peer, tuple) and peer[1] == AGENT_PORT:
                connection.shutdown(socket.SHUT_RDWR)
                cut += 1
    return cut


def _connections(pid: int) -> Iterator[socket.socket]:
    process = os.pidfd_open(pid)
    try:
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile, or no connection
                if not str(link.readlink()).startswith("socket:"):
                    continue
                copy = ctypes.CDLL(None, use_errno=True).syscall(_PIDFD_GETFD, process, int(link.name), 0)
                if copy < 0:
                    raise OSError(ctypes.get_errno(), "pidfd_getfd")
                connection = socket.socket(fileno=copy)
                try:
                    connection.getpeername()
                except OSError:
                    connection.close()
                    raise
                yield connection
    finally:
        os.close(process)


def process_of(words: str) -> int:
    """The process whose command line ends so; 0 when there is none."""
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if command.rstrip().endswith(words) and "program" in command.split(" ")[0]:
                return int(folder.name)
    return 0


def parent(pid: int) -> int:
    """Of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
