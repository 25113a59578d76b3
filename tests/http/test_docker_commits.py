"""Commits on the Docker API."""

from __future__ import annotations

import json

import pytest

from sockerless_ecs.engine.values import CommitRequest
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.image import ImageConfig
from tests.http.conftest import Served
from tests.http.wire import Wire

MADE = {"Id": "sha256:" + "f" * 64}


async def wanted(engine: Served, docker: Wire, query: str = "", body: bytes = b"") -> CommitRequest:
    """What the engine was asked for."""
    await engine.backend.container("c")
    answer = await docker.ask("POST", f"/commit?container=c{query}", body)
    assert (answer.status, answer.json) == (201, MADE)
    [(ref, request)] = engine.backend.containers.commits
    assert ref == "c"
    return request


async def test_a_commit_hands_on_what_was_asked_for(engine: Served, docker: Wire) -> None:
    query = "&repo=a/b&tag=1&comment=why&author=me&pause=0&changes=CMD%20x&changes=ENV%20a%3Db"
    assert await wanted(engine, docker, query) == CommitRequest(
        repository="a/b", tag="1", comment="why", author="me", pause=False, changes=("CMD x", "ENV a=b")
    )


@pytest.mark.parametrize("body", [b"", b"null", b" null\n", b"{}", b'{"HostConfig": {}}', b'{"Cmd": null}'])
async def test_a_body_that_says_nothing_leaves_the_containers_configuration(
    engine: Served, docker: Wire, body: bytes
) -> None:
    assert (await wanted(engine, docker, body=body)).config is None


async def test_a_configuration_in_the_body_is_handed_on(engine: Served, docker: Wire) -> None:
    body = {
        "User": "me",
        "Env": ["A=1"],
        "Cmd": "one",
        "Entrypoint": [],
        "WorkingDir": "/w",
        "Labels": {"a": "b", "c": None},
        "ExposedPorts": {"80/tcp": {}, "81": {}},
        "Volumes": {"/v": {}},
        "StopSignal": "9",
        "Healthcheck": {"Test": ["CMD", "x"], "Interval": 5_000_000},
        "OnBuild": ["RUN x"],
        "Hostname": "ignored",
    }
    assert (await wanted(engine, docker, body=json.dumps(body).encode())).config == ImageConfig(
        user="me",
        env=("A=1",),
        cmd=("one",),
        entrypoint=(),
        working_dir="/w",
        labels={"a": "b", "c": ""},
        exposed_ports=("80/tcp", "81/tcp"),
        volumes=("/v",),
        stop_signal="9",
        healthcheck=Healthcheck(test=("CMD", "x"), interval_ns=5_000_000),
        on_build=("RUN x",),
    )


@pytest.mark.parametrize(
    ("query", "pauses"),
    [("", True), ("&pause=", True), ("&pause=1", True), ("&pause=true", True), ("&pause=false", False)],
)
async def test_a_commit_pauses_unless_it_is_told_not_to(
    engine: Served, docker: Wire, query: str, pauses: bool
) -> None:
    assert (await wanted(engine, docker, query)).pause is pauses


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, 'invalid name or ID supplied: ""'),
        ("?container=nobody", 404, "No such container: nobody"),
    ],
)
async def test_a_commit_of_nobody_is_an_ordinary_answer(
    docker: Wire, query: str, status: int, words: str
) -> None:
    answer = await docker.ask("POST", f"/commit{query}")
    assert (answer.status, answer.message) == (status, words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{not", "invalid JSON"),
        (b'{"Env": ["=x"]}', "invalid environment variable: =x"),
        (b'{"ExposedPorts": {"x": {}}}', "invalid port"),
    ],
)
async def test_a_body_that_is_none_makes_no_image(
    engine: Served, docker: Wire, body: bytes, words: str
) -> None:
    await engine.backend.container("c")
    answer = await docker.ask("POST", "/commit?container=c", body)
    assert (answer.status, words in answer.message) == (400, True)
    assert engine.backend.containers.commits == []
