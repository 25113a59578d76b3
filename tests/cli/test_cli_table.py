"""The command table: what is refused, what is shown, what happens without a command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sockerless_ecs import __version__
from sockerless_ecs.cli import COMMANDS, _refusal, main


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_linux_on_both_architectures_is_accepted(machine: str) -> None:
    assert _refusal("linux", machine) is None


@pytest.mark.parametrize(
    ("system", "machine", "named"),
    [("darwin", "arm64", "darwin"), ("win32", "AMD64", "win32"), ("linux", "riscv64", "riscv64")],
)
def test_other_machines_are_refused_by_name(system: str, machine: str, named: str) -> None:
    refusal = _refusal(system, machine)
    assert refusal is not None
    assert named in refusal


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"sockerless-backend-ecs {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_that_says_what_it_does(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: sockerless-backend-ecs {name}")


def test_unknown_command_is_told_with_a_way_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["strat"]) == 2
    assert capsys.readouterr().err == (
        "sockerless-backend-ecs: 'strat' is not a command; see 'sockerless-backend-ecs --help'\n"
    )


def test_the_module_runs_as_the_console_script_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sockerless_ecs", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"sockerless-backend-ecs {__version__}\n"


@pytest.mark.parametrize("command", [["ps"], ["logs", "x"], ["rm", "x"], ["run", "host", "true"]])
def test_a_client_without_a_daemon_says_how_to_get_one(
    command: list[str], tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *operands = command
    code = main([name, "--socket", f"{tmp_path}/none.sock", *operands])
    assert code == (125 if name == "run" else 1)
    message = capsys.readouterr().err
    assert f"no daemon at {tmp_path}/none.sock" in message
    assert "SOCKERLESS_SOCKET" in message


def test_a_terminal_without_unicode_gets_the_help_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sockerless_ecs", "run", "--help"],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0
    assert b"[COMMAND [ARGUMENT?]]" in done.stdout


def test_client_commands_load_nothing_heavy() -> None:
    """They are typed by people and called in loops: no boto3, Quart, moto or configuration machinery."""
    script = (
        "import sys; from sockerless_ecs.commands import run, ps, logs, stop, rm; "
        "heavy = {'boto3', 'botocore', 'quart', 'hypercorn', 'moto', 'omegaconf', 'structlog'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
