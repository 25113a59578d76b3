"""Show the output of a container: its stdout on stdout, its stderr on stderr."""

from __future__ import annotations

import argparse
import time
from typing import Final

from sockerless_ecs.commands.client import ApiClient, add_socket_argument, container_path, with_daemon
from sockerless_ecs.commands.streams import copy_output
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.moment import moment_ns

_SECOND: Final = 10**9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags and operands of `logs`."""
    add_socket_argument(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the container ends")
    parser.add_argument(
        "-n", "--tail", default="all", metavar="N", help="only the last N lines (default: all)"
    )
    parser.add_argument(
        "--since", metavar="TIME", help="only lines after TIME: 10m, 2026-01-02T03:04:05Z, Unix seconds"
    )
    parser.add_argument("--until", metavar="TIME", help="only lines before TIME")
    parser.add_argument("-t", "--timestamps", action="store_true", help="put the time before each line")
    parser.add_argument("container", metavar="CONTAINER", help="name, id or id prefix")


def main(arguments: argparse.Namespace) -> int:
    """Copy the logs to our own output."""
    query = {"stdout": "1", "stderr": "1", "tail": _tail(arguments.tail)}
    now_ns = time.time_ns()
    query |= {
        name: _moment(text, now_ns) for name in ("since", "until") if (text := getattr(arguments, name))
    }
    query |= {name: "1" for name in ("follow", "timestamps") if getattr(arguments, name)}

    async def show(client: ApiClient) -> int:
        async with client.stream("GET", container_path(arguments.container, "logs"), **query) as output:
            await copy_output(output)
        return 0

    return with_daemon(arguments.socket, show)


def _tail(text: str) -> str:
    if text != "all" and not text.isdecimal():
        raise InvalidParameter(f'--tail: "{text}" is neither a number of lines nor "all"')
    return text


def _moment(text: str, now_ns: int) -> str:
    seconds, rest = divmod(moment_ns(text, now_ns), _SECOND)
    return f"{seconds}.{rest:09}"
