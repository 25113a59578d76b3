"""The configuration on a command line: one flag per key, and which file is read."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from sockerless_ecs.config.schema import Key, keys, sections

DEFAULT_FILE = Path("/etc/sockerless/sockerless-backend.yaml")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """`--config` and one flag per key, lists repeatable; give the parser `allow_abbrev=False`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        default=None,
        help=f"configuration file (SOCKERLESS_CONFIG; else {DEFAULT_FILE} if it exists)",
    )
    for section in sections():
        group = parser.add_argument_group(f"{section} (`{section}:` in the configuration file)")
        for key in (key for key in keys().values() if key.section == section):
            _add_flag(group, key)


def flags_of(parsed: argparse.Namespace) -> dict[str, str]:
    """What of a parsed command line `load` takes: key path → text."""
    given = {path: value for path, value in vars(parsed).items() if path in keys()}
    return {path: ",".join(value) if isinstance(value, list) else value for path, value in given.items()}


def find_file(named: str | None, environment: Mapping[str, str], default: Path = DEFAULT_FILE) -> Path | None:
    """The file to read: `--config`, else SOCKERLESS_CONFIG, else the default one if it is there."""
    if name := named or environment.get("SOCKERLESS_CONFIG"):
        return Path(name)
    try:
        return default if default.exists() else None
    except PermissionError:
        return default  # it may be there: reading it says what is wrong


def _add_flag(group: argparse._ArgumentGroup, key: Key) -> None:
    default = "required" if key.required else f"default {key.default if key.default != '' else 'empty'}"
    text = f"{key.help} ({key.variable}; {default})".replace("%", "%%")
    if key.type is bool:
        # No value, so that a word that follows is not taken for one.
        for flag, constant in ((key.flag, "true"), (f"--no-{key.flag[2:]}", "false")):
            group.add_argument(
                flag,
                dest=key.path,
                action="store_const",
                const=constant,
                default=argparse.SUPPRESS,
                help=text if constant == "true" else argparse.SUPPRESS,
            )
        return
    action = "append" if isinstance(key.default, tuple | dict) else "store"
    group.add_argument(
        key.flag, dest=key.path, action=action, metavar="VALUE", default=argparse.SUPPRESS, help=text
    )
