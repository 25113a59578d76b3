"""The call orders of CI runners and Testcontainers, replayed on our daemon and on a real dockerd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docker
import docker.errors
import pytest

from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, VERSION, Target, tar_of

_STREAMS = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}


@pytest.fixture
def api(engine: Target) -> Iterator[Any]:
    """docker-py's low-level client: one call of the API each."""
    made = docker.APIClient(base_url=engine.host, version=VERSION.removeprefix("v"), timeout=60)
    yield made
    made.close()


def _create(api: Any, engine: Target, command: list[str], **config: Any) -> str:
    body = api.create_container_config(IMAGE, command)
    host = {} if engine.is_ours else {"NetworkMode": engine.network}
    return str(api.create_container_from_config({**body, "HostConfig": host, **config})["Id"])


def _output(sock: Any) -> bytes:
    """All of it without the frames."""
    raw, data = sock._sock.makefile("rb"), b""
    while head := raw.read(8):
        data += raw.read(int.from_bytes(head[4:], "big"))
    return data


def test_gitlab_runner_starts_one_container_for_each_stage(api: Any, engine: Target) -> None:
    """Create with open stdin; for each stage attach, start, script, half-close, end of output, stop, wait."""
    command = ["/bin/program", "count-runs", "/runs", ";", "echo", ";", "exit", "3"]
    flags = {
        "OpenStdin": True,
        "StdinOnce": True,
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
    }
    container = _create(api, engine, command, **flags)
    for stage in (1, 2, 3):
        sock = api.attach_socket(container, _STREAMS)
        api.start(container)
        state = api.inspect_container(container)["State"]
        assert (state["Running"], state["ExitCode"]) == (True, 0)  # not the stage before's
        sock._sock.sendall(f"script {stage}\n".encode())
        sock._sock.shutdown(1)
        assert _output(sock) == f"{stage}\nscript {stage}\n".encode()
        sock.close()
        api.stop(container, timeout=1)
        assert api.wait(container)["StatusCode"] == 3
    api.remove_container(container, v=True, force=True)


def test_gitlab_runner_cancels_a_stage(api: Any, engine: Target) -> None:
    """A job that is cancelled: stop each second until the wait answers."""
    container = _create(api, engine, ["/bin/program", "deaf", ";", "echo", ";", "forever"], OpenStdin=True)
    sock = api.attach_socket(container, _STREAMS)
    api.start(container)
    api.stop(container, timeout=0)
    assert api.wait(container)["StatusCode"] == 137
    assert _output(sock) == b""
    sock.close()
    api.remove_container(container, v=True, force=True)


def test_act_copies_into_what_it_created_and_execs_each_step(api: Any, engine: Target) -> None:
    container = _create(api, engine, ["/bin/program", "forever"])
    assert api.put_archive(container, "/", tar_of({"act/step.sh": b"first"}))
    api.start(container)
    for number, code in ((1, 0), (2, 4)):
        step = ["/bin/program", "read", "/act/step.sh", ";", "exit", str(code)]
        made = api.exec_create(container, step, environment={"GITHUB_STEP": str(number)}, workdir="/act")[
            "Id"
        ]
        assert api.exec_start(made) == b"first"
        state = api.exec_inspect(made)
        assert (state["Running"], state["ExitCode"]) == (False, code)
    api.kill(container)
    assert api.wait(container, condition="not-running")["StatusCode"] == 137
    api.remove_container(container, v=True, force=True)


def test_testcontainers_polls_copies_and_follows(api: Any, engine: Target) -> None:
    labels = {"org.testcontainers": "true", "org.testcontainers.sessionId": "abc"}
    command = ["/bin/program", "read", "/etc/conf", ";", "print", "started", ";", "forever"]
    container = _create(api, engine, command, Labels=labels)
    assert api.put_archive(container, "/etc", tar_of({"conf": b"given\n"}))
    api.start(container)
    while not api.inspect_container(container)["State"]["Running"]:
        pass
    for line in api.logs(container, stream=True, follow=True):
        if b"started" in line:
            break
    found = api.containers(filters={"label": "org.testcontainers.sessionId=abc"})
    assert [one["Id"] for one in found] == [container]
    api.remove_container(container, v=True, force=True)
    with pytest.raises(docker.errors.NotFound):
        api.inspect_container(container)


def test_github_runner_runs_each_step_of_a_job_container(docker_cli: str, engine: Target) -> None:
    cli = DockerCli(docker_cli, engine)
    assert cli("version", "--format", "{{.Server.APIVersion}}").text
    assert cli("ps", "--all", "--quiet", "--no-trunc", "--filter", "label=f88420").text == ""
    options = ["--name", "job_f88420", "--label", "f88420", "--workdir", "/etc", "-e", "GITHUB_ACTIONS=true"]
    options += ["-e", "CI=true", "--entrypoint", "/bin/program"]
    container = cli("create", *cli.places(options), IMAGE, "forever").text
    assert cli("start", container).text == container
    shown = cli(
        "ps", "--all", "--filter", f"id={container}", "--filter", "status=running", "--no-trunc",
        "--format", "{{.ID}} {{.Status}}",
    ).text  # fmt: skip
    assert shown.startswith(f"{container} Up ")
    env = cli.inspect("{{range .Config.Env}}{{println .}}{{end}}", container)
    assert any(line.startswith("PATH=") for line in env.splitlines())
    step = ("exec", "-i", "--workdir", "/etc", "-e", "STEP=1", container, "/bin/program", "env", "STEP")
    assert cli(*step).text == "1"
    assert cli("exec", "-i", container, "/bin/program", "exit", "8", code=8)
    assert cli("port", container).text == ""
    cli("logs", "--details", container)
    cli("rm", "--force", container)
    assert cli("ps", "--all", "--quiet", "--filter", "label=f88420").text == ""
