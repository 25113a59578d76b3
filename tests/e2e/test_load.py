"""An image comes in as a tar and runs as a task."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.e2e.world import Api, Daemon
from tests.engine.bundles import Member, Parts, archive, layer, layout, parts, tarred
from tests.images import go_program

PROGRAM = """package main

import (
\t"fmt"
\t"os"
)

func main() {
\tdata, _ := os.ReadFile("/from/second")
\tfmt.Printf("%s %s", os.Args[1], data)
\tos.Exit(7)
}
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    """A static program in one layer, its data in another, which is there twice."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "main.go").write_text(PROGRAM)
    program = go_program(folder, folder / "program")
    data = layer({"from/second": b"data"})
    return parts([layer({"program": program}), data, data], config={"Entrypoint": ["/program"]})


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        yield data[start : start + 50_000]


async def load(socket: Path, members: list[Member], query: str = "?quiet=0") -> list[dict[str, str]]:
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(socket)), base_url="http://docker", timeout=60
    ) as client:
        answer = await client.post(f"/v1.44/images/load{query}", content=pieces(tarred(members)))
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize(
    ("tag", "form"),
    [
        ("archive.example/a:1", "docker-archive"),
        ("docker.io/library/both:latest", "since 25"),
        ("oci.example/b:2", "OCI layout"),
        ("oci.example/c:3", "OCI layout with an index"),
    ],
)
async def test_a_loaded_image_runs(api: Api, daemon: Daemon, loaded: Parts, tag: str, form: str) -> None:
    members = {
        "docker-archive": lambda: archive(loaded, tag),
        "since 25": lambda: layout(loaded, tag, saved_by_docker=True),
        "OCI layout": lambda: layout(loaded, tag),
        "OCI layout with an index": lambda: layout(loaded, tag, index=True),
    }[form]()
    said = await load(daemon.docker_socket, members)
    assert said[-1] == {"stream": f"Loaded image: {tag.removeprefix('docker.io/library/')}\n"}
    shown = await api.call("GET", "/images/inspect", name=tag)
    assert (shown["Id"], len(shown["RootFS"]["Layers"])) == (loaded.id, 3)
    container = await api.create("word", image=tag)
    await api.start(container)
    assert await api.wait(container) == 7
    assert await api.logs(container) == (b"word data", b"")
    assert (await api.inspect(container))["Image"] == loaded.id
    await api.remove(container)
    await api.call("DELETE", f"/images/{tag.replace('/', '%2F')}")


async def test_an_image_without_a_name_is_run_by_its_id(api: Api, daemon: Daemon, loaded: Parts) -> None:
    said = await load(daemon.docker_socket, archive(loaded), "")
    assert said == [{"stream": f"Loaded image ID: {loaded.id}\n"}]
    container = await api.run("word", image=loaded.id)
    assert await api.wait(container) == 7
    await api.remove(container)
    await api.call("DELETE", f"/images/{loaded.id}")


async def test_names_of_a_loaded_image_last_over_a_restart(
    new_daemon: Callable[[], Daemon], loaded: Parts
) -> None:
    """The record says where the image really is, whatever it is called."""
    daemon = new_daemon()
    daemon.start()
    await load(daemon.docker_socket, archive(loaded, "a:1"))
    api = Api(daemon.socket)
    await api.call("POST", "/images/tag", name="a:1", repo="other.example/b", tag="2")
    await api.call("DELETE", "/images/a:1")
    assert daemon.stop() == 0
    daemon.start()
    container = await api.run("again", image="other.example/b:2")
    assert await api.wait(container) == 7
    await api.remove(container)
    await api.http.aclose()
    assert daemon.stop() == 0


async def test_what_is_no_image_leaves_no_image(api: Api, daemon: Daemon) -> None:
    before = await api.call("GET", "/images")
    for body in (b"nonsense", b"", tarred([("manifest.json", b"[]")]), b"\x1f\x8b\x08bad"):
        answer = await api.http.post("/images/load", content=body)
        assert answer.status_code == 400, body
    assert await api.call("GET", "/images") == before
