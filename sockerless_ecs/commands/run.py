"""Create and start a container from IMAGE, stream its output, and exit with its exit code.

Signals (Ctrl-C too) are passed on to the container. Exit codes of its own: 125 the daemon refused,
126 the command is not executable, 127 the command was not found.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import AsyncIterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import trio

from sockerless_ecs.commands.client import (
    ApiClient,
    ApiError,
    add_socket_argument,
    container_path,
    with_daemon,
)
from sockerless_ecs.commands.pulling import pulling
from sockerless_ecs.commands.streams import copy_output
from sockerless_ecs.commands.watching import watched
from sockerless_ecs.errors import InvalidParameter, SockerlessError

_DAEMON_REFUSED, _NOT_EXECUTABLE, _NOT_FOUND = 125, 126, 127
_INTERRUPTED: Final = 130
_STATUS_NOT_FOUND, _STATUS_CONFLICT = 404, 409
_FORWARDED: Final = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_SIGNALS_UNTIL_WE_LEAVE: Final = 3
_SIZE_UNITS: Final = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_NOT_FOUND_WORDS: Final = ("executable file not found", "no such file or directory")
_NOT_EXECUTABLE_WORDS: Final = ("permission denied", "is a directory", "exec format error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags and operands of `run`, named as `docker run` names them."""
    parser.usage = "%(prog)s [OPTIONS] IMAGE [COMMAND [ARGUMENT…]]"
    add_socket_argument(parser)
    flag = parser.add_argument
    flag("--name", help="the container's name (default: one is made up)")
    flag("--rm", action="store_true", help="remove the container when it ends")
    flag("-d", "--detach", action="store_true", help="print the id and leave it running")
    flag(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="environment; without a value: ours",
    )
    flag("-w", "--workdir", default="", metavar="DIR", help="working directory")
    flag("-u", "--user", default="", metavar="USER[:GROUP]", help="user (and group), by name or number")
    flag("-l", "--label", action="append", default=[], metavar="KEY[=VALUE]", help="label")
    flag("--entrypoint", metavar="PROGRAM", help="instead of the image's entrypoint")
    flag("-m", "--memory", metavar="SIZE", help="memory limit, such as 512m or 2g")
    flag("--cpus", metavar="N", help="number of CPUs, such as 0.5")
    flag("--stop-timeout", type=int, metavar="SECONDS", help="seconds between the stop signal and SIGKILL")
    flag(
        "image", metavar="IMAGE", help="image reference; in the sandbox also 'host', this machine's own files"
    )
    flag("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="command and arguments")


def main(arguments: argparse.Namespace) -> int:
    """Run it; the container's exit code, or 125 to 127."""
    try:
        return with_daemon(arguments.socket, lambda client: _run(client, arguments))
    except ApiError as error:
        sys.stderr.write(f"sockerless-backend-ecs: {error}\n")
        return _exit_code(str(error))
    except SockerlessError as error:
        sys.stderr.write(f"sockerless-backend-ecs: {error}\n")
        return _DAEMON_REFUSED


def create_body(arguments: argparse.Namespace) -> dict[str, Any]:
    """The create request; fields that were not asked for are left out. Raises `InvalidParameter`."""
    host = {
        "AutoRemove": arguments.rm,
        "Memory": _bytes(arguments.memory) if arguments.memory else 0,
        "NanoCpus": _nano_cpus(arguments.cpus) if arguments.cpus else 0,
    }
    fields = {
        "Cmd": arguments.command,
        "Env": [given for item in arguments.env if (given := _environment(item)) is not None],
        "WorkingDir": arguments.workdir,
        "User": arguments.user,
        "Labels": dict(item.partition("=")[::2] for item in arguments.label),
        "Entrypoint": [arguments.entrypoint] if arguments.entrypoint else [],
        "StopTimeout": arguments.stop_timeout,
        "HostConfig": {name: value for name, value in host.items() if value},
    }
    return {"Image": arguments.image} | {
        name: value for name, value in fields.items() if value not in (None, "", [], {})
    }


async def _run(client: ApiClient, arguments: argparse.Namespace) -> int:
    with trio.open_signal_receiver(*_FORWARDED) as signals:
        return await _Session(client, arguments, signals).go()


class _Session:
    """One `run`: which container it is about, and whether its process runs yet."""

    def __init__(self, client: ApiClient, arguments: argparse.Namespace, signals: AsyncIterator[int]) -> None:
        self._client = client
        self._arguments = arguments
        self._signals = signals
        self._container: str | None = None
        self._running = False
        self._interrupted = False
        self._failure: SockerlessError | BrokenPipeError | None = None
        self._code = 0

    async def go(self) -> int:
        """The exit code; whatever failed is raised as it was, not as a group."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_signals_on, nursery.cancel_scope)
            try:
                self._code = await self._create_and_follow()
            except (SockerlessError, BrokenPipeError) as error:
                self._failure = error
            nursery.cancel_scope.cancel()
        if self._interrupted:
            return await self._abandon()
        if self._failure is not None:
            raise self._failure
        return self._code

    async def _create_and_follow(self) -> int:
        container = self._container = await _create(self._client, self._arguments)
        if self._arguments.detach:
            await self._start(container)
            sys.stdout.write(f"{container}\n")
            return 0
        condition = "removed" if self._arguments.rm else "next-exit"
        async with watched(self._client, container, condition) as watch:
            await self._start(container)
            await copy_output(watch.output)
            answer = await watch.exit()
        if answer.get("Error"):
            sys.stderr.write(f"sockerless-backend-ecs: {answer['Error']['Message']}\n")
        return int(answer["StatusCode"])

    async def _start(self, container: str) -> None:
        try:
            await self._client.call("POST", container_path(container, "start"))
        except ApiError:
            if self._arguments.rm:  # it never ran, so nothing else would remove it
                await self._remove(container)
            raise
        self._running = True

    async def _remove(self, container: str) -> None:
        try:
            await self._client.call("DELETE", container_path(container), force="1", v="1")
        except ApiError as error:
            if error.status != _STATUS_NOT_FOUND:
                raise

    async def _pass_signals_on(self, scope: trio.CancelScope) -> None:
        """The first signals go to the container; one before it runs, or the third, ends us."""
        count = 0
        async for number in self._signals:
            count += 1
            if not self._running or self._container is None or count >= _SIGNALS_UNTIL_WE_LEAVE:
                self._interrupted = True
                scope.cancel()
                return
            try:
                await self._client.call(
                    "POST", container_path(self._container, "kill"), signal=str(int(number))
                )
            except ApiError as error:
                if error.status not in (_STATUS_NOT_FOUND, _STATUS_CONFLICT):  # else it has just ended
                    sys.stderr.write(f"sockerless-backend-ecs: signal {number} was not passed on: {error}\n")

    async def _abandon(self) -> int:
        """We were told to leave: a `--rm` container goes too, another one stays and is named."""
        if self._container is None:
            return _INTERRUPTED
        if self._arguments.rm:
            await self._remove(self._container)
        else:
            name = self._arguments.name or self._container[:12]
            sys.stderr.write(f"sockerless-backend-ecs: container {name} was left as it is\n")
        return _INTERRUPTED


async def _create(client: ApiClient, arguments: argparse.Namespace) -> str:
    """Create, pulling an image that is not known yet; the container's id."""
    query = {"name": arguments.name} if arguments.name else {}
    body = create_body(arguments)
    try:
        created = await client.call("POST", "/containers", body=body, **query)
    except ApiError as error:
        if error.status != _STATUS_NOT_FOUND:
            raise
        await _pull(client, arguments.image)
        created = await client.call("POST", "/containers", body=body, **query)
    for warning in created.get("Warnings") or ():
        sys.stderr.write(f"WARNING: {warning}\n")
    return str(created["Id"])


async def _pull(client: ApiClient, image: str) -> None:
    """Pull `image`, showing its progress on stderr."""
    sys.stderr.write(f"Unable to find image '{image}' locally\n")
    async with pulling(client, image) as progress:
        async for line in progress:
            sys.stderr.write(f"{line}\n")


def _exit_code(message: str) -> int:
    """Docker's: 127 not found, 126 not executable, else 125."""
    said = message.lower()
    if any(words in said for words in _NOT_FOUND_WORDS):
        return _NOT_FOUND
    if any(words in said for words in _NOT_EXECUTABLE_WORDS):
        return _NOT_EXECUTABLE
    return _DAEMON_REFUSED


def _environment(item: str) -> str | None:
    """`NAME=VALUE` as it is, `NAME` with our own value, None where we have none."""
    name, equals, _ = item.partition("=")
    if equals:
        return item
    return f"{name}={os.environ[name]}" if name in os.environ else None


def _bytes(text: str) -> int:
    number, unit = text.lower().removesuffix("b") or text, "b"
    if number[-1:] in _SIZE_UNITS:
        number, unit = number[:-1], number[-1]
    try:
        return int(Decimal(number) * _SIZE_UNITS[unit])
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise InvalidParameter(f'--memory: "{text}" is not a size; give one such as 512m or 2g') from error


def _nano_cpus(text: str) -> int:
    try:
        return int(Decimal(text) * 10**9)
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise InvalidParameter(f'--cpus: "{text}" is not a number; give one such as 0.5') from error
