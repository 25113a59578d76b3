"""What holds for every test: no connection leaves this machine, what cannot run here is counted and named."""

from __future__ import annotations

import os
import re
import socket
import struct
import sys
from collections.abc import Generator, Iterator
from functools import cache
from ipaddress import IPv4Address, IPv4Network, ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import pytest

from sockerless_ecs.sandbox.runner.client import Mode, Runner
from tests.e2e.shared import cloud, daemon

__all__ = ["cloud", "daemon"]

_LOWER_MODE = re.compile(r"needs (full|rootless|bare) mode|not here: ")
_SANDBOX_LINK = "sless"
_NOT_RUN = pytest.StashKey[list[str]]()


class ForbiddenConnection(AssertionError):
    """A test tried to reach an address that is neither loopback nor of a sandbox's network."""


@cache
def sandbox_mode() -> Mode:
    """The best mode this machine has, found once by starting a runner."""
    with TemporaryDirectory() as state:
        runner = Runner(Path(state))
        try:
            return runner.mode
        finally:
            runner.close()


def require_mode(name: str) -> None:
    """Skip the test that calls this, by a reason that is counted, where the machine has only a lower mode."""
    modes = list(Mode)
    if modes.index(sandbox_mode()) > modes.index(Mode(name)):
        pytest.skip(f"needs {name} mode; this machine has {sandbox_mode().value}")


def not_run_here(what: str) -> NoReturn:
    """Skip the test that calls this for something the machine lacks; it is counted, and named at the end."""
    pytest.skip(f"not here: {what}")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sandbox-mode",
        choices=[mode.value for mode in Mode],
        help="run the session's sandbox in this mode rather than in the best that this machine has",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_NOT_RUN] = []
    # Go wants a place for its cache also where there is no HOME; what tests compile fetches nothing.
    if config.pluginmanager.hasplugin("cacheprovider") and config.cache is not None:
        os.environ.setdefault("GOCACHE", str(config.cache.mkdir("go") / "build"))
        os.environ.setdefault("GOPATH", str(config.cache.mkdir("go") / "path"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    forced = item.config.getoption("--sandbox-mode")
    for mark in item.iter_markers("mode"):
        if forced is None:
            require_mode(mark.args[0])
        elif list(Mode).index(Mode(forced)) > list(Mode).index(Mode(mark.args[0])):
            pytest.skip(f"needs {mark.args[0]} mode; --sandbox-mode is {forced}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and _LOWER_MODE.search(str(report.longrepr)):
        item.config.stash[_NOT_RUN].append(item.nodeid)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not_run := config.stash[_NOT_RUN]:
        terminalreporter.section(
            f"{len(not_run)} tests need what this machine lacks and did NOT run", red=True
        )
        terminalreporter.write_line("\n".join(sorted(not_run)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """CI as root has every mode: there, a test that did not run is a failure."""
    in_ci = os.environ.get("CI") == "true" and os.geteuid() == 0
    if in_ci and session.config.stash[_NOT_RUN] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session", autouse=True)
def _no_connection_leaves_this_machine() -> Iterator[None]:
    """An audit hook cannot be taken away again, but it can be told that the session is over."""
    active = True

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if not active:
            return
        match event, arguments:
            case "socket.getaddrinfo", (host, *_):
                allowed = host is None or _is_ours(os.fsdecode(host))
            case "socket.connect" | "socket.sendto", (connection, (str(host), *_)):
                unix = connection.family not in (socket.AF_INET, socket.AF_INET6)
                allowed = unix or _is_ours(host)
            case _:
                return
        if not allowed:
            raise ForbiddenConnection(f"{event} {host}: tests talk to this machine only")

    sys.addaudithook(audit)
    yield
    active = False


def _is_ours(host: str) -> bool:
    if host in ("", socket.gethostname()) or host.rsplit(".", maxsplit=1)[-1] == "localhost":
        return True
    try:
        address = ip_address(host if ":" in host else socket.inet_ntoa(socket.inet_aton(host)))
    except (OSError, ValueError):
        return False
    return (
        address.is_loopback
        or address.is_unspecified
        or (isinstance(address, IPv4Address) and any(address in network for network in _sandbox_networks()))
    )


def _sandbox_networks() -> Iterator[IPv4Network]:
    """The routes that lead into a sandbox: the kernel lists addresses in its own byte order."""
    for line in Path("/proc/net/route").read_text().splitlines()[1:]:
        link, destination, *_, mask = line.split()[:8]
        if link.startswith(_SANDBOX_LINK):
            network, bits = (
                struct.unpack("=4s", struct.pack("=I", int(word, 16)))[0] for word in (destination, mask)
            )
            yield IPv4Network((network, str(IPv4Address(bits))))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A misspelt mode is an error now, not a test that silently always runs."""
    for item in items:
        for mark in item.iter_markers("mode"):
            Mode(mark.args[0])
