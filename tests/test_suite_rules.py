"""The rules of `conftest.py` themselves: nothing leaves the machine, and what did not run is named."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

_CANNOT_RUN = """
import pytest

def test_that_needs_more():
    pytest.skip("needs full mode: this machine has bare")

def test_that_runs():
    pass
"""


@pytest.mark.parametrize("address", ["192.0.2.1", "10.1.2.3", "2001:db8::1"])
def test_connections_that_leave_this_machine_are_refused(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as connection:
        connection.setblocking(False)
        with pytest.raises(AssertionError, match="tests talk to this machine only"):
            connection.connect((address, 9))


def test_names_of_other_machines_are_not_even_looked_up() -> None:
    with pytest.raises(AssertionError, match="tests talk to this machine only"):
        socket.getaddrinfo("example.com", 443)


def test_loopback_is_allowed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


@pytest.mark.parametrize("ci", ["true", ""])
def test_what_needs_a_higher_mode_is_counted_named_and_never_green_in_ci(ci: str, tmp_path: Path) -> None:
    file = tmp_path / "test_modes.py"
    file.write_text(_CANNOT_RUN)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.conftest",
            "-c",
            os.devnull,
            "--rootdir",
            str(tmp_path),
            str(file),
        ],
        env=os.environ | {"CI": ci},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 tests need what this machine lacks and did NOT run" in done.stdout
    assert "test_modes.py::test_that_needs_more" in done.stdout
    must_fail = ci == "true" and os.geteuid() == 0
    assert done.returncode == (1 if must_fail else 0)
