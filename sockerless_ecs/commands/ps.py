"""List containers: the running ones, or all."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any, Final

from sockerless_ecs.commands.client import ApiClient, add_socket_argument, with_daemon
from sockerless_ecs.commands.table import table

_SHORT_ID: Final = 12
_COMMAND_WIDTH: Final = 22
_HEADINGS: Final = ("CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "NAMES")
_AGES: Final = ((86400 * 365, "year"), (86400 * 30, "month"), (86400 * 7, "week"), (86400, "day"))
_AGES_IN_A_DAY: Final = ((3600, "hour"), (60, "minute"), (1, "second"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of `ps`."""
    add_socket_argument(parser)
    parser.add_argument("-a", "--all", action="store_true", help="stopped containers too")
    parser.add_argument("-q", "--quiet", action="store_true", help="full ids only")


def main(arguments: argparse.Namespace) -> int:
    """Print the list."""

    async def containers(client: ApiClient) -> Any:
        return await client.call("GET", "/containers", all="1" if arguments.all else "0")

    found: list[dict[str, Any]] = with_daemon(arguments.socket, containers)
    if arguments.quiet:
        lines = [str(container["Id"]) for container in found]
    else:
        lines = table([_HEADINGS, *(_row(container, time.time()) for container in found)])
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _row(container: dict[str, Any], now: float) -> tuple[str, ...]:
    command = container["Command"]
    if len(command) > _COMMAND_WIDTH:
        command = command[: _COMMAND_WIDTH - 1] + "…"
    return (
        container["Id"][:_SHORT_ID],
        container["Image"],
        f'"{command}"',
        f"{age(now - container['Created'])} ago",
        container["Status"],
        ",".join(name.removeprefix("/") for name in container["Names"]),
    )


def age(seconds: float) -> str:
    """`5 minutes`, in the largest unit that fits."""
    for unit, name in (*_AGES, *_AGES_IN_A_DAY):
        if count := int(seconds // unit):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "less than a second"
