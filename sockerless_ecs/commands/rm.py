"""Remove containers."""

from __future__ import annotations

import argparse

from sockerless_ecs.commands.client import add_socket_argument, container_path, with_daemon
from sockerless_ecs.commands.each import for_each


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags and operands of `rm`."""
    add_socket_argument(parser)
    parser.add_argument("-f", "--force", action="store_true", help="kill it first if it is running")
    parser.add_argument("-v", "--volumes", action="store_true", help="remove its anonymous volumes too")
    parser.add_argument("containers", nargs="+", metavar="CONTAINER", help="name, id or id prefix")


def main(arguments: argparse.Namespace) -> int:
    """Remove each; 1 if any could not be removed."""
    query = {name: "1" for name, given in (("force", arguments.force), ("v", arguments.volumes)) if given}
    return with_daemon(
        arguments.socket,
        lambda client: for_each(
            arguments.containers, lambda ref: client.call("DELETE", container_path(ref), **query)
        ),
    )
