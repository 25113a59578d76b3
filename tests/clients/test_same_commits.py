"""Commits are a real dockerd's: what is shown of the image, and what a container of it sees."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.clients.allowed import EVERYWHERE
from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, VERSION, Target
from tests.clients.recorder import Recorder, Scenario, compare

_CHANGES = (
    "write /etc/new x ; make /a/b ; remove /etc/passwd ; write /a/b/file content ; mode 640 /a/b/file ; "
    "link file /a/b/soft ; name /a/b/file /a/b/hard ; mode 1711 /a ; "
    "link /nowhere /dangling ; make /gone ; remove /gone ; make /empty"
)
"""Of the tests' program."""
_OWNED = "own 1000 1001 /a/b/file ; mode 4750 /a/b/file ; own 7 8 /a/b/soft ; own 9 10 /a/b"


def _committed(docker: Recorder, container: str, name: str, *, body: Any = None, **query: Any) -> None:
    """A commit, and what is shown of the image."""
    made = docker.call(
        "POST", "/commit", body=body, only=sorted, container=container, repo="commits/x", tag=name, **query
    )
    assert made.status == 201, made
    shown = docker.http.get(f"/{VERSION}/images/commits/x:{name}/json").json()
    docker.aliases |= {shown["Id"]: f"<{name}>"}
    layers = shown["RootFS"]["Layers"]
    docker.call("GET", f"/images/commits/x:{name}/json", only=lambda image: {**image, "RootFS": len(layers)})
    docker.call("GET", f"/images/commits/x:{name}/history")


def what_is_shown(docker: Recorder) -> None:
    since = time.time()
    config = {
        "Env": ["A=1"], "Labels": {"l": "1"}, "ExposedPorts": {"80/tcp": {}}, "User": "0:0",
        "WorkingDir": "/work", "StopSignal": "SIGINT", "Healthcheck": {"Test": ["NONE"]},
    }  # fmt: skip
    untouched = docker.create("untouched", "exit", "0")
    _committed(docker, untouched, "untouched")
    docker.call("DELETE", f"/containers/{untouched}")
    container = docker.create("committed", *_CHANGES.split(), **config)
    docker.container(container, "start")
    docker.container(container, "wait")
    _committed(docker, container, "plain")
    _committed(docker, container, "told", comment="why", author="who", changes=["ENV B=$A C=2", "CMD x"])
    _committed(docker, container, "entered", changes=['ENTRYPOINT ["/e"]', "LABEL m=2", "EXPOSE 81"])
    _committed(docker, container, "given", body={"Cmd": ["z"], "Env": ["Q=1"], "Labels": {"l": "2"}})
    _committed(docker, container, "given-entrypoint", body={"Entrypoint": ["e"]}, changes="ENV R=$Q$A")
    docker.events(since, "tag", type=["image"])
    docker.events(since, "commit", type=["container"], container=[container])
    docker.call("DELETE", f"/containers/{container}")
    for name in ("untouched", "plain", "told", "entered", "given", "given-entrypoint"):
        docker.http.delete(f"/{VERSION}/images/commits/x:{name}").raise_for_status()


def pauses(docker: Recorder) -> None:
    container = docker.create("standing-still", "ticks", "5")
    docker.container(container, "start")
    for pause in ("", "0", "x"):
        docker.call("POST", "/commit", container=container, only=sorted, pause=pause)
        docker.container(container, "json", method="GET", only=_state)
    docker.container(container, "pause")
    docker.call("POST", "/commit", container=container, only=sorted)
    docker.container(container, "json", method="GET", only=_state)
    docker.call("DELETE", f"/containers/{container}", force=1)
    docker.forget_nameless_images()


def refusals(docker: Recorder) -> None:
    container = docker.create("not-committed", "exit", "0")
    wrong: tuple[dict[str, Any], ...] = (
        {"container": "nobody"}, {"container": ""}, {"changes": "RUN x"}, {"changes": "ENV"},
        {"repo": "sha256"}, {"repo": "BAD"}, {"tag": "b d", "repo": "x"},
    )  # fmt: skip
    for query in wrong:
        docker.call("POST", "/commit", **{"container": container, **query})
    docker.call("POST", "/commit", content="{not", container=container)
    docker.call("DELETE", f"/containers/{container}")
    docker.forget_nameless_images()


def _state(body: Any) -> Any:
    return {key: body["State"][key] for key in ("Status", "Running", "Paused")}


_ASKED = "POST /commit {'container': '<not-committed>', "
_LATER = {
    f"{_ASKED}'repo': 'BAD'}}": (400, ""),
    f"{_ASKED}'tag': 'b d', 'repo': 'x'}}": (400, ""),
    "POST /commit {'container': '<not-committed>'}": (400, ""),
}
"""The client's own, which the older dockerd answers with 500."""

_ALLOWED = {
    **EVERYWHERE,
    "DockerVersion": "who has made it",
    "Container": "gone in later versions",
    "Config.Hostname": "gone in later versions",
    "Config.Image": "gone in later versions",
    "Id": "times",
}


@pytest.mark.parametrize("scenario", [what_is_shown, pauses, refusals], ids=lambda one: one.__name__)
def test_commits_are_a_real_dockerds(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, _ALLOWED, _LATER)
    assert not found, "\n".join(found)


def test_container_of_a_commit_sees_what_was_changed_and_not_what_was_deleted(
    ours: Target, real: Target, docker_cli: str
) -> None:
    """Modes, links, several names of one file, directories made anew, and a commit of a commit."""
    mine, theirs = (_seen(DockerCli(docker_cli, engine), _CHANGES, _AGAIN) for engine in (ours, real))
    assert mine == theirs
    first, second = mine
    for line in (
        "41711 0:0 0 0 /a ",
        "100640 0:0 2 8 /a/b/file ",
        "100640 0:0 2 8 /a/b/hard ",
        "120777 0:0 1 4 /a/b/soft file",
        "120777 0:0 1 8 /dangling /nowhere",
        "/etc/passwd is missing",
    ):
        assert line in first
    for line in ("40755 0:0 0 0 /a ", "/a/b is missing", "100644 0:0 1 2 /moved/other ", "/empty is missing"):
        assert line in second


@pytest.mark.mode("full")
def test_owners_and_set_user_id_bits_survive_a_commit(ours: Target, real: Target, docker_cli: str) -> None:
    mine, theirs = (_seen(DockerCli(docker_cli, engine), f"{_CHANGES} ; {_OWNED}") for engine in (ours, real))
    assert mine == theirs
    for line in ("104750 1000:1001 2 8 /a/b/hard ", "120777 7:8 1 4 /a/b/soft file", "40755 9:10 0 0 /a/b "):
        assert line in mine[0]


_LOOKED_AT = ("/a", "/a/b", "/moved", "/empty", "/gone", "/dangling", "/etc/new", "/etc/passwd", "/bin")
_AGAIN = (
    "remove /a ; make /a/b ; write /a/b/other x ; remove /etc/new ; make /etc/new ; remove /empty ; "
    "move /a/b /moved"
)


def _seen(docker: DockerCli, *runs: str) -> list[list[str]]:
    """What is in a commit of a container, and in one of a container of that, and so on."""
    found, image = [], IMAGE
    for number, steps in enumerate(runs):
        container = docker("create", *docker.places([]), image, "/bin/program", *steps.split()).text
        docker("start", "-a", container)
        image = f"commits/seen:{number}"
        docker("commit", container, image)
        shown = docker("run", "--rm", *docker.places([]), image, "/bin/program", "look", *_LOOKED_AT)
        found.append(shown.out.decode().split("\n"))
        docker("rm", container)
    docker("rmi", *(f"commits/seen:{number}" for number in reversed(range(len(runs)))))
    return found
