"""Stop running containers: their stop signal, and after the grace time SIGKILL."""

from __future__ import annotations

import argparse

from sockerless_ecs.commands.client import add_socket_argument, container_path, with_daemon
from sockerless_ecs.commands.each import for_each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags and operands of `stop`."""
    add_socket_argument(parser)
    parser.add_argument(
        "-t",
        "--time",
        type=int,
        metavar="SECONDS",
        help="seconds before SIGKILL (default: the container's own, else 10)",
    )
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="name, id or id prefix")


def main(arguments: argparse.Namespace) -> int:
    """Stop each; 1 if any could not be stopped."""
    query = {} if arguments.time is None else {"t": str(arguments.time)}
    return with_daemon(
        arguments.socket,
        lambda client: for_each(
            arguments.containers, lambda ref: client.call("POST", container_path(ref, "stop"), **query)
        ),
    )
