"""A tar of a file system becomes an image of one layer in ECR, or nothing at all."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import sys
import tarfile
import tracemalloc
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import pytest
import trio

from sockerless_ecs.engine.values import ImportRequest, PullProgress
from sockerless_ecs.errors import InvalidParameter, NotFound, Unavailable
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer_upload import NO_FILES
from tests.cancelling import CancelAt
from tests.engine.bundles import layer
from tests.engine.loads import Loads, pieces
from tests.registry.scripted_registry import Said, scripted_registry
from tests.services.fake_files import FakeArchive

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILES = layer({"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "bin/sh": b"x" * 5000})
BIG = layer({"big": os.urandom(12 << 20)})
"""Three chunks."""


async def imported(
    loads: Loads, data: bytes = FILES, piece: int = 10_000, **wanted: object
) -> list[PullProgress]:
    request = ImportRequest(**{"source": "-", "repository": "imp", "tag": "1", **wanted})  # type: ignore[arg-type]
    async with aclosing(pieces(data, piece)) as body, loads.images.import_(request, body) as progress:
        return [line async for line in progress]


def nothing_recorded(loads: Loads) -> bool:
    names = [image.ref for image in loads.world.ledger.images.values()]
    return names == ["docker.io/library/alpine:latest"] and loads.world.told("image") == []


async def test_tar_becomes_an_image_of_one_layer(loads: Loads) -> None:
    changes = ("CMD ls -l", "ENV A=b", "EXPOSE 80", "ONBUILD RUN x", 'HEALTHCHECK --interval=5s CMD ["t"]')
    lines = await imported(loads, message="hello", changes=changes)
    image = loads.images.find("imp:1")
    assert lines == [PullProgress(status=image.id)]
    assert loads.files("imp:1") == [FILES]
    assert image.layers == (digest_of(FILES),)
    assert (image.architecture, image.os, image.comment) == ("amd64", "linux", "hello")
    assert (image.config.cmd, image.config.env) == (("/bin/sh", "-c", "ls -l"), ("A=b",))
    assert (image.config.exposed_ports, image.config.on_build) == (("80/tcp",), ("RUN x",))
    assert (image.digest, image.repository) == ("", f"{loads.ecr.registry}/loaded")
    assert (await loads.world.store.load()).images[image.ref] == image
    told = [(event.action, event.actor_id, event.attributes["name"]) for event in loads.world.told("image")]
    assert told == [("tag", image.id, "imp:1"), ("import", image.id, image.id)]


async def test_configuration_file_is_as_docker_makes_it(loads: Loads) -> None:
    await imported(loads, changes=("CMD []", "LABEL a=b", "HEALTHCHECK NONE"), platform="linux/arm64/v8")
    image = loads.images.find("imp:1")
    text = await loads.world.ledger.image_file(image.id)
    assert text is not None
    document = json.loads(text)
    created = document["created"]
    assert document == {
        "architecture": "arm64",
        "os": "linux",
        "variant": "v8",
        "created": created,
        "comment": "Imported from -",
        "config": {"Cmd": [], "Labels": {"a": "b"}, "Healthcheck": {"Test": ["NONE"]}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(FILES)]},
        "history": [{"created": created, "comment": "Imported from -"}],
    }
    assert image.created == created
    assert created.endswith("Z")


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
@pytest.mark.parametrize("piece", [7, 100_000])
async def test_compressed_tar_is_stored_unpacked(
    loads: Loads, compress: Callable[[bytes], bytes], piece: int
) -> None:
    await imported(loads, compress(FILES), piece)
    assert loads.files("imp:1") == [FILES]
    assert loads.images.find("imp:1").layers == (digest_of(FILES),)


async def test_large_tar_goes_in_chunks_and_comes_out_whole(loads: Loads) -> None:
    await imported(loads, BIG, 100_001)
    assert loads.files("imp:1") == [BIG]


async def test_image_without_a_name_is_known_by_its_id(loads: Loads) -> None:
    for tag in ("", "ignored"):
        [line] = await imported(loads, repository="", tag=tag, message=f"message {tag}")
        assert loads.images.find(line.status).nameless
    assert [event.action for event in loads.world.told("image")] == ["import", "import"]


async def test_tag_of_its_own_wins_over_the_one_in_the_name(loads: Loads) -> None:
    await imported(loads, repository="imp:2", tag="3")
    await imported(loads, repository="other:2", tag="")
    await imported(loads, repository="third", tag="")
    for name in ("imp:3", "other:2", "third:latest"):
        assert loads.images.find(name).layers == (digest_of(FILES),)


async def test_import_moves_the_name_and_keeps_the_image_that_had_it(loads: Loads) -> None:
    [first] = await imported(loads)
    [second] = await imported(loads, message="later")
    assert loads.images.find("imp:1").id == second.status
    assert loads.images.find(first.status).nameless


@pytest.mark.parametrize("body", [b"", bytes(512), bytes(1024), bytes(10240)])
async def test_tar_of_nothing_is_an_image_of_nothing(loads: Loads, body: bytes) -> None:
    """Docker takes an empty body for an empty tar; ECR takes no empty blob."""
    await imported(loads, body)
    assert loads.files("imp:1") == [body or NO_FILES]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"repository": "BAD"}, "must be lowercase"),
        ({"repository": "x@sha256:" + "1" * 64}, "cannot import digest reference"),
        ({"tag": "b d"}, "invalid tag format"),
        ({"repository": "sha256"}, "refusing to create an ambiguous tag"),
        ({"platform": "windows/amd64"}, "operating system is not supported"),
        ({"platform": "a/b/c/d"}, "invalid platform"),
        ({"changes": ("FROM x",)}, "FROM is not a valid change command"),
        ({"changes": ("ENV",)}, "ENV requires at least one argument"),
        ({"source": "ftp://x/y"}, 'unsupported protocol scheme "ftp"'),
        ({"source": "http://"}, "names no host"),
    ],
)
async def test_what_is_wrong_with_a_request_is_told_before_its_body_is_read(
    loads: Loads, wanted: dict[str, object], words: str
) -> None:
    request = ImportRequest(**{"source": "-", "repository": "imp", **wanted})  # type: ignore[arg-type]
    body = FakeArchive(None, [AssertionError("it was read")])
    with pytest.raises(InvalidParameter) as refused:
        async with loads.images.import_(request, body):
            raise AssertionError("it was entered")
    assert words in str(refused.value)
    assert nothing_recorded(loads)


def _sized(size: int) -> bytes:
    entry = tarfile.TarInfo("x")
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nonsense": (b"nonsense" * 1000, "the archive is no tar"),
    "a little nonsense": (b"nonsense", "cut short"),
    "cut in a header": (FILES[:600], "cut short"),
    "cut in a file": (FILES[:-8000], "cut short"),
    "a gzip cut short": (gzip.compress(FILES)[:-20], "cut short"),
    "a corrupt gzip": (b"\x1f\x8b\x08" + b"x" * 1000, "corrupt"),
    "a size below zero": (_sized(-1), "size below zero"),
    "a huge file that is not there": (_sized(1 << 50), "cut short"),
    "a tar in a tar's place": (b"BZh9" + b"x" * 600, "corrupt"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_is_no_whole_tar_is_refused_and_nothing_is_recorded(loads: Loads, what: str) -> None:
    data, words = HOSTILE[what]
    with pytest.raises(InvalidParameter) as refused:
        await imported(loads, data, 100_000)
    assert words in str(refused.value)
    assert nothing_recorded(loads)


async def test_body_that_breaks_off_is_told_and_nothing_is_recorded(loads: Loads) -> None:
    body = FakeArchive(None, [FILES[:1000], InvalidParameter("the request body is cut short")])
    async with loads.images.import_(ImportRequest(source="-", repository="imp"), body) as progress:
        with pytest.raises(InvalidParameter, match="the request body is cut short"):
            _ = [line async for line in progress]
    assert nothing_recorded(loads)


async def test_ecr_that_is_gone_is_not_the_client_s_fault(loads: Loads) -> None:
    loads.registry.close()
    with pytest.raises(Unavailable):
        await imported(loads, BIG)
    assert nothing_recorded(loads)


async def test_import_that_is_cancelled_at_any_step_records_nothing_or_all(loads: Loads) -> None:
    step = 0
    while nothing_recorded(loads):
        step += 1
        with trio.CancelScope() as scope, CancelAt(scope, step):
            await imported(loads)
    assert step > 10
    assert loads.files("imp:1") == [FILES]


async def test_file_from_the_web_is_imported_and_its_way_is_shown(loads: Loads) -> None:
    packed = gzip.compress(BIG, 1)
    with scripted_registry(lambda _: Said(200, packed)) as web:
        lines = await imported(loads, b"", source=f"{web.host}/x.tgz")
        image = loads.images.find("imp:1")
        assert [line.status for line in lines] == [
            f"Downloading from {web.url}/x.tgz",
            "Importing",
            "Importing",
            image.id,
        ]
        assert lines[1].current_bytes <= lines[1].total_bytes == len(packed)
        assert image.comment == f"Imported from {web.url}/x.tgz"
        assert loads.files("imp:1") == [BIG]


async def test_address_that_has_nothing_is_told_before_any_line(loads: Loads) -> None:
    with scripted_registry(lambda _: Said(404, b"no")) as web:
        with pytest.raises(NotFound, match=f"failed to GET {web.url}/x with status 404"):
            async with loads.images.import_(ImportRequest(source=f"{web.url}/x"), pieces(b"", 1)):
                raise AssertionError("it was entered")
        assert nothing_recorded(loads)


async def test_what_an_address_says_that_is_no_tar_is_told_to_nobody(loads: Loads) -> None:
    """The daemon may reach what its clients may not, credentials of its own among it."""
    with scripted_registry(lambda _: Said(200, b'{"SecretAccessKey": "abc"}' * 100)) as web:
        with pytest.raises(InvalidParameter) as refused:
            await imported(loads, b"", source=web.url)
        assert "Secret" not in str(refused.value)
        assert nothing_recorded(loads)


async def test_memory_does_not_grow_with_the_tar_or_its_number_of_files(loads: Loads) -> None:
    head, zeros = _sized(32 << 20), bytes(1 << 16)
    small = tarfile.TarInfo("a/file/with/a/name").tobuf(tarfile.USTAR_FORMAT) * 128

    async def body() -> AsyncGenerator[bytes, None]:
        yield head
        for _ in range(32 << 4):
            yield zeros
        for _ in range(100):
            yield small

    request = ImportRequest(source="-", repository="imp")
    tracemalloc.start()
    try:
        async with aclosing(body()) as files, loads.images.import_(request, files) as progress:
            _ = [line async for line in progress]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert loads.images.find("imp").size_bytes > 38 << 20
    assert peak < 24 << 20
