"""Run the daemon on an embedded AWS that executes tasks as local processes: for trying, developing, testing.

Without COMMAND it runs until interrupted. With COMMAND (after --) it runs that, with DOCKER_HOST,
SOCKERLESS_SOCKET, AWS_ENDPOINT_URL and credentials that are worth nothing, and exits with its code.
Nothing is left behind but what --state-dir asks to keep.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from typing import IO, Final

import trio

from sockerless_ecs.commands.sandboxed import (
    Sandboxed,
    add_sandbox_arguments,
    last_lines,
    options_of,
    sandboxed_daemon,
)
from sockerless_ecs.commands.tied import start_tied

_SIGNAL_BASE: Final = 128


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags and operands of `sandbox`."""
    parser.usage = "%(prog)s [OPTIONS] [-- COMMAND [ARGUMENT…]]"
    add_sandbox_arguments(parser)
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="run this, then end")


def main(arguments: argparse.Namespace) -> int:
    """The exit code of COMMAND; 0 after an interrupt; 1 if the daemon dies."""
    command: list[str] = arguments.command
    return trio.run(_sandbox, arguments, command[1:] if command[:1] == ["--"] else command)


async def _sandbox(arguments: argparse.Namespace, command: Sequence[str]) -> int:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        code = 0
        async with trio.open_nursery() as nursery:
            scope = nursery.cancel_scope
            if not command:
                nursery.start_soon(_cancel_on_signal, signals, scope)
            async with sandboxed_daemon(options_of(arguments), log_to_file=bool(command)) as sandboxed:
                describe(sandboxed, sys.stderr if command else sys.stdout)
                code = await (_run(sandboxed, command, signals) if command else _until_it_dies(sandboxed))
            scope.cancel()
        return code


async def _cancel_on_signal(signals: AsyncIterator[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()
        return


async def _until_it_dies(sandboxed: Sandboxed) -> int:
    code = await sandboxed.ended()
    sys.stderr.write(f"sockerless-backend-ecs: the daemon ended with exit code {code}\n")
    return 1


async def _run(sandboxed: Sandboxed, command: Sequence[str], signals: AsyncIterator[int]) -> int:
    """COMMAND shares our terminal: Ctrl-C reaches it without us. Other signals are passed on."""
    process = start_tied(command, sandboxed.environment)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pass_on, signals, process)
        code = await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()
    if (daemon := sandboxed.process.poll()) is not None:
        log = last_lines(sandboxed.info.state_dir / "daemon" / "daemon.log")
        sys.stderr.write(f"sockerless-backend-ecs: the daemon had ended with exit code {daemon}{log}\n")
        return code or 1
    return code if code >= 0 else _SIGNAL_BASE - code


async def _pass_on(signals: AsyncIterator[int], process: subprocess.Popen[bytes]) -> None:
    async for number in signals:
        if number != signal.SIGINT:
            process.send_signal(number)


def describe(sandboxed: Sandboxed, where: IO[str]) -> None:
    """The addresses, the mode and what it cannot do."""
    info = sandboxed.info
    lines = [
        f"sandbox: {info.mode} mode, for trying and testing only",
        *(f"  - {limit}" for limit in info.limits),
        f"AWS endpoint   {info.endpoint_url}",
        f"registry       {info.registry}",
        f"internal API   {sandboxed.socket}",
        f"To use it:     export DOCKER_HOST={sandboxed.docker_host}",
        f"               export SOCKERLESS_SOCKET={sandboxed.socket}",
    ]
    where.write("\n".join(lines) + "\n")
    where.flush()
