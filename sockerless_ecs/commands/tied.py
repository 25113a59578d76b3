"""Children that cannot outlive us; as a program (PARENT PROGRAM…), what ties PROGRAM to process PARENT.

The tie holds whatever ends the parent, SIGKILL too. The parent must have started us from its main thread:
the kernel watches the thread that forked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.sandbox.runner.kernel import die_with_parent

_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126


def start_tied(
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    output: IO[bytes] | None = None,
    new_session: bool = False,
) -> subprocess.Popen[bytes]:
    """A child that cannot outlive us; call it from the main thread. `output` takes its stdout and stderr."""
    if not command:
        raise InvalidParameter("there is no command to run")
    return subprocess.Popen(
        [*python_command(__name__), str(os.getpid()), *command],
        env=dict(environment),
        stdout=output,
        stderr=output,
        start_new_session=new_session,
    )


def python_command(module: str) -> list[str]:
    """How to run one of our modules: from where we are installed, whatever lies in the working directory."""
    start = f"sys.path.insert(0, {_PACKAGE_PARENT!r}); runpy.run_module({module!r}, None, '__main__', True)"
    return [sys.executable, "-P", "-c", f"import runpy, sys; {start}"]


def _main(parent: int, command: Sequence[str]) -> int:
    die_with_parent(parent)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 (no shell is wanted)
    except FileNotFoundError:
        sys.stderr.write(f"sockerless-backend-ecs: {command[0]}: command not found\n")
        return _NOT_FOUND
    except OSError as error:
        sys.stderr.write(f"sockerless-backend-ecs: {command[0]}: {error.strerror}\n")
        return _NOT_EXECUTABLE


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]), sys.argv[2:]))
