"""Images through the whole: rules of where they are, tags that move, deaths in the middle of moves."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import trio

from sockerless_ecs.sandbox.registry import ImageNotFound, Registry
from tests.clients.cli import DockerCli
from tests.clients.engines import IMAGE, VERSION, Target, docker_archive, load
from tests.clients.wire import Wire
from tests.e2e.world import Cloud, Daemon, eventually
from tests.engine import bundles
from tests.engine.bundles import layer, parts, tarred

NewDaemon = Callable[..., Daemon]
LOGIN = {"X-Registry-Auth": base64.b64encode(b'{"username":"any","password":"one"}').decode()}


@pytest.fixture
def new_daemon(cloud: Cloud) -> Iterator[NewDaemon]:
    """Daemons with settings of their own."""
    made: list[Daemon] = []
    with TemporaryDirectory(prefix="sl-") as folder:

        def new(**settings: Any) -> Daemon:
            place = Path(folder) / str(len(made))
            place.mkdir()
            made.append(Daemon(cloud, place, settings=settings))
            made[-1].start()
            return made[-1]

        yield new
        for daemon in made:
            assert daemon.stop() == 0, daemon.log.read_text()[-4000:]


def says(program: bytes, name: str, words: str) -> bytes:
    """An image that prints words."""
    return docker_archive({"bin/program": program}, {"Cmd": ["/bin/program", "print", words]}, names=(name,))


async def output(wire: Wire, container: str) -> bytes:
    """Of a container that is run to its end."""
    await wire.call("POST", f"/containers/{container}/start")
    await wire.call("POST", f"/containers/{container}/wait")
    framed = await wire.http.get(f"/containers/{container}/logs", params={"stdout": 1})
    return framed.content[8:]


async def created(wire: Wire, image: str) -> str:
    return str((await wire.call("POST", "/containers/create", body={"Image": image}))["Id"])


async def pull(wire: Wire, name: str) -> str:
    repository, _, tag = name.rpartition(":")
    answer = await wire.http.post("/images/create", params={"fromImage": repository, "tag": tag})
    assert "errorDetail" not in answer.text, answer.text
    return answer.text


async def push(wire: Wire, name: str) -> str:
    repository, _, tag = name.rpartition(":")
    answer = await wire.http.post(f"/images/{repository}/push", params={"tag": tag}, headers=LOGIN)
    assert "errorDetail" not in answer.text, answer.text
    return answer.text


async def test_fargate_pulls_from_where_a_rule_says_and_the_user_sees_the_name_they_gave(
    cloud: Cloud, new_daemon: NewDaemon, archive: bytes
) -> None:
    cache = f"{cloud.info.registry}/cache"
    daemon = new_daemon(images={"sources": {"docker.io/cached": cache}})
    load(daemon.docker_socket, archive)
    wire = Wire(daemon.docker_socket)
    await wire.call("POST", f"/images/{IMAGE}/tag", repo=f"{cache}/tool", tag="1")
    await push(wire, f"{cache}/tool:1")
    assert "Status: Downloaded newer image for cached/tool:1" in await pull(wire, "cached/tool:1")
    container = await created(wire, "cached/tool:1")
    assert await output(wire, container) == b"hello\n"
    shown = await wire.call("GET", f"/containers/{container}/json")
    assert shown["Config"]["Image"] == "cached/tool:1"
    [task] = cloud.tasks(daemon.instance)
    main = next(one["image"] for one in task["containers"] if one["name"] == "main")
    assert main.startswith(f"{cache}/tool@sha256:")
    await wire.remove(container)
    await wire.http.aclose()


async def test_a_tag_that_moves_changes_no_container_that_was_made_before(
    cloud: Cloud, new_daemon: NewDaemon, program: bytes
) -> None:
    name = f"{cloud.info.registry}/moving/tool:1"
    wire = Wire(new_daemon().docker_socket)
    load(wire.socket, says(program, name, "old"))
    await push(wire, name)
    await pull(wire, name)
    before = await created(wire, name)
    load(wire.socket, says(program, name, "new"))
    await push(wire, name)
    await pull(wire, name)
    after = await created(wire, name)
    assert await output(wire, before) == b"old\n"
    assert await output(wire, after) == b"new\n"
    for container in (before, after):
        await wire.remove(container)
    await wire.http.aclose()


async def test_an_image_that_is_here_for_another_platform_is_pulled_for_the_right_one(
    cloud: Cloud, new_daemon: NewDaemon, archive: bytes, docker_cli: str
) -> None:
    name = f"{cloud.info.registry}/platforms/tool:1"
    daemon = new_daemon()
    docker = DockerCli(docker_cli, Target("ours", daemon.docker_socket, "default"))
    docker("load", stdin=archive)
    docker("tag", IMAGE, name)
    wire = Wire(daemon.docker_socket)
    await push(wire, name)
    for_arm = parts([layer({"bin/program": b"arm"})], architecture="arm64")
    docker("load", stdin=tarred(bundles.archive(for_arm, name)))
    asked = {"platform": "linux/amd64"}
    answer = await wire.http.post("/containers/create", params=asked, json={"Image": name})
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "its platform (linux/arm64) does not match the specified platform" in answer.text
    await wire.http.aclose()
    assert docker("run", "--rm", "--platform", "linux/amd64", name).text == "hello"
    assert docker("inspect", "--format", "{{.Architecture}}", name).text == "amd64"


async def test_a_daemon_that_dies_during_a_load_has_recorded_nothing_and_loads_it_then(
    new_daemon: NewDaemon, program: bytes
) -> None:
    daemon = new_daemon()
    whole = docker_archive({"bin/program": program, "big": os.urandom(20_000_000)}, names=("half:1",))
    stream = await trio.open_unix_socket(str(daemon.docker_socket))
    head = f"POST /{VERSION}/images/load HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n\r\n"
    async with stream:
        await stream.send_all(head.encode() + whole[: len(whole) // 2])
        daemon.kill()
    daemon.start()
    wire = Wire(daemon.docker_socket)
    assert await wire.call("GET", "/images/json") == []
    load(wire.socket, whole)
    [image] = await wire.call("GET", "/images/json")
    assert image["RepoTags"] == ["half:1"]
    await wire.http.aclose()


async def test_a_daemon_that_dies_during_a_push_leaves_no_name_and_pushes_it_then(
    new_daemon: NewDaemon, program: bytes, tmp_path: Path
) -> None:
    daemon, registry = new_daemon(), Registry(tmp_path)
    name = f"127.0.0.1:{registry.serve()}/dying:1"
    image = docker_archive({"bin/program": program, "big": os.urandom(25_000_000)}, names=(name,))
    load(daemon.docker_socket, image)
    wire = Wire(daemon.docker_socket)
    async with wire.http.stream("POST", f"/images/{name}/push", headers=LOGIN) as answer:
        async for line in answer.aiter_lines():
            if '"Pushing"' in line:
                daemon.kill()
                break
    with pytest.raises(ImageNotFound):
        registry.resolve(name, "amd64")
    daemon.start()
    assert "digest: sha256:" in await push(wire, name)
    assert registry.resolve(name, "amd64")
    registry.close()
    await wire.http.aclose()


async def test_ecr_that_fails_in_the_middle_of_a_load_is_told_and_the_next_load_goes(
    cloud: Cloud, new_daemon: NewDaemon, archive: bytes
) -> None:
    daemon = new_daemon()
    wire = Wire(daemon.docker_socket)
    cloud.fault(operation="DescribeRepositories", kind="error", code="ServerException", status=500, count=50)
    try:
        answer = await wire.http.post("/images/load", content=archive)
    finally:
        cloud.no_faults()
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE, answer.text
    assert "DescribeRepositories" in answer.text
    load(daemon.docker_socket, archive)
    await eventually(lambda: _listed(wire))
    await wire.http.aclose()


async def _listed(wire: Wire) -> bool:
    return bool(await wire.call("GET", "/images/json"))
