"""Files in and out of containers, through the daemon and real agents."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import boto3
import httpx
import pytest
import trio

from sockerless_ecs.registry import RegistryClient
from tests.e2e.world import Api, Cloud, Daemon, eventually
from tests.images import File, image, push


def packed(files: dict[str, bytes], **more: Any) -> bytes:
    """A tar of regular files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **more) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


async def put(api: Api, container: str, path: str, tar: bytes, **query: Any) -> None:
    answer = await api.http.put(
        f"/containers/{container}/archive", params={"path": path, **query}, content=tar
    )
    assert answer.status_code == 200, answer.text


async def get(api: Api, container: str, path: str) -> dict[str, bytes | None]:
    """The files of a path, by name."""
    answer = await api.http.get(f"/containers/{container}/archive", params={"path": path})
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        return {one.name: file.read() if (file := tar.extractfile(one)) else None for one in tar}


async def test_files_copied_before_the_start_are_there_for_the_process(api: Api) -> None:
    container = await api.create("sh", "-c", "cat /tmp/one /tmp/two")
    await put(api, container, "/tmp", packed({"one": b"first\n"}))
    await put(api, container, "/tmp", packed({"two": b"second\n"}))
    assert await get(api, container, "/tmp/one") == {"one": b"first\n"}
    assert (await api.inspect(container))["State"]["Status"] == "created"
    await api.start(container)
    assert await api.wait(container) == 0
    assert (await api.logs(container))[0] == b"first\nsecond\n"
    await api.remove(container)


async def test_files_are_copied_out_while_it_runs_and_after_it_has_ended(api: Api) -> None:
    container = await api.run("sh", "-c", "echo made > /tmp/made; echo ready; sleep 60")

    async def ready() -> bool:
        return b"ready" in (await api.logs(container))[0]

    await eventually(ready)
    assert await get(api, container, "/tmp/made") == {"made": b"made\n"}
    await put(api, container, "/tmp", packed({"late": b"late"}))
    await api.call("POST", f"/containers/{container}/kill")
    await api.wait(container)
    assert await get(api, container, "/tmp/late") == {"late": b"late"}
    await api.remove(container)


def entry(name: str, **fields: Any) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.mode = 0o644
    for field, value in fields.items():
        setattr(made, field, value)
    return made


async def fetched(api: Api, container: str, path: str) -> tarfile.TarFile:
    answer = await api.http.get(f"/containers/{container}/archive", params={"path": path})
    assert answer.status_code == 200, answer.text
    return tarfile.open(fileobj=io.BytesIO(answer.content))


async def test_odd_names_sparse_files_and_ten_thousand_entries_come_back_as_they_went(api: Api) -> None:
    container = await api.create("sleep", "60")
    odd = [" lead", "ünï", "new\nline", "-dash", "*glob?", "a" * 255, "q'uote\"s", "back\\slash"]
    files = {f"odd/{name}": name.encode() for name in odd}
    files |= {f"many/{number % 100}/{number}": b"%d" % number for number in range(10_000)}
    files["sparse"] = b"begin" + bytes(3_000_000) + b"end"
    folders = ["odd", "many", *(f"many/{number}" for number in range(100))]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(entry("box", type=tarfile.DIRTYPE, mode=0o755))
        for name in folders:
            tar.addfile(entry(f"box/{name}", type=tarfile.DIRTYPE, mode=0o755))
        for name, data in files.items():
            tar.addfile(entry(f"box/{name}", size=len(data)), io.BytesIO(data))
    for compress in (bytes, gzip.compress):
        await put(api, container, "/tmp", compress(buffer.getvalue()))
        with await fetched(api, container, "/tmp/box") as tar:
            found = {one.name: file.read() for one in tar if (file := tar.extractfile(one))}
        assert found == {f"box/{name}": data for name, data in files.items()}
    await api.remove(container)


HOSTILE = {
    "a path that leaves": [entry("../../escaped", size=1)],
    "a link out of it, then through it": [
        entry("out", type=tarfile.SYMTYPE, linkname="/tmp/victim"),
        entry("out/escaped", size=1),
    ],
    "a hard link to what is outside": [entry("hard", type=tarfile.LNKTYPE, linkname="../../etc/passwd")],
}


@pytest.mark.parametrize("started", [False, True], ids=["created", "running"])
@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE.keys())
async def test_archive_that_wants_out_gets_nowhere(
    api: Api, entries: list[tarfile.TarInfo], started: bool
) -> None:
    container = await api.create("sleep", "60")
    if started:
        await api.start(container)
    await put(api, container, "/tmp", directories("box", "victim"))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for one in entries:
            tar.addfile(one, io.BytesIO(b"x" * one.size))
    answer = await api.http.put(
        f"/containers/{container}/archive", params={"path": "/tmp/box"}, content=buffer.getvalue()
    )
    assert answer.status_code in (200, 400), answer.text
    for path in ("/tmp/victim/escaped", "/escaped", "/tmp/escaped"):
        gone = await api.http.head(f"/containers/{container}/archive", params={"path": path})
        assert gone.status_code == 404
    await api.remove(container, force=1)


def directories(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in names:
            tar.addfile(entry(name, type=tarfile.DIRTYPE, mode=0o755))
    return buffer.getvalue()


async def test_what_cannot_be_is_told_in_dockers_words(api: Api, daemon: Daemon) -> None:
    container = await api.create("sleep", "60", name="wordy")

    async def refusal(method: str, path: str, content: bytes = b"") -> tuple[int, str]:
        answer = await api.http.request(
            method, "/containers/wordy/archive", params={"path": path}, content=content
        )
        return answer.status_code, answer.json()["message"]

    assert await refusal("GET", "/nope") == (404, "Could not find the file /nope in container wordy")
    assert await refusal("PUT", "/etc/passwd", packed({"x": b""})) == (
        400,
        "extraction point is not a directory",
    )
    status, message = await refusal("PUT", "/tmp", gzip.compress(packed({"x": b"y" * 5000}))[:-20])
    assert (status, message) == (400, "the archive is cut short: unexpected EOF")
    assert (await refusal("GET", ""))[0] == 400
    async with docker_api(daemon) as docker:
        diff = await docker.get(f"/containers/{container}/changes")
    assert diff.status_code == 501
    assert "the image host stands for" in diff.json()["message"]
    await api.remove(container)


@pytest.mark.parametrize("task_dies", [False, True], ids=["its task lives", "its task is gone"])
async def test_files_survive_a_crash_of_the_daemon_before_the_start(
    cloud: Cloud, new_daemon: Callable[..., Daemon], task_dies: bool
) -> None:
    first = new_daemon()
    first.start()
    api = Api(first.socket)
    container = await api.create("sh", "-c", "cat /tmp/kept")
    await put(api, container, "/tmp", packed({"kept": b"kept\n"}))
    await api.http.aclose()
    if not task_dies:
        first.kill()
    else:
        await end_tasks(cloud, first)
        first.kill()
    second = new_daemon()
    second.start()
    api = Api(second.socket)
    await api.start(container)
    assert await api.wait(container) == 0
    assert (await api.logs(container))[0] == b"kept\n"
    assert list((second.folder / "uploads").iterdir()) == []
    await api.remove(container)
    await api.http.aclose()


async def end_tasks(cloud: Cloud, daemon: Daemon) -> None:
    """As if AWS had taken the machine away."""
    ecs = boto3.client(
        "ecs",
        endpoint_url=cloud.info.endpoint_url,
        region_name=cloud.info.region,
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    for task in cloud.tasks(daemon.instance):
        arn = task["taskArn"]
        await trio.to_thread.run_sync(
            partial(ecs.stop_task, cluster=cloud.info.cluster, task=arn, reason="behind your back")
        )


@asynccontextmanager
async def docker_api(daemon: Daemon) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_keepalive_connections=0)
    transport = httpx.AsyncHTTPTransport(uds=str(daemon.docker_socket), limits=limits)
    async with httpx.AsyncClient(transport=transport, base_url="http://docker", timeout=60) as client:
        yield client


async def test_what_was_made_of_an_image_is_told_and_exported(cloud: Cloud, api: Api, daemon: Daemon) -> None:
    built = image({"etc": File(folder=True), "etc/passwd": b"root:x:0:0::/:/x\n", "opt/tool": b"tool"})
    repository = f"{cloud.info.registry}/diffed"

    async def no_login(_registry: str, _refused: str) -> None:
        """The push brings its own."""

    async with RegistryClient({}, (), no_login) as client:
        await push(client, f"{repository}:latest", built)
    container = await api.create("/x", image=repository)
    async with docker_api(daemon) as docker:
        assert (await docker.get(f"/containers/{container}/changes")).json() in ([], None)
        await put(api, container, "/etc", packed({"new": b"new"}))
        await put(api, container, "/opt", packed({"tool": b"changed"}))
        changes = (await docker.get(f"/containers/{container}/changes")).json()
        exported = await docker.get(f"/containers/{container}/export")
    assert [(one["Kind"], one["Path"]) for one in changes] == [
        (0, "/etc"),
        (1, "/etc/new"),
        (0, "/opt"),
        (0, "/opt/tool"),
    ]
    assert exported.status_code == 200
    with tarfile.open(fileobj=io.BytesIO(exported.content)) as tar:
        assert {"etc/new", "etc/passwd", "opt/tool"} <= {name.lstrip("./") for name in tar.getnames()}
    await api.remove(container)
