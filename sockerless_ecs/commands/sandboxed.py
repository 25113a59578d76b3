"""The daemon as a child process on an embedded AWS: what `sandbox` and `demo` share."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import trio

from sockerless_ecs.commands.client import DaemonUnreachable, open_client
from sockerless_ecs.commands.tied import python_command, start_tied
from sockerless_ecs.errors import Unavailable
from sockerless_ecs.sandbox.launch import (
    SandboxInfo,
    SandboxOptions,
    credentials,
    daemon_settings,
    embedded_aws,
)

_READY_SECONDS: Final = 30.0
_POLL_SECONDS: Final = 0.02
_END_SECONDS: Final = 15.0
_GRACE_SECONDS: Final = 5.0
_SHOWN_LINES: Final = 20
_MODES: Final = ("full", "rootless", "bare")
_OF_OTHER_DAEMONS: Final = ("DOCKER_CONTEXT", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandboxed:
    """A daemon that answers, and where it and its AWS are."""

    info: SandboxInfo
    socket: Path
    docker_host: str
    environment: Mapping[str, str]
    """For programs that use it: DOCKER_HOST, SOCKERLESS_SOCKET, AWS_ENDPOINT_URL, worthless credentials."""
    process: subprocess.Popen[bytes]

    async def ended(self) -> int:
        """The daemon's exit code, once it has ended."""
        return await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)


def add_sandbox_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that shape the embedded AWS."""
    flag, usual = parser.add_argument, SandboxOptions()
    flag(
        "--provision-seconds",
        type=_seconds,
        default=usual.provision_seconds,
        metavar="S",
        help=f"from RunTask to RUNNING (default {usual.provision_seconds:g})",
    )
    flag(
        "--stop-seconds",
        type=_seconds,
        default=usual.stop_seconds,
        metavar="S",
        help=f"from the end of a task's processes to STOPPED (default {usual.stop_seconds:g})",
    )
    flag(
        "--log-delay-seconds",
        type=_seconds,
        default=usual.log_delay_seconds,
        metavar="S",
        help=f"how late lines are in CloudWatch Logs (default {usual.log_delay_seconds:g})",
    )
    flag("--mode", choices=_MODES, help="how tasks are isolated (default: the best that works here)")
    flag(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="keep everything in DIR (default: a temporary folder that goes with the sandbox)",
    )


def options_of(arguments: argparse.Namespace) -> SandboxOptions:
    """What was asked for on the command line."""
    return SandboxOptions(
        provision_seconds=arguments.provision_seconds,
        stop_seconds=arguments.stop_seconds,
        log_delay_seconds=arguments.log_delay_seconds,
        mode=arguments.mode,
        state_dir=arguments.state_dir,
    )


@asynccontextmanager
async def sandboxed_daemon(options: SandboxOptions, *, log_to_file: bool) -> AsyncIterator[Sandboxed]:
    """A daemon that is ready; it and its AWS end with the context, or with us.

    Raises:
        Unavailable: The sandbox or the daemon cannot start here; the message says why.
    """
    async with embedded_aws(options) as info:
        folder = info.state_dir / "daemon"
        folder.mkdir(mode=0o700, exist_ok=True)
        socket, docker_socket = folder / "backend.sock", folder / "docker.sock"
        environment = _without_aws(os.environ) | credentials(info)
        with _daemon(folder, _configuration(info, folder), environment, log_to_file=log_to_file) as process:
            try:
                await _ready(socket, process, folder / "daemon.log")
                yield Sandboxed(
                    info=info,
                    socket=socket,
                    docker_host=f"unix://{docker_socket}",
                    environment=_for_clients(environment)
                    | {"SOCKERLESS_SOCKET": str(socket), "DOCKER_HOST": f"unix://{docker_socket}"},
                    process=process,
                )
            finally:
                with trio.CancelScope(shield=True):
                    await _end(process)


@contextmanager
def _daemon(
    folder: Path, configuration: Mapping[str, Any], environment: Mapping[str, str], *, log_to_file: bool
) -> Any:
    file = folder / "daemon.yaml"
    file.write_text(json.dumps(configuration, indent=2))  # JSON is YAML
    command = [*python_command("sockerless_ecs"), "serve", "--config", str(file)]
    own = {name: value for name, value in environment.items() if not name.startswith("SOCKERLESS_")}
    log_file = folder / "daemon.log"
    if not log_to_file:
        log_file.unlink(missing_ok=True)
        yield start_tied(command, own, new_session=True)
        return
    with log_file.open("wb") as log:
        yield start_tied(command, own, output=log, new_session=True)


def _configuration(info: SandboxInfo, folder: Path) -> dict[str, Any]:
    return daemon_settings(info) | {
        "listen": {"socket": str(folder / "backend.sock")},
        "docker": {"socket": str(folder / "docker.sock")},
        "store": {"path": str(folder / "state.db")},
        "shutdown": {"grace_seconds": _GRACE_SECONDS},
        "log": {"format": "console"},
    }


def _for_clients(environment: Mapping[str, str]) -> dict[str, str]:
    """A Docker context, or TLS asked for, would win over DOCKER_HOST or break it."""
    return {name: value for name, value in environment.items() if name not in _OF_OTHER_DAEMONS}


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """Somebody's real account must not shine through."""
    kept = {name: value for name, value in environment.items() if not name.startswith("AWS_")}
    return kept | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


async def _ready(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    with trio.move_on_after(_READY_SECONDS):
        async with open_client(socket) as client:
            while process.poll() is None:
                try:
                    await client.call("GET", "/info")
                except DaemonUnreachable:
                    await trio.sleep(_POLL_SECONDS)
                else:
                    return
    happened = "did not get ready" if process.poll() is None else f"ended with exit code {process.returncode}"
    raise Unavailable(f"the daemon in the sandbox {happened}{last_lines(log)}")


def last_lines(log: Path) -> str:
    """The end of a daemon's log, to be put under a message; empty when it logs elsewhere."""
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
    return "; its last words:\n" + "\n".join(f"  {line}" for line in lines)


async def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with trio.move_on_after(_END_SECONDS):
        await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
    process.kill()
    process.wait()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds < float("inf"):
        raise ValueError(text)
    return seconds
