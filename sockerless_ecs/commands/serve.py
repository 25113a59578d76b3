"""Run the daemon until SIGTERM or SIGINT; a second signal ends it at once.

Every key of the configuration has a flag here and an environment variable; the file is `--config`, else
$SOCKERLESS_CONFIG, else /etc/sockerless/sockerless-backend.yaml. See `config show` for what is in effect.
"""

from __future__ import annotations

import argparse
import os
import resource

import trio

from sockerless_ecs.config import add_flags, check_paths, find_file, flags_of, load
from sockerless_ecs.telemetry import configure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for every key."""
    add_flags(parser)


def main(arguments: argparse.Namespace) -> int:
    """Serve; 0 after a drain."""
    settings = load(flags_of(arguments), os.environ, find_file(arguments.config, os.environ)).settings
    check_paths(settings)
    configure(settings.log)
    _take_all_descriptors()
    # What it takes to serve is slow to load: not before the configuration is known to be right.
    from sockerless_ecs.daemon import serve  # noqa: PLC0415

    trio.run(serve, settings)
    return 0


def _take_all_descriptors() -> None:
    """Every client and every agent is a descriptor or two; the soft limit dates from select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
