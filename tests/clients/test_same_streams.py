"""Logs, attach and exec send what a real dockerd sends, byte for byte."""

from __future__ import annotations

import itertools
import re
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from tests.clients.allowed import EVERYWHERE
from tests.clients.engines import VERSION, Target
from tests.clients.recorder import Recorder, Scenario, compare

_SPEAKER = (
    "print",
    "one",
    ";",
    "sleep",
    "0.1",
    ";",
    "complain",
    "two",
    ";",
    "sleep",
    "0.1",
    ";",
    "print",
    "three",
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z")


def logs_of_each_kind(docker: Recorder) -> None:
    container = docker.create(
        "logged", *_SPEAKER, Labels={"l": "x y"}, Env=["E=v"],
        HostConfig={"LogConfig": {"Type": "json-file", "Config": {"labels": "l", "env": "E"}}},
    )  # fmt: skip
    docker.container(container, "start")
    docker.container(container, "wait")
    kinds: tuple[dict[str, Any], ...] = (
        {"stdout": 1}, {"stderr": 1}, {"stdout": 1, "stderr": 1}, {"stdout": "true", "stderr": "0"},
    )  # fmt: skip
    options: tuple[dict[str, Any], ...] = (
            {}, {"tail": "1"}, {"tail": "0"}, {"tail": "all"}, {"tail": "nonsense"}, {"tail": "-3"},
            {"details": 1}, {"timestamps": 1}, {"since": "1"}, {"until": "1"}, {"since": "9999999999"},
            {"follow": 1}, {"follow": 1, "tail": "1"}, {"timestamps": 1, "details": 1, "tail": "2"},
    )  # fmt: skip
    for streams, more in itertools.product(kinds, options):
        _logs(docker, container, **streams, **more)
    _logs(docker, container, stdout=1, since="nonsense")
    _logs(docker, container, stdout=1, until="nonsense")
    docker.call("DELETE", f"/containers/{container}")


def logs_between_two_times(docker: Recorder) -> None:
    container = docker.create("logged-2", *_SPEAKER)
    docker.container(container, "start")
    docker.container(container, "wait")
    text = docker.http.get(
        f"/{VERSION}/containers/{container}/logs", params={"stderr": 1, "timestamps": 1}
    ).text
    middle = _TIME.findall(text)[0]
    seconds = int(datetime.fromisoformat(middle[:19] + "+00:00").timestamp())
    moment = f"{seconds}.{middle[20:29]}"
    docker.aliases[moment] = "<middle>"
    docker.container(container, "logs", method="GET", stdout=1, stderr=1, since=moment)
    docker.container(container, "logs", method="GET", stdout=1, stderr=1, until=moment)
    docker.container(container, "logs", method="GET", stdout=1, stderr=1, since=moment, until=moment)
    docker.call("DELETE", f"/containers/{container}")


def logs_of_a_terminal(docker: Recorder) -> None:
    container = docker.create("logged-3", *_SPEAKER, Tty=True)
    _logs(docker, container, stdout=1)
    docker.container(container, "start")
    docker.container(container, "wait")
    for more in ({}, {"tail": 2}, {"timestamps": 1}, {"follow": 1}, {"details": 1}):
        _logs(docker, container, stdout=1, **more)
        _logs(docker, container, stderr=1, **more)
    docker.stream(f"/containers/{container}/attach?logs=1&stream=0&stdout=1&stderr=1")
    docker.call("DELETE", f"/containers/{container}")


def logs_without_a_last_newline(docker: Recorder) -> None:
    container = docker.create("logged-4", "produce", "15")
    docker.container(container, "start")
    docker.container(container, "wait")
    _logs(docker, container, stdout=1)
    _logs(docker, container, stdout=1, timestamps=1)
    docker.call("DELETE", f"/containers/{container}")


def attaches_to_what_has_ended(docker: Recorder) -> None:
    container = docker.create("attached", *_SPEAKER)
    docker.container(container, "start")
    docker.container(container, "wait")
    for query in (
        "stream=0&stdout=1", "logs=1&stdout=1", "logs=1&stderr=1", "logs=1&stdout=1&stderr=1", "logs=1",
        "", "stream=1&stdout=1&stderr=1",
    ):  # fmt: skip
        docker.stream(f"/containers/{container}/attach?{query}")
        docker.stream(f"/containers/{container}/attach?{query}", upgrade=False)
    docker.call("DELETE", f"/containers/{container}")


def attaches_before_the_start(docker: Recorder) -> None:
    for number, (query, config) in enumerate(
        (
            ("stream=1&stdout=1&stderr=1", {}),
            ("stream=1&stderr=1", {}),
            ("stream=1&stdin=1&stdout=1", {"OpenStdin": True, "StdinOnce": True}),
            ("stream=1&stdin=1&stdout=1&stderr=1", {"OpenStdin": True, "StdinOnce": True, "Tty": True}),
            ("stream=1&stdin=1&stdout=1", {}),
        )
    ):
        container = docker.create(
            f"attached-{number}", *(_SPEAKER if "stdin" not in query else ("line",)), **config
        )
        docker.stream(
            f"/containers/{container}/attach?{query}",
            meanwhile=partial(docker.container, container, "start"),
            send=b"hello\n",
            until=b"]\r\n" if "Tty" in config else b"",
        )
        docker.container(container, "wait")
        docker.call("DELETE", f"/containers/{container}")


def half_closes(docker: Recorder) -> None:
    for once in (True, False):
        container = docker.create(f"half-{once}", "echo", OpenStdin=True, StdinOnce=once, AttachStdin=True)
        docker.container(container, "start")
        path = f"/containers/{container}/attach?stream=1&stdin=1&stdout=1&stderr=1"
        docker.stream(path, send=b"hello\n", until=b"hello\n")
        docker.container(container, "json", method="GET", only=lambda body: body["State"]["Status"])
        docker.call("DELETE", f"/containers/{container}", force=1)


def execs_of_each_kind(docker: Recorder) -> None:
    container = docker.create("ran", "forever")
    docker.container(container, "start")
    both = {"AttachStdout": True, "AttachStderr": True}
    configs: tuple[dict[str, Any], ...] = (
        {**both, "Cmd": ["/bin/program", *_SPEAKER]},
        {"AttachStdout": True, "Cmd": ["/bin/program", *_SPEAKER]},
        {"AttachStderr": True, "Cmd": ["/bin/program", *_SPEAKER]},
        {"Cmd": ["/bin/program", *_SPEAKER]},
        {**both, "Cmd": ["/bin/program", "print", "x"], "Tty": True},
        {**both, "AttachStdin": True, "Cmd": ["/bin/program", "digest"]},
        {**both, "Cmd": ["/bin/program", "id"], "User": "5:6", "WorkingDir": "/etc"},
        {**both, "Cmd": ["/bin/program", "env", "A"], "Env": ["A=b=c", "D"]},
        {**both, "Cmd": ["nothing"]},
        {**both, "Cmd": ["/no/thing"]},
        {**both, "Cmd": ["/etc"]},
        {**both, "Cmd": ["nothing"], "Tty": True},
        {**both, "Cmd": ["/bin/program", "id"], "User": "nobody-here"},
        {**both, "Cmd": ["/bin/program", "id"], "WorkingDir": "/not/there"},
        {**both, "Cmd": ["/bin/program", "exit", "200"], "DetachKeys": "ctrl-a,b"},
        {**both, "Cmd": ["/bin/program", "id"], "DetachKeys": "nonsense"},
    )
    for number, config in enumerate(configs):
        answer = docker.container(container, "exec", body=config)
        if answer.status != 201:
            continue
        made = answer.json["Id"]
        docker.aliases[made] = f"<exec-{number}>"
        docker.call("GET", f"/exec/{made}/json", only=_ran)
        body = {"Detach": False, "Tty": config.get("Tty", False)}
        docker.stream(f"/exec/{made}/start", body, send=b"hello\n" if "AttachStdin" in config else b"")
        docker.call("GET", f"/exec/{made}/json", only=_ran)
    docker.call("DELETE", f"/containers/{container}", force=1)
    docker.call("GET", f"/exec/{made}/json", only=_ran)


def execs_detached(docker: Recorder) -> None:
    container = docker.create("ran-2", "forever")
    docker.container(container, "start")
    for number, config in enumerate(({"Cmd": ["nothing"]}, {"Cmd": ["/bin/program", "forever"]})):
        made = docker.container(container, "exec", body=config).json["Id"]
        docker.aliases[made] = f"<exec-{number}>"
        docker.call("POST", f"/exec/{made}/start", body={"Detach": True})
        docker.call("GET", f"/exec/{made}/json", only=_ran)
        docker.call("POST", f"/exec/{made}/resize", h=3, w=4)
    docker.container(container, "json", method="GET", only=lambda body: len(body["ExecIDs"] or ()))
    docker.call("POST", f"/exec/{made}/start", content="{not json")
    docker.call("DELETE", f"/containers/{container}", force=1)
    docker.container(container, "exec", body={"Cmd": ["x"]})


def _logs(docker: Recorder, container: str, **query: Any) -> None:
    """With the times written alike."""
    docker.container(container, "logs", method="GET", only=_timeless, **query)


def _ran(exec_: Any) -> Any:
    """Later versions tell what is not there (127) from what cannot be run (126)."""
    return {**exec_, "ExitCode": "not run"} if exec_["ExitCode"] in (126, 127) else exec_


def _timeless(said: Any) -> Any:
    return [(stream, _TIME.sub("<time>", text)) for stream, text in said]


_EXEC = "POST /containers/<ran>/exec {'AttachStdout': True, 'AttachStderr': True, "

_LATER = {
    "GET /containers/<logged>/logs {'stdout': 1, 'since': 'nonsense'}": (400, ""),
    "GET /containers/<logged>/logs {'stdout': 1, 'until': 'nonsense'}": (400, ""),
    "POST /exec/<exec-1>/start {not json": (400, ""),
    f"{_EXEC}'Cmd': ['/bin/program', 'id'], 'DetachKeys': 'nonsense'}}": (
        400,
        "Invalid escape keys (nonsense) provided",
    ),
}

_ALLOWED = {**EVERYWHERE, "Pid": "runs on no machine of the client's"}

_SCENARIOS: tuple[Scenario, ...] = (
    logs_of_each_kind,
    logs_between_two_times,
    logs_of_a_terminal,
    logs_without_a_last_newline,
    attaches_to_what_has_ended,
    attaches_before_the_start,
    half_closes,
    execs_of_each_kind,
    execs_detached,
)


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_streams_are_a_real_dockerds(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, _ALLOWED, _LATER)
    assert not found, "\n".join(found)
