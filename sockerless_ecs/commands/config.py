"""`config show` prints the configuration in effect: every key, its value, and where the value comes from.

Secrets are masked. It takes the same flags as `serve`, and fails as `serve` would.
"""

from __future__ import annotations

import argparse
import os
import sys

from sockerless_ecs.commands.table import table
from sockerless_ecs.config import add_flags, find_file, flags_of, load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`show`, and a flag for every key."""
    parser.add_argument("action", choices=["show"], help="what to do with it")
    add_flags(parser)


def main(arguments: argparse.Namespace) -> int:
    """Print one line per key."""
    loaded = load(flags_of(arguments), os.environ, find_file(arguments.config, os.environ))
    for line in table([("KEY", "VALUE", "SOURCE"), *loaded.shown()]):
        sys.stdout.write(f"{line}\n")
    return 0
