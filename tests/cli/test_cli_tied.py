"""A tied child: it runs as if started directly, and never outlives its parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from sockerless_ecs.commands.tied import start_tied

_PARENT = """
import os, sys
from sockerless_ecs.commands.tied import start_tied
code = "import time; print('up', flush=True); time.sleep(600)"
child = start_tied([sys.executable, "-c", code], os.environ)
print(child.pid, flush=True)
child.wait()
"""


def test_exit_code_and_environment_are_the_programs_own() -> None:
    process = start_tied(["sh", "-c", "exit $CODE"], os.environ | {"CODE": "7"})
    assert process.wait(timeout=20) == 7


def test_a_program_that_is_not_there_is_127() -> None:
    assert start_tied(["/nowhere/at/all"], os.environ).wait(timeout=20) == 127


def test_a_program_that_cannot_be_executed_is_126() -> None:
    assert start_tied([os.devnull], os.environ).wait(timeout=20) == 126


def test_sigkill_of_the_parent_ends_the_child() -> None:
    """The tie is the kernel's: the parent gets no chance to clean up."""
    parent = subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    said = {parent.stdout.readline().strip() for _ in range(2)}
    child = int(max(said - {"up"}))
    handle = os.pidfd_open(child)
    try:
        parent.send_signal(signal.SIGKILL)
        parent.wait(timeout=20)
        ended, _, _ = select.select([handle], [], [], 20)
        assert ended
    finally:
        os.close(handle)
        parent.stdout.close()
