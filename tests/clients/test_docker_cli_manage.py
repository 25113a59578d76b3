"""docker ps, inspect, cp, stop, rename and the rest, on our daemon and on a real dockerd."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.clients.cli import DockerCli, write_file
from tests.clients.engines import IMAGE, Target


@pytest.fixture
def docker(docker_cli: str, engine: Target) -> DockerCli:
    """The docker command on each engine."""
    return DockerCli(docker_cli, engine)


def test_version_and_info_are_printed_without_complaint(docker: DockerCli) -> None:
    assert docker("version", "--format", "{{.Server.Os}}").text == "linux"
    info = docker("info", "--format", "{{.OSType}} {{.ServerVersion}}")
    assert info.text.startswith("linux ")
    assert b"ERROR" not in docker("info").out


def test_ps_shows_and_filters(docker: DockerCli) -> None:
    container = docker.start("deaf", ";", "forever", options=["--name", "shown", "--label", "of=ps"])
    columns = "{{.ID}} {{.Image}} {{.Names}} {{.State}}"
    shown = docker("ps", "--filter", "label=of=ps", "--format", columns).text
    assert shown == f"{container[:12]} {IMAGE} shown running"
    assert docker("ps", "-q", "--filter", f"id={container}", "--filter", "status=running").text
    docker("stop", "-t", "1", "shown")
    assert docker("ps", "-q", "--filter", "label=of=ps").text == ""
    status = docker("ps", "-a", "--filter", "name=shown", "--format", "{{.Status}}").text
    assert status.startswith("Exited (137) ")
    docker("rm", "shown")


def test_stop_signal_and_time_are_the_containers(docker: DockerCli) -> None:
    container = docker.start(
        "on-signal", "INT", "5", ";", "print", "ready", ";", "forever", options=["--stop-signal", "SIGINT"]
    )
    with docker.running("logs", "-f", container) as follower:
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"ready\n"
        docker("stop", container)
    assert docker.inspect("{{.State.ExitCode}}", container) == "5"
    docker("rm", container)


def test_restart_runs_it_again(docker: DockerCli) -> None:
    container = docker.start("count-runs", "/runs", ";", "forever")
    docker("restart", "-t", "0", container)
    with docker.running("logs", "-f", container) as follower:
        assert follower.stdout is not None
        assert [follower.stdout.readline(), follower.stdout.readline()] == [b"1\n", b"2\n"]
    docker("rm", "-f", container)


def test_restart_policy_counts(docker: DockerCli) -> None:
    container = docker.start("exit", "3", options=["--restart", "on-failure:2"])
    docker("wait", container)
    deadline = 100
    while docker.inspect("{{.State.Status}}", container) != "exited" and deadline:
        deadline -= 1
    assert docker.inspect("{{.RestartCount}} {{.State.ExitCode}}", container) == "2 3"
    docker("rm", container)


def test_pause_and_unpause(docker_cli: str, ours: Target) -> None:
    docker = DockerCli(docker_cli, ours)  # a dockerd in namespaces of its own has no freezer
    container = docker.start("ticks", "20")
    docker("pause", container)
    assert docker.inspect("{{.State.Status}} {{.State.Paused}} {{.State.Running}}", container) == (
        "paused true true"
    )
    assert b"is already paused" in docker("pause", container, code=1).err
    assert b"unpause" in docker("exec", container, "/bin/program", "print", "x", code=1).err
    docker("unpause", container)
    assert docker("exec", container, "/bin/program", "print", "x").text == "x"
    docker("rm", "-f", container)


def test_copy_in_and_out_of_a_running_container(docker: DockerCli, tmp_path: Path) -> None:
    container = docker.start("forever")
    _copies(docker, container, tmp_path)
    assert docker("exec", container, "/bin/program", "read", "/data/one").out == b"first"
    docker("rm", "-f", container)


def test_copy_into_a_container_that_has_not_started(docker: DockerCli, tmp_path: Path) -> None:
    container = docker.create("read", "/data/one")
    _copies(docker, container, tmp_path)
    assert docker("start", "-a", container).out == b"first"
    docker("rm", container)


def _copies(docker: DockerCli, container: str, folder: Path) -> None:
    source = folder / "data"
    source.mkdir()
    write_file(source, "one", b"first").chmod(0o640)
    write_file(source, "two words", b"second")
    docker("cp", str(source), f"{container}:/")
    docker("cp", str(write_file(folder, "three", b"third")), f"{container}:/data")
    docker("cp", f"{container}:/data", str(folder / "back"))
    back = {path.name: path.read_bytes() for path in (folder / "back").iterdir()}
    assert back == {"one": b"first", "two words": b"second", "three": b"third"}
    assert (folder / "back" / "one").stat().st_mode & 0o777 == 0o640
    piped = docker("cp", f"{container}:/data/three", "-").out
    with tarfile.open(fileobj=io.BytesIO(piped)) as tar:
        assert tar.getnames() == ["three"]
    missing = docker("cp", f"{container}:/nothing", "-", code=1)
    assert b"Could not find the file /nothing in container" in missing.err


def test_rename_and_names_that_are_taken(docker: DockerCli) -> None:
    container = docker.create("print", "x", options=["--name", "first-name"])
    docker("rename", "first-name", "second-name")
    assert docker.inspect("{{.Name}}", container) == "/second-name"
    taken = docker.try_("create", "--name", "second-name", IMAGE, "/bin/program")
    assert b'The container name "/second-name" is already in use by container' in taken.err
    docker("rm", "second-name")
    assert b"No such container: second-name" in docker("rm", "second-name", code=1).err


def test_top_shows_the_processes(docker: DockerCli) -> None:
    container = docker.start("forever")
    title, *rows = docker("top", container).text.splitlines()
    assert title.split() == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert [row.split()[-2:] for row in rows] == [["/bin/program", "forever"]]
    docker("rm", "-f", container)


def test_stats_of_a_running_container(docker: DockerCli) -> None:
    container = docker.start("forever")
    shown = json.loads(docker("stats", "--no-stream", "--format", "json", container).text)
    assert shown["ID"] == container[:12]
    assert shown["MemUsage"].partition(" / ")[2]
    docker("rm", "-f", container)


def test_diff_names_what_changed(docker: DockerCli) -> None:
    container = docker.start(
        "make", "/new", ";", "write", "/new/file", "x", ";", "write", "/etc/passwd", "y", ";",
        "write", "/etc/added", "z", ";", "print", "done",
    )  # fmt: skip
    docker("wait", container)
    shown = set(docker("diff", container).text.splitlines())
    assert {"A /new", "A /new/file", "C /etc", "C /etc/passwd", "A /etc/added"} <= shown
    docker("rm", container)


def test_export_is_the_whole_file_system(docker: DockerCli) -> None:
    container = docker.start("write", "/made", "here", ";", "forever")
    with tarfile.open(fileobj=io.BytesIO(docker("export", container).out)) as tar:
        names = {name.strip("/") for name in tar.getnames()}
        made = tar.extractfile("made")
        assert made is not None
        assert made.read() == b"here\n"
    assert {"bin/program", "etc/passwd", "made"} <= names
    docker("rm", "-f", container)


def test_no_health_check_is_no_health(docker: DockerCli) -> None:
    container = docker.start("forever", options=["--no-healthcheck"])
    assert docker.inspect("{{.State.Health}}", container) == "<nil>"
    docker("rm", "-f", container)


def test_image_is_listed_tagged_and_removed(docker: DockerCli) -> None:
    docker("tag", IMAGE, "sockerless/other:2")
    listed = docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").text.splitlines()
    names = dict(line.split() for line in listed)
    assert names[IMAGE] == names["sockerless/other:2"]
    assert docker("rmi", "sockerless/other:2").text == "Untagged: sockerless/other:2"
    assert b"No such image" in docker("rmi", "sockerless/other:2", code=1).err


def test_removal_of_what_runs_needs_force(docker: DockerCli) -> None:
    container = docker.start("forever")
    assert b"running" in docker("rm", container, code=1).err
    docker("rm", "-f", container)
    assert b"No such" in docker("inspect", container, code=1).err


def test_events_tell_a_life(docker: DockerCli) -> None:
    container = docker.create("exit", "4", options=["--name", "lived"])
    docker("start", container)
    docker("wait", container)
    docker("rm", container)
    until = docker("info", "--format", "{{.SystemTime}}").text
    told = docker(
        "events", "--since", "5m", "--until", until, "--filter", f"container={container}",
        "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}",
    ).text.splitlines()  # fmt: skip
    assert [line.split()[0] for line in told] == ["create", "start", "die", "destroy"]
    assert "die 4" in told


def test_prune_removes_what_is_stopped(docker: DockerCli) -> None:
    container = docker.create("print", "x", options=["--label", "of=prune"])
    pruned = docker("container", "prune", "-f", "--filter", "label=of=prune").text
    assert container in pruned
    assert "Total reclaimed space" in pruned


def test_update_changes_the_restart_policy(docker: DockerCli) -> None:
    container = docker.start("forever")
    docker("update", "--restart", "on-failure:3", container)
    assert docker.inspect("{{.HostConfig.RestartPolicy.Name}}", container) == "on-failure"
    docker("rm", "-f", container)
