"""The program as people start it, and one `sandbox` command for the session to be its daemon."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "sockerless_ecs"]
SECONDS = 60


@dataclass(frozen=True)
class CommandLine:
    """`sockerless-backend-ecs`, with a daemon's socket in its environment."""

    socket: str

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*PROGRAM, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Run it beside the test, in a process group of its own."""
        return subprocess.Popen(
            [*PROGRAM, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Ours and SOCKERLESS_SOCKET."""
        return os.environ | {"SOCKERLESS_SOCKET": self.socket}


@pytest.fixture(scope="session")
def sandbox_socket() -> Iterator[str]:
    """The socket that the `sandbox` command prints; an interrupt ends it with 0 and leaves nothing."""
    command = [*PROGRAM, "sandbox", "--provision-seconds", "0", "--stop-seconds", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)
    assert process.stdout is not None
    found = None
    for line in process.stdout:
        if found := re.search(r"export SOCKERLESS_SOCKET=(.*)$", line.strip()):
            break
    assert found is not None, "the sandbox did not start"
    yield found[1]
    process.send_signal(signal.SIGINT)
    assert process.wait(SECONDS) == 0
    process.stdout.close()
    assert not Path(found[1]).parents[1].exists()


@pytest.fixture
def cli(sandbox_socket: str) -> Iterator[CommandLine]:
    """The program; what a test leaves running is removed after it."""
    command_line = CommandLine(sandbox_socket)
    yield command_line
    left = command_line("ps", "-aq").stdout.split()
    if left:
        assert command_line("rm", "-f", *left).returncode == 0
