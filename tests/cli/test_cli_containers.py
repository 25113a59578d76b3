"""run, ps, logs, stop and rm against a real daemon in the sandbox."""

from __future__ import annotations

import os
import re
import signal
import subprocess

import pytest

from tests.cli.conftest import PROGRAM, SECONDS, CommandLine

_TICKING = "trap 'echo bye; exit 9' INT TERM; echo up; while :; do sleep 0.05; done"


def _has_id(text: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}\n", text) is not None


def test_run_streams_both_outputs_and_exits_with_the_containers_code(cli: CommandLine) -> None:
    done = cli("run", "host", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.endswith("err\n")


def test_run_passes_environment_directory_and_user(cli: CommandLine) -> None:
    flags = ["--rm", "-e", "COLOUR=blue sky", "-w", "/usr", "--name", "flagged", "-l", "k=v"]
    done = cli("run", *flags, "host", "sh", "-c", 'echo "$COLOUR $PWD"')
    assert (done.returncode, done.stdout) == (0, "blue sky /usr\n")


@pytest.mark.parametrize(("command", "code"), [("no-such-command", 127), ("/etc/hostname", 126)])
def test_run_tells_a_command_that_cannot_start_by_its_exit_code(
    cli: CommandLine, command: str, code: int
) -> None:
    done = cli("run", "--rm", "host", command)
    assert done.returncode == code
    assert cli("ps", "-aq").stdout == ""
    assert re.search(r"sockerless-backend-ecs: .*" + re.escape(command), done.stderr)


def test_run_of_an_image_that_does_not_exist_is_125_and_names_it(cli: CommandLine) -> None:
    done = cli("run", "nothing/like-it:1", "true")
    assert done.returncode == 125
    assert "nothing/like-it" in done.stderr


def test_run_with_rm_leaves_no_container(cli: CommandLine) -> None:
    assert cli("run", "--rm", "host", "true").returncode == 0
    assert cli("ps", "-aq").stdout == ""


def test_ctrl_c_reaches_the_container_and_its_code_comes_back(cli: CommandLine) -> None:
    process = cli.start("run", "--rm", "host", "sh", "-c", _TICKING)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, out) == (9, "bye\n")


def test_a_reader_that_goes_away_ends_run_quietly(cli: CommandLine) -> None:
    process = cli.start("run", "host", "sh", "-c", "while echo y; do sleep 0.01; done")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "y\n"
    process.stdout.close()
    assert process.wait(SECONDS) == 141
    assert "Error" not in process.stderr.read()
    process.stderr.close()


def test_a_container_left_running_is_listed_followed_stopped_and_removed(cli: CommandLine) -> None:
    started = cli("run", "-d", "--name", "ticker", "host", "sh", "-c", _TICKING)
    assert started.returncode == 0
    assert _has_id(started.stdout)
    heading, row = cli("ps").stdout.splitlines()
    assert heading.split()[0] == "CONTAINER"
    assert row.startswith(started.stdout[:12])
    assert re.search(r'host +"sh -c .*…" .*Up .* ticker$', row)
    following = cli.start("logs", "-f", "ticker")
    assert following.stdout is not None
    assert following.stdout.readline() == "up\n"
    assert cli("stop", "-t", "20", "ticker").stdout == "ticker\n"
    out, _ = following.communicate(timeout=SECONDS)
    assert (following.returncode, out) == (0, "bye\n")
    assert "Exited (9)" in cli("ps", "-a").stdout
    assert cli("ps", "-q").stdout == ""
    assert cli("rm", "ticker").stdout == "ticker\n"
    assert cli("ps", "-aq").stdout == ""


def test_logs_take_the_last_lines_and_their_times(cli: CommandLine) -> None:
    cli("run", "--name", "printer", "host", "sh", "-c", "echo 1; echo 2; echo 3")
    assert cli("logs", "--tail", "2", "printer").stdout == "2\n3\n"
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT[\d:.]+Z 1\n", cli("logs", "-t", "printer").stdout.splitlines(True)[0]
    )
    assert cli("logs", "--since", "1h", "printer").stdout == "1\n2\n3\n"
    assert cli("logs", "--until", "1h", "printer").stdout == ""


def test_one_name_that_is_wrong_does_not_keep_the_others(cli: CommandLine) -> None:
    cli("run", "--name", "right", "host", "true")
    done = cli("rm", "wrong", "right")
    assert (done.returncode, done.stdout) == (1, "right\n")
    assert done.stderr == "sockerless-backend-ecs: No such container: wrong\n"


def test_a_running_container_is_removed_only_by_force(cli: CommandLine) -> None:
    cli("run", "-d", "--name", "busy", "host", "sleep", "600")
    refused = cli("rm", "busy")
    assert refused.returncode == 1
    assert "running" in refused.stderr
    assert cli("rm", "-f", "busy").returncode == 0


def test_ps_into_a_closed_pipe_is_quiet(cli: CommandLine) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*PROGRAM, "ps"],
        env=cli.environment,
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=SECONDS,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
