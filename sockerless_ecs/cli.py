"""argv → a command: the table of subcommands, and how a failure of any of them is told."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, cast

from sockerless_ecs import __version__
from sockerless_ecs.errors import SockerlessError

PROGRAM: Final = "sockerless-backend-ecs"
_MACHINES: Final = ("x86_64", "aarch64")
_BROKEN_PIPE: Final = 141
_INTERRUPTED: Final = 130


class Command(Protocol):
    """What a module in `commands` offers; it is imported only when its command is asked for."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare flags and operands."""

    def main(self, arguments: argparse.Namespace) -> int:
        """Do it; the exit code. Raises `SockerlessError` for what is told in one line."""


class _Entry(NamedTuple):
    module: str
    group: str
    summary: str


_DAEMON, _CONTAINERS, _TRYING = "Daemon", "Containers (clients of a running daemon)", "Trying it without AWS"
COMMANDS: Final[Mapping[str, _Entry]] = {
    "serve": _Entry("serve", _DAEMON, "run the daemon (also what happens without a command)"),
    "config": _Entry(
        "config", _DAEMON, "`config show`: the configuration in effect, with the source of each value"
    ),
    "run": _Entry("run", _CONTAINERS, "create and start a container, stream its output, exit with its code"),
    "ps": _Entry("ps", _CONTAINERS, "list containers"),
    "logs": _Entry("logs", _CONTAINERS, "show the output of a container"),
    "stop": _Entry("stop", _CONTAINERS, "stop running containers"),
    "rm": _Entry("rm", _CONTAINERS, "remove containers"),
    "sandbox": _Entry("sandbox", _TRYING, "the daemon on an embedded AWS that runs tasks as local processes"),
    "demo": _Entry("demo", _TRYING, "the sandbox and a guided run of three containers"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code of the program."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # in a terminal that is not Unicode's
    if refusal := _refusal(sys.platform, platform.machine()):
        return _fail(refusal)
    if words[:1] in (["--version"], ["-V"]):
        sys.stdout.write(f"{PROGRAM} {__version__}\n")
        return 0
    if words[:1] in (["--help"], ["-h"], ["help"]):
        sys.stdout.write(_overview())
        return 0
    name = words.pop(0) if words and not words[0].startswith("-") else "serve"
    if name not in COMMANDS:
        return _fail(f"'{name}' is not a command; see '{PROGRAM} --help'", 2)
    return _run(name, words)


def _run(name: str, words: Sequence[str]) -> int:
    entry = COMMANDS[name]
    command = cast("Command", importlib.import_module(f"sockerless_ecs.commands.{entry.module}"))
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=(command.__doc__ or entry.summary),
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, max_help_position=32),
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    try:
        code = command.main(parser.parse_args(words))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has gone: Python's own flush at exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return _INTERRUPTED
    except (SockerlessError, ExceptionGroup) as error:
        if failure := _only_failure(error):
            return _fail(str(failure))
        raise
    return code


def _only_failure(error: Exception) -> SockerlessError | None:
    """The failure to tell, also out of a nursery's groups; None when there is more to it than that."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error if isinstance(error, SockerlessError) else None


def _refusal(system: str, machine: str) -> str | None:
    """Why this machine cannot run us, or None."""
    if system != "linux":
        return f"runs on Linux only, and this is {system}"
    if machine not in _MACHINES:
        return f"runs on {' and '.join(_MACHINES)} only, and this machine is {machine}"
    return None


def _fail(message: str, code: int = 1) -> int:
    sys.stderr.write(f"{PROGRAM}: {message}\n")
    return code


def _overview() -> str:
    lines = [
        f"usage: {PROGRAM} [COMMAND] [OPTIONS]",
        "",
        "Containers as AWS Fargate tasks, without a Docker host.",
    ]
    group = None
    for name, entry in COMMANDS.items():
        if entry.group != group:
            group = entry.group
            lines += ["", f"{group}:"]
        lines.append(f"  {name:<9}{entry.summary}")
    lines += [
        "",
        "Options:",
        "  -h, --help     this text; after a command, its own",
        "  -V, --version  the version",
    ]
    return "\n".join(lines) + "\n"
