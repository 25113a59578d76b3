"""Archives on both APIs: out of containers and into them."""

from __future__ import annotations

import base64
import io
import json
import tarfile

import pytest

from tests.http.conftest import Served
from tests.http.fake_backend import FakeBackend
from tests.http.wire import Wire

STAT = "x-docker-container-path-stat"


def packed(**files: bytes) -> bytes:
    """A tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def test_a_path_is_told_in_a_header(engine: Served, docker: Wire) -> None:
    await engine.backend.container()
    answer = await docker.ask("HEAD", "/containers/c/archive?path=/etc/name")
    assert answer.status == 200
    told = json.loads(base64.b64decode(answer.headers[STAT]))
    assert told == {
        "name": "name",
        "size": 11,
        "mode": 0o644,
        "mtime": "2023-11-14T22:13:20Z",
        "linkTarget": "",
    }
    folder = await docker.ask("HEAD", "/containers/c/archive?path=/etc")
    assert json.loads(base64.b64decode(folder.headers[STAT]))["mode"] == 1 << 31 | 0o755
    assert (await docker.ask("HEAD", "/containers/c/archive?path=/nope")).status == 404
    assert (await docker.ask("GET", "/containers/c/json")).status == 200


async def test_a_path_comes_out_as_a_tar_with_its_stat(engine: Served, docker: Wire) -> None:
    await engine.backend.container()
    engine.backend.containers.files.piece_bytes = 100
    answer = await docker.ask("GET", "/containers/c/archive?path=/etc/name")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/x-tar")
    assert json.loads(base64.b64decode(answer.headers[STAT]))["size"] == 11
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        content = tar.extractfile("name")
        assert content is not None
        assert content.read() == b"sockerless\n"


async def test_a_tar_that_is_cut_short_has_no_end(engine: Served, docker: Wire) -> None:
    await engine.backend.container()
    engine.backend.containers.files.piece_bytes = 100
    engine.backend.containers.files.broken = True
    await docker.send("GET", "/containers/c/archive?path=/etc")
    assert (await docker.head()).status == 200
    assert len(await docker.chunk()) == 100
    with pytest.raises(EOFError):
        await docker.chunk()


async def test_an_export_is_the_whole_file_system(engine: Served, docker: Wire) -> None:
    await engine.backend.container()
    answer = await docker.ask("GET", "/containers/c/export")
    assert answer.headers["content-type"] == "application/octet-stream"
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as tar:
        assert tar.getnames() == ["/"] or tar.getnames() == [""]


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_tar_is_unpacked_below_a_directory(engine: Served, docker: Wire, chunked: bool) -> None:
    await engine.backend.container()
    tar = packed(a=b"1" * 100_000)
    target = "/containers/c/archive?path=/etc&noOverwriteDirNonDir=1&copyUIDGID=true"
    if chunked:
        head = ("Content-Type: application/x-tar", "Transfer-Encoding: chunked")
        await docker.send("PUT", target, None, *head)
        for start in range(0, len(tar), 7777):
            piece = tar[start : start + 7777]
            await docker.stream.send_all(b"%x\r\n" % len(piece) + piece + b"\r\n")
        await docker.stream.send_all(b"0\r\n\r\n")
        answer = await docker.answer()
    else:
        answer = await docker.ask("PUT", target, tar)
    assert (answer.status, answer.body) == (200, b"")
    assert engine.backend.containers.files.content["/etc/a"] == b"1" * 100_000
    assert engine.backend.containers.files.written == [("/etc", True, True)]


async def test_only_the_internal_api_makes_missing_directories(
    engine: Served, docker: Wire, wire: Wire, backend: FakeBackend
) -> None:
    await engine.backend.container()
    refused = await docker.ask("PUT", "/containers/c/archive?path=/a/b/c", packed(x=b"1"))
    assert (refused.status, refused.message) == (404, "Could not find the file /a/b/c in container c")
    await backend.container()
    made = await wire.ask("PUT", "/internal/v1/containers/c/archive?path=/a/b/c", packed(x=b"1"))
    assert made.status == 200
    content = backend.containers.files.content
    assert {path: content[path] for path in ("/a", "/a/b", "/a/b/c", "/a/b/c/x")} == {
        "/a": None,
        "/a/b": None,
        "/a/b/c": None,
        "/a/b/c/x": b"1",
    }
    nowhere = await wire.ask("PUT", "/internal/v1/containers/nope/archive?path=/a", packed(x=b"1"))
    assert (nowhere.status, nowhere.message) == (404, "No such container: nope")
