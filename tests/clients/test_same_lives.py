"""What happens to a container is told as a real dockerd tells it: events, states, waits, failures."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.clients.allowed import EVERYWHERE
from tests.clients.engines import VERSION, Target
from tests.clients.recorder import Recorder, Scenario, compare

_EXEC = {"Cmd": ["/bin/program", "exit", "4"], "AttachStdout": True}


def events_of_a_natural_exit(docker: Recorder) -> None:
    since = time.time()
    container = docker.create("told-1", "exit", "3", Labels={"a": "b"})
    docker.container(container, "start")
    docker.container(container, "wait")
    docker.call("DELETE", f"/containers/{container}")
    docker.events(since, "destroy", container=[container], type=["container"])


def events_of_stop_restart_and_kill(docker: Recorder) -> None:
    since = time.time()
    container = docker.create("told-2", "on-signal", "TERM", "5", ";", "print", "ready", ";", "forever")
    docker.container(container, "start")
    _await_line(docker, container)
    docker.container(container, "restart", t=5)
    _await_line(docker, container, 2)
    docker.container(container, "stop", t=5)
    docker.events(since, "stop", container=[container], type=["container"])
    since = time.time()
    docker.container(container, "rename", name="told-2b")
    docker.container(container, "start")
    docker.container(container, "kill", signal="SIGWINCH")
    docker.container(container, "kill")
    docker.container(container, "wait")
    docker.container(container, "rename", name="told-2")
    docker.container(container, "update", body={"RestartPolicy": {"Name": "no"}})
    docker.container(container, "start")
    docker.call("DELETE", f"/containers/{container}", force=1, v=1)
    docker.events(since, "destroy", container=[container], type=["container"])


def events_of_a_stop_that_must_kill(docker: Recorder) -> None:
    since = time.time()
    container = docker.create("told-3", "deaf", ";", "print", "ready", ";", "forever")
    docker.container(container, "start")
    _await_line(docker, container)
    docker.container(container, "stop", t=0)
    docker.container(container, "json", method="GET", only=_state)
    docker.call("DELETE", f"/containers/{container}")
    docker.events(since, "destroy", container=[container], type=["container"])


def events_of_execs_and_attach(docker: Recorder) -> None:
    since = time.time()
    container = docker.create("told-4", "forever")
    docker.container(container, "start")
    made = docker.container(container, "exec", body=_EXEC).json["Id"]
    docker.aliases[made] = "<exec>"
    docker.stream(f"/exec/{made}/start", {"Detach": False})
    docker.events(since, "exec_die", container=[container], type=["container"])
    docker.call("DELETE", f"/containers/{container}", force=1)
    since = time.time()
    container = docker.create("told-5", "print", "x")
    docker.container(container, "start")
    docker.container(container, "wait")
    docker.stream(f"/containers/{container}/attach?logs=1&stream=0&stdout=1")
    docker.container(container, "resize", h=5, w=5)
    docker.container(container, "top", method="GET")
    docker.call("GET", f"/containers/{container}/export", only=lambda _: None)
    docker.call("GET", f"/containers/{container}/archive", path="/etc/passwd")
    docker.call("DELETE", f"/containers/{container}")
    docker.events(since, "destroy", container=[container], type=["container"])


def events_of_health(docker: Recorder) -> None:
    since = time.time()
    check = {"Test": ["CMD", "/bin/program", "print", "fine"], "Interval": 100_000_000}
    container = docker.create("told-6", "forever", Healthcheck=check)
    docker.container(container, "start")
    docker.events(since, "health_status", container=[container], event=["health_status"])
    docker.call("DELETE", f"/containers/{container}", force=1)


def events_of_auto_remove(docker: Recorder) -> None:
    since = time.time()
    container = docker.create("told-7", "exit", "0", HostConfig={"AutoRemove": True})
    docker.container(container, "start")
    docker.events(since, "destroy", container=[container], type=["container"])


def failed_starts(docker: Recorder) -> None:
    configs: tuple[dict[str, Any], ...] = (
        {"Cmd": ["/nothing/here"]},
        {"Cmd": ["nothing"]},
        {"Cmd": ["/etc"]},
        {"User": "nobody-here"},
        {"User": "0:nogroup-here"},
        {"Entrypoint": ["/no/entry"], "Cmd": ["x"]},
    )
    for number, config in enumerate(configs):
        since = time.time()
        container = docker.create(f"failing-{number}", **config)
        docker.container(container, "start")
        docker.container(
            container,
            "json",
            method="GET",
            only=_state,
        )
        docker.container(container, "wait")
        docker.call("GET", "/containers/json", all=1, filters=f'{{"id":["{container}"]}}')
        docker.events(since, "", container=[container], type=["container"])
        docker.call("DELETE", f"/containers/{container}")


def waits(docker: Recorder) -> None:
    container = docker.create("waited", "exit", "7")
    docker.container(container, "wait", condition="not-running")
    docker.container(container, "start")
    docker.container(container, "wait", condition="not-running")
    docker.container(container, "wait", condition="")
    docker.container(container, "wait")
    docker.call("DELETE", f"/containers/{container}", v=1, link=0)
    docker.container(container, "wait", condition="removed")


def stops_and_kills(docker: Recorder) -> None:
    container = docker.create(
        "ended", "on-signal", "INT", "6", ";", "print", "ready", ";", "forever", StopSignal="INT"
    )
    docker.container(container, "kill")
    docker.container(container, "stop")
    docker.container(container, "pause")
    docker.container(container, "unpause")
    docker.container(container, "start")
    _await_line(docker, container)
    docker.container(container, "kill", signal="0")
    docker.container(container, "kill", signal="999")
    docker.container(container, "kill", signal="sigint ")
    docker.container(container, "stop", t="x")
    docker.container(container, "stop", t="")
    docker.container(container, "json", method="GET", only=_state)
    docker.container(container, "restart", t="x")
    docker.container(container, "start", detachKeys="nonsense")
    docker.call("DELETE", f"/containers/{container}", force="nonsense")
    docker.call("DELETE", f"/containers/{container}", force=1)


def updates(docker: Recorder) -> None:
    container = docker.create("updated", "forever")
    docker.container(
        container, "update", body={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}}
    )
    docker.container(container, "update", body={"RestartPolicy": {"Name": "nonsense"}})
    docker.container(container, "update", content="{not json")
    docker.container(container, "update", body={})
    docker.container(container, "json", method="GET", only=lambda body: body["HostConfig"]["RestartPolicy"])
    docker.call("DELETE", f"/containers/{container}")
    auto = docker.create("updated-2", "forever", HostConfig={"AutoRemove": True})
    docker.container(auto, "update", body={"RestartPolicy": {"Name": "always"}})
    docker.call("DELETE", f"/containers/{auto}")


def _state(body: Any) -> Any:
    times = ("StartedAt", "FinishedAt", "Pid")
    kept = {key: value for key, value in body["State"].items() if key not in times}
    return {**kept, "Restarts": body["RestartCount"]}


def _await_line(docker: Recorder, container: str, count: int = 1) -> None:
    """Until its process has said that it is ready."""
    while (
        docker.http.get(f"/{VERSION}/containers/{container}/logs", params={"stdout": 1}).text.count("ready")
        < count
    ):
        time.sleep(0.01)


_KILL = "POST /containers/<ended>/kill"
_UPDATE = "POST /containers/<updated>/update"

_LATER = {
    f"{_KILL} {{'signal': '0'}}": (400, "cannot kill container: <ended>: Invalid signal: 0"),
    f"{_KILL} {{'signal': '999'}}": (
        400,
        "cannot kill container: <ended>: the linux daemon does not support signal 999",
    ),
    f"{_KILL} {{'signal': 'sigint '}}": (400, "cannot kill container: <ended>: Invalid signal: sigint "),
    "POST /containers/<ended>/stop {'t': 'x'}": (400, ""),
    "POST /containers/<ended>/restart {'t': 'x'}": (400, ""),
    f"{_UPDATE} {{'RestartPolicy': {{'Name': 'nonsense'}}}}": (
        400,
        (
            "invalid restart policy: unknown policy 'nonsense'; use one of 'no', 'always', 'on-failure', or "
            "'unless-stopped'"
        ),
    ),
    f"{_UPDATE} {{not json": (400, ""),
}

_SCENARIOS: tuple[Scenario, ...] = (
    events_of_a_natural_exit,
    events_of_stop_restart_and_kill,
    events_of_a_stop_that_must_kill,
    events_of_execs_and_attach,
    events_of_health,
    events_of_auto_remove,
    failed_starts,
    waits,
    stops_and_kills,
    updates,
)


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_lives_are_told_as_a_real_dockerd_does(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, EVERYWHERE, _LATER)
    assert not found, "\n".join(found)
