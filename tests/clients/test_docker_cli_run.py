"""docker run, start, exec, attach, logs: streams and exit codes, on our daemon and on a real dockerd."""

from __future__ import annotations

import hashlib

import pytest

from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, Target

_MEGABYTE = 1 << 20


@pytest.fixture
def docker(docker_cli: str, engine: Target) -> DockerCli:
    """The docker command on each engine."""
    return DockerCli(docker_cli, engine)


def test_output_goes_where_the_process_wrote_it_and_its_exit_code_is_ours(docker: DockerCli) -> None:
    done = docker.run("print", "out", ";", "complain", "err", ";", "exit", "7", options=["--rm"], code=7)
    assert (done.out, done.err) == (b"out\n", b"err\n")


def test_standard_input_is_read_to_its_end(docker: DockerCli) -> None:
    data = bytes(range(256)) * 4096 * 4
    done = docker.run("digest", options=["--rm", "-i"], stdin=data)
    assert done.text == f"{len(data)} {hashlib.sha256(data).hexdigest()}"


def test_what_goes_in_comes_out(docker: DockerCli) -> None:
    data = bytes(range(256)) * 4096 * 4
    assert docker.run("echo", options=["--rm", "-i"], stdin=data).out == data


def test_the_end_of_a_long_output_is_not_lost(docker: DockerCli) -> None:
    assert len(docker.run("produce", str(20 * _MEGABYTE), options=["--rm"]).out) == 20 * _MEGABYTE


def test_command_that_is_not_there_is_127_and_one_that_is_no_program_is_126(docker: DockerCli) -> None:
    missing = docker.try_("run", "--rm", *docker.places([]), IMAGE, "nonsense")
    assert missing.code == 127
    assert b"executable file not found in $PATH" in missing.err
    folder = docker.try_("run", "--rm", *docker.places([]), IMAGE, "/etc")
    assert folder.code == 126


def test_unknown_image_is_said_so(docker: DockerCli) -> None:
    done = docker.try_("create", "--pull", "never", "nobody/has:this", "x")
    assert done.code == 1
    assert b"No such image: nobody/has:this" in done.err


def test_terminal_has_the_clients_size_and_follows_it(docker: DockerCli) -> None:
    with docker.terminal(
        "run", "--rm", "-it", *docker.places([]), IMAGE, "/bin/program", "resized", rows=31, columns=77
    ) as terminal:
        terminal.expect(b"31 77")
        terminal.resize(12, 34)
        terminal.expect(b"12 34")
        terminal.type(b"\x03")
        assert terminal.wait() == 130 or terminal.process.returncode == 2


def test_detach_keys_leave_the_container_running(docker: DockerCli) -> None:
    with docker.terminal(
        "run", "-it", "--name", "left", *docker.places([]), IMAGE, "/bin/program", "ticks", "50"
    ) as terminal:
        terminal.expect(b"2\r\n")
        terminal.type(b"\x10\x11")
        assert terminal.wait() == 0
    assert docker.inspect("{{.State.Status}}", "left") == "running"
    docker("rm", "-f", "left")


def test_attach_shows_what_comes_and_ends_with_the_container(docker: DockerCli) -> None:
    container = docker.start("ticks-until", "/go", ";", "print", "late", ";", "exit", "3")
    with docker.running("attach", "--no-stdin", container) as attached:
        assert attached.stdout is not None
        assert attached.stdout.readline() == b"tick\n"
        docker("exec", container, "/bin/program", "write", "/go", "x")
        out, _ = attached.communicate(timeout=30)
    assert (out.split(b"\n")[-2], attached.returncode) == (b"late", 3)
    docker("rm", container)


def test_exec_gives_output_input_and_exit_code(docker: DockerCli) -> None:
    container = docker.start("forever")
    assert docker("exec", container, "/bin/program", "print", "hi").out == b"hi\n"
    assert docker("exec", container, "/bin/program", "exit", "9", code=9)
    assert docker("exec", "-i", container, "/bin/program", "echo", stdin=b"a\x00b").out == b"a\x00b"
    assert docker("exec", "-w", "/etc", "-e", "A=b", container, "/bin/program", "env", "A").text == "b"
    assert docker("exec", "-u", "12:34", container, "/bin/program", "id").text.startswith("12 34")
    missing = docker.try_("exec", container, "nonsense")
    assert missing.code in ((127,) if docker.engine.is_ours else (126, 127)), missing  # 126 before dockerd 23
    assert b'exec: "nonsense": executable file not found in $PATH' in missing.out, missing
    docker("rm", "-f", container)


def test_exec_has_a_terminal_of_its_own(docker: DockerCli) -> None:
    container = docker.start("forever")
    words = ("exec", "-it", container, "/bin/program", "terminal")
    with docker.terminal(*words, rows=20, columns=60) as terminal:
        terminal.wait()
    assert b"20 60" in terminal.seen or b"0 0" in terminal.seen  # the size may come after the process looked
    docker("rm", "-f", container)


def test_exec_in_a_stopped_container_is_refused(docker: DockerCli) -> None:
    container = docker.create("print", "x")
    done = docker.try_("exec", container, "/bin/program", "print", "x")
    assert done.code == 1
    assert b"is not running" in done.err
    docker("rm", container)


def test_logs_are_kept_with_their_streams_and_followed_to_the_end(docker: DockerCli) -> None:
    container = docker.start(
        "print", "one", ";", "complain", "two", ";", "await", "/go", ";", "print", "three"
    )
    with docker.running("logs", "-f", container) as follower:
        docker("exec", container, "/bin/program", "write", "/go", "x")
        out, err = follower.communicate(timeout=30)
    assert (out, err) == (b"one\nthree\n", b"two\n")
    docker("wait", container)
    assert docker("logs", "--tail", "1", container).out == b"three\n"
    docker("rm", container)


def test_start_attached_runs_a_created_container(docker: DockerCli) -> None:
    container = docker.create("line", ";", "exit", "4", options=["-i"])
    done = docker("start", "-ai", container, stdin=b"typed\n", code=4)
    assert done.out == b"[typed]\n"
    docker("rm", container)


def test_signals_reach_the_process_through_the_client(docker: DockerCli) -> None:
    container = docker.start("on-signal", "USR1", "21", ";", "print", "ready", ";", "forever")
    docker("kill", "-s", "USR1", container)
    assert docker("wait", container).text == "21"
    docker("rm", container)


def test_logs_of_a_container_that_has_not_started_end_at_once(docker: DockerCli) -> None:
    container = docker.create("print", "x")
    assert docker("logs", "-f", container).out == b""
    docker("rm", container)
