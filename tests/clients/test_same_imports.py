"""Imports are a real dockerd's: what their changes mean, what is shown of them, how they are refused."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest

from tests.changes import MADE, REFUSED, Changes
from tests.clients.allowed import EVERYWHERE
from tests.clients.cli import DockerCli
from tests.clients.engines import VERSION, Target, tar_of
from tests.clients.recorder import Recorder, Scenario, compare
from tests.dockerd import client

_FILES = tar_of({"etc": None, "etc/name": b"imported\n"})


def _imported(docker: Recorder, content: bytes = _FILES, **query: Any) -> None:
    """An import, and what is shown of it."""
    docker.call("POST", "/images/create", content=content, fromSrc="-", **query, only=sorted)
    if name := query.get("repo"):
        name = f"{name.partition(':')[0]}:{query['tag']}" if "tag" in query else name
        image = docker.http.get(f"/{VERSION}/images/{name}/json").json()["Id"]
        docker.aliases |= {image: f"<{name}>"}
        docker.call("GET", f"/images/{name}/json")
        docker.call("GET", "/images/json", filters=f'{{"reference":["{name}"]}}')


def names_and_messages(docker: Recorder) -> None:
    since = time.time()
    _imported(docker, repo="imports/plain:1")
    _imported(docker, repo="imports/told:1", message="hello")
    _imported(docker, gzip.compress(_FILES), repo="imports/packed:1", changes=["CMD x", "ONBUILD RUN x"])
    _imported(docker, repo="imports/tagged:1", tag="2")
    _imported(docker, bytes(1024), repo="imports/empty:1")
    docker.events(since, "import", type=["image"])
    for name in ("plain:1", "told:1", "packed:1", "tagged:2", "empty:1"):
        docker.http.delete(f"/{VERSION}/images/imports/{name}").raise_for_status()


def refusals(docker: Recorder) -> None:
    wrong: tuple[dict[str, Any], ...] = (
        {"repo": "BAD"},
        {"repo": "x@sha256:" + "1" * 64},
        {"repo": "x", "tag": "b d"},
        {"repo": "sha256"},
        {"platform": "windows/amd64"},
        {"changes": "RUN x"},
        {"repo": "BAD", "changes": "RUN x"},
    )
    for query in wrong:
        docker.call("POST", "/images/create", content=_FILES, fromSrc="-", **query)
    docker.call("POST", "/images/create", content=b"nonsense" * 100, fromSrc="-")
    docker.call("POST", "/images/create", content=_FILES[:700], fromSrc="-")
    docker.call("POST", "/images/create", fromSrc="ftp://x/y")
    docker.forget_nameless_images()


_LATER = {
    "POST /images/create {'fromSrc': '-'}": (400, ""),
    "POST /images/create {'fromSrc': 'ftp://x/y'}": (400, ""),
    "POST /images/create {'fromSrc': '-', 'repo': 'BAD'}": (400, ""),
    "POST /images/create {'fromSrc': '-', 'repo': 'BAD', 'changes': 'RUN x'}": (400, ""),
}
"""The client's own, which the older dockerd answers with 500 or in other words."""

_ALLOWED = {
    **EVERYWHERE,
    "DockerVersion": "who has made it",
    "Container": "gone in later versions",
    "Config.Hostname": "gone in later versions",
    "0.Id": "times",
    "Id": "times",
}


@pytest.mark.parametrize("scenario", [names_and_messages, refusals], ids=lambda one: one.__name__)
def test_imports_are_a_real_dockerds(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, _ALLOWED, _LATER)
    assert not found, "\n".join(found)


def test_the_table_of_changes_is_what_dockerd_says(real: Target) -> None:
    """Ours is held to the same table (tests/model), so the two agree."""
    with client(real.socket) as http:

        def ask(changes: Changes) -> tuple[int, Any]:
            answer = http.post(
                f"/{VERSION}/images/create",
                params=[("fromSrc", "-"), *(("changes", change) for change in changes)],
                content=bytes(1024),
                headers={"Content-Type": "application/x-tar"},
            )
            if answer.is_error:
                return answer.status_code, answer.json()["message"].lower()
            image = answer.json()["status"]
            config = http.get(f"/{VERSION}/images/{image}/json").json()["Config"]
            http.delete(f"/{VERSION}/images/{image}")
            return 200, {key: value for key, value in config.items() if value}

        for changes, made in MADE.items():
            assert ask(changes) == (200, made), changes
        for changes, words in REFUSED.items():
            assert ask(changes) == (400, words.lower()), changes


def test_docker_import_makes_what_runs(docker_cli: str, engine: Target, archive: bytes) -> None:
    """The docker command's own import: a file system in, a container out."""
    docker = DockerCli(docker_cli, engine)
    program = docker.create("exit", "0")
    files = docker("export", program).out
    image = docker(
        "import",
        "-c",
        'ENTRYPOINT ["/bin/program"]',
        "-c",
        "ENV A=b",
        "-m",
        "why",
        "-",
        "made/here:1",
        stdin=files,
    ).text.splitlines()[-1]
    assert (
        docker("image", "inspect", "made/here:1", "--format", "{{.Id}} {{.Comment}}").text == f"{image} why"
    )
    ran = docker("run", "--rm", *docker.places([]), "made/here:1", "env", "A", ";", "read", "/etc/passwd")
    assert ran.text == "b\nroot:x:0:0:root:/root:/bin/sh"
    docker("rm", program)
    docker("rmi", "made/here:1")
