"""Our answers laid beside a real dockerd's, field by field."""

from __future__ import annotations

import time

import pytest

from tests.clients.allowed import EVERYWHERE
from tests.clients.engines import IMAGE, VERSION, Target
from tests.clients.recorder import Recorder, Scenario, compare

_CHECK = {"Test": ["CMD", "/bin/program", "exit", "0"], "Interval": 3_600_000_000_000}


def inspect_of_a_created_container(docker: Recorder) -> None:
    container = docker.create(
        "inspected", "exit", "3", Env=["A=b"], Labels={"x": "y"}, Tty=False, OpenStdin=True, StdinOnce=True,
        WorkingDir="/etc", User="0:0", StopSignal="SIGINT", StopTimeout=3, Healthcheck=_CHECK, Hostname="h",
        HostConfig={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}, "Init": True},
    )  # fmt: skip
    docker.call("GET", f"/containers/{container}/json")
    docker.call("DELETE", f"/containers/{container}")


def a_life(docker: Recorder) -> None:
    container = docker.create("living", "exit", "3")
    docker.call("POST", f"/containers/{container}/start")
    docker.call("POST", f"/containers/{container}/wait")
    docker.call("GET", f"/containers/{container}/json")
    docker.call("GET", "/containers/json", all=1, filters='{"name":["living"]}')
    docker.call("POST", f"/containers/{container}/stop")
    docker.call("POST", f"/containers/{container}/kill")
    docker.call("POST", f"/containers/{container}/pause")
    docker.call("GET", f"/containers/{container}/top")
    docker.call("POST", f"/containers/{container}/resize", h=1, w=1)
    docker.call("POST", f"/containers/{container}/exec", body={"Cmd": ["x"]})
    docker.call("DELETE", f"/containers/{container}")
    docker.call("DELETE", f"/containers/{container}")


def what_runs(docker: Recorder) -> None:
    container = docker.create("running", "forever")
    docker.call("POST", f"/containers/{container}/start")
    docker.call("POST", f"/containers/{container}/start")
    docker.call("GET", f"/containers/{container}/json")
    docker.call("GET", "/containers/json", filters='{"name":["running"]}')
    docker.call("POST", f"/containers/{container}/unpause")
    docker.call("POST", f"/containers/{container}/rename")
    docker.call("POST", f"/containers/{container}/rename", name="running")
    docker.call("POST", f"/containers/{container}/rename", name="!bad!")
    docker.call("DELETE", f"/containers/{container}", force=1)


def execs(docker: Recorder) -> None:
    container = docker.create("execing", "forever")
    docker.call("POST", f"/containers/{container}/start")
    docker.call("POST", f"/containers/{container}/exec", body={"Cmd": []})
    docker.call("POST", f"/containers/{container}/exec", content="{not json")
    made = docker.call("POST", f"/containers/{container}/exec", body={"Cmd": ["/bin/program", "exit", "4"]})
    exec_id = made.json["Id"]
    docker.aliases[exec_id] = "<exec>"
    docker.call("GET", f"/exec/{exec_id}/json")
    docker.call("POST", f"/exec/{exec_id}/start", body={"Detach": True})
    while docker.http.get(f"/{VERSION}/exec/{exec_id}/json").json()["Running"]:
        time.sleep(0.01)
    docker.call("POST", f"/exec/{exec_id}/start", body={"Detach": True})
    docker.call("GET", "/exec/unknown/json")
    docker.call("POST", "/exec/unknown/start", body={"Detach": True})
    docker.call("POST", "/exec/unknown/resize", h=1, w=1)
    docker.call("DELETE", f"/containers/{container}", force=1)


def unknown_containers(docker: Recorder) -> None:
    for method, path in (
        ("GET", "json"), ("POST", "start"), ("POST", "stop"), ("POST", "restart"), ("POST", "kill"),
        ("POST", "pause"), ("POST", "unpause"), ("POST", "wait"), ("GET", "top"), ("GET", "stats"),
        ("GET", "changes"), ("GET", "export"),
    ):  # fmt: skip
        docker.call(method, f"/containers/nobody/{path}")
    docker.call("POST", "/containers/nobody/update", body={})
    docker.call("GET", "/containers/nobody/logs", stdout=1)
    docker.call("GET", "/containers/nobody/archive", path="/")
    docker.call("POST", "/containers/nobody/resize", h=1, w=1)
    docker.call("POST", "/containers/nobody/rename", name="x")
    docker.call("DELETE", "/containers/nobody")
    docker.call("POST", "/containers/nobody/exec", body={"Cmd": ["x"]})


def bad_requests(docker: Recorder) -> None:
    container = docker.create("asked-badly", "forever")
    docker.call("POST", "/containers/create", content="{not json")
    docker.call("POST", "/containers/create", body={"Image": "nobody/has:it"})
    docker.call("POST", "/containers/create", body={})
    docker.call("POST", "/containers/create", body={"Image": IMAGE}, name="asked-badly")
    docker.call("POST", "/containers/create", body={"Image": IMAGE}, name="!")
    docker.call("GET", "/containers/json", filters='{"nonsense":["x"]}')
    docker.call("GET", "/containers/json", filters="{not json")
    docker.call("POST", f"/containers/{container}/wait", condition="nonsense")
    docker.call("POST", f"/containers/{container}/kill", signal="NONSENSE")
    docker.call("GET", f"/containers/{container}/logs")
    docker.call("GET", f"/containers/{container}/archive")
    docker.call("GET", f"/containers/{container}/archive", path="/nothing/here")
    docker.call("POST", f"/containers/{container}/resize", h="x", w="y")
    docker.call("GET", "/images/nobody/json")
    docker.call("GET", "/nothing")
    docker.call("DELETE", f"/containers/{container}")


def the_image(docker: Recorder) -> None:
    docker.call("GET", f"/images/{IMAGE}/json")
    docker.call("GET", "/images/json", filters='{"reference":["sockerless/program:1"]}')
    docker.call("POST", f"/images/{IMAGE}/tag", repo="sockerless/again", tag="2")
    docker.call("DELETE", "/images/sockerless/again:2")
    docker.call("DELETE", "/images/sockerless/again:2")
    docker.call("POST", "/images/nobody/tag", repo="x")
    docker.call("POST", f"/images/{IMAGE}/tag", repo="!!", tag="2")


def policies_and_checks(docker: Recorder) -> None:
    for config in (
        {"HostConfig": {"RestartPolicy": {"Name": "sometimes"}}},
        {"HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 2}}},
        {"HostConfig": {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}},
        {"HostConfig": {"RestartPolicy": {"Name": "always"}, "AutoRemove": True}},
        {"Healthcheck": {"Test": ["CMD", "x"], "Interval": 5}},
        {"Healthcheck": {"Test": ["CMD", "x"], "Retries": -1}},
        {"StopSignal": "NONSENSE"},
    ):
        docker.call("POST", "/containers/create", body={"Image": IMAGE, **config})


_GO_WORDS = ""
"""Go's own words on malformed JSON."""

_CREATE = "POST /containers/create"
_POLICY = f"{_CREATE} {{'Image': '{IMAGE}', 'HostConfig': {{'RestartPolicy': "

_LATER = {
    f"{_CREATE} {{}}": (400, "config cannot be empty in order to create a container"),
    "POST /containers/<asked-badly>/wait {'condition': 'nonsense'}": (400, 'invalid condition: "nonsense"'),
    "POST /containers/<asked-badly>/kill {'signal': 'NONSENSE'}": (
        400,
        "cannot kill container: <asked-badly>: Invalid signal: NONSENSE",
    ),
    "GET /containers/<asked-badly>/archive": (400, "bad parameter: path cannot be empty"),
    "POST /containers/<asked-badly>/resize {'h': 'x', 'w': 'y'}": (400, _GO_WORDS),
    "GET /images/nobody/json": (404, "No such image: nobody:latest"),
    f"{_POLICY}{{'Name': 'sometimes'}}}}}}": (
        400,
        (
            "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or "
            "'unless-stopped'"
        ),
    ),
    f"{_POLICY}{{'Name': 'always', 'MaximumRetryCount': 2}}}}}}": (
        400,
        "invalid restart policy: maximum retry count can only be used with 'on-failure'",
    ),
    f"{_POLICY}{{'Name': 'on-failure', 'MaximumRetryCount': -1}}}}}}": (
        400,
        "invalid restart policy: maximum retry count cannot be negative",
    ),
    "POST /containers/create {not json": (400, _GO_WORDS),
    "POST /containers/<execing>/exec {not json": (400, _GO_WORDS),
    "GET /containers/json {'filters': '{not json'}": (400, _GO_WORDS),
    f"POST /images/{IMAGE}/tag {{'repo': '!!', 'tag': '2'}}": (400, "invalid reference format"),
}

_SCENARIOS: tuple[Scenario, ...] = (
    inspect_of_a_created_container,
    a_life,
    what_runs,
    execs,
    unknown_containers,
    bad_requests,
    the_image,
    policies_and_checks,
)


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_answers_are_a_real_dockerds(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, EVERYWHERE, _LATER)
    assert not found, "\n".join(found)
