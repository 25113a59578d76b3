"""What an image has is read from its layers, lowest first, by their names alone."""

from __future__ import annotations

import bz2
import gzip
import io
import random
import re
import sys
import tarfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import trio

from sockerless_ecs.errors import NotFound, Unavailable, Unimplemented
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import ImageContents, RegistryClient, Tree
from sockerless_ecs.registry import manifest as media
from sockerless_ecs.registry.layer_names import LayerNames
from tests.registry.content import CONFIG, Content, sha256, to_json
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def layer(*names: str | tarfile.TarInfo, format: int = tarfile.PAX_FORMAT) -> bytes:  # noqa: A002 - tarfile's name
    """A tar of these; what ends in a slash is a directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        for name in names:
            if isinstance(name, tarfile.TarInfo):
                entry = name
            else:
                entry = tarfile.TarInfo(name.rstrip("/") or "/")
                entry.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
                entry.size = 0 if entry.isdir() else 700
            tar.addfile(entry, io.BytesIO(bytes(entry.size)))
    return buffer.getvalue()


def paths(tree: Tree, below: str = "") -> Iterator[str]:
    for name in sorted(tree.names(below or "/")):
        yield f"{below}/{name}"
        yield from paths(tree, f"{below}/{name}")


def laid(*layers: bytes) -> list[str]:
    tree = Tree()
    for one in layers:
        names = LayerNames()
        names.feed(one)
        names.finish()
        tree.apply(names.entries)
    return list(paths(tree))


def published(content: Content, *layers: bytes, media_type: str = media.OCI_LAYER_GZIP, **config: Any) -> str:
    """The digest of an image's manifest."""
    data = to_json({**CONFIG, **config})
    descriptor = {"mediaType": media.OCI_CONFIG, "digest": content.blob(data), "size": len(data)}
    found = [{"mediaType": media_type, "digest": content.blob(one), "size": len(one)} for one in layers]
    document = {"schemaVersion": 2, "config": descriptor, "layers": found}
    return content.manifest(document, media.OCI_MANIFEST)


async def tree_of(client: RegistryClient, digest: str) -> Tree:
    return await ImageContents(client).tree("sha256:1", parse(f"alpine@{digest}"))


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstd.compress], ids=["plain", "gzip", "zstd"])
async def test_layers_are_laid_upon_each_other(
    registry: ScriptedRegistry, client: RegistryClient, compress: Callable[[bytes], bytes]
) -> None:
    registry.answer = content = Content()
    lower = layer("etc/", "etc/passwd", "etc/old", "usr/", "usr/bin/", "usr/bin/a", "usr/bin/b", "x")
    upper = layer("etc/", "etc/.wh.old", "usr/bin/.wh..wh..opq", "usr/bin/c", "x/", "x/y", ".wh.nothing")
    tree = await tree_of(client, published(content, compress(lower), compress(upper)))
    assert list(paths(tree)) == ["/etc", "/etc/passwd", "/usr", "/usr/bin", "/usr/bin/c", "/x", "/x/y"]
    assert tree.has("/usr/bin/c")
    assert tree.has("/")
    assert not tree.has("/usr/bin/a")
    assert not tree.names("/etc/passwd")
    assert not tree.names("/nowhere/at/all")


def test_whiteouts_take_from_the_layers_below_only_wherever_they_stand() -> None:
    assert laid(layer("d/", "d/a", "d/b"), layer("d/new", "d/.wh.a", "d/a", "d/.wh..wh..opq")) == [
        "/d",
        "/d/a",
        "/d/new",
    ]


def test_file_takes_the_place_of_a_directory_and_of_all_that_it_had() -> None:
    assert laid(layer("d/", "d/a"), layer("d")) == ["/d"]
    assert laid(layer("d/", "d/a"), layer("d/")) == ["/d", "/d/a"]


def test_directories_above_need_not_be_named() -> None:
    assert laid(layer("a/b/c")) == ["/a", "/a/b", "/a/b/c"]


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_odd_names_are_read_in_every_format(format: int) -> None:  # noqa: A002 - tarfile's name
    odd = ["a" * 300, "d/" + "ü" * 120, "new\nline", " space ", "./dot", "/absolute", "d/../up", "=1 2="]
    expected = sorted(
        ["/" + "a" * 300, "/d", "/d/" + "ü" * 120, "/new\nline", "/ space ", "/dot", "/absolute"]
    )
    found = sorted(laid(layer(*odd, format=format)))
    assert found == sorted([*expected, "/up", "/=1 2="])


def test_links_devices_and_sparse_files_are_names_like_others() -> None:
    entries = []
    for number, kind in enumerate([tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]):
        entry = tarfile.TarInfo(f"n{number}")
        entry.type, entry.linkname = kind, "elsewhere" * 20
        entries.append(entry)
    assert laid(layer(*entries, "after")) == ["/after", "/n0", "/n1", "/n2", "/n3"]


def test_old_sparse_files_with_maps_of_several_blocks_are_passed() -> None:
    block = bytearray(layer("sparse")[:512])
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[124:136] = b"00000001000\x00"
    block[482] = 1
    block[148:156] = b"        "
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    more = bytearray(512)
    more[504] = 1
    tar = bytes(block) + bytes(more) + bytes(512) + bytes(512) + layer("after")
    assert laid(tar) == ["/after", "/sparse"]


def test_file_of_more_than_eight_gigabytes_is_passed() -> None:
    big = tarfile.TarInfo("big")
    big.size = 9 << 30
    names = LayerNames()
    names.feed(big.tobuf(tarfile.PAX_FORMAT))
    piece = bytes(16 << 20)
    for _ in range(9 * 64):
        names.feed(piece)
    names.feed(layer("after"))
    names.finish()
    assert names.entries == [("/big", False), ("/after", False)]


def test_tar_may_come_in_pieces_of_any_size() -> None:
    tar = layer(*(f"d{n % 9}/{'x' * n}" for n in range(300)))
    chance = random.Random(3)
    names = LayerNames()
    position = 0
    while position < len(tar):
        size = chance.choice([1, 3, 511, 512, 513, 5000])
        names.feed(tar[position : position + size])
        position += size
    names.finish()
    assert [path for path, _ in names.entries] == [f"/d{n % 9}/{'x' * n}".rstrip("/") for n in range(300)]


def test_what_is_cut_short_is_refused_and_what_is_no_tar_too() -> None:
    tar = layer("a", "b")
    for end in (100, 512, 600, 1500):
        names = LayerNames()
        names.feed(tar[:end])
        with pytest.raises(Unavailable, match="cut short"):
            names.finish()
    with pytest.raises(Unavailable, match="no tar"):
        LayerNames().feed(b"x" * 4096)


def test_headers_that_are_broken_anywhere_never_break_the_reader() -> None:
    chance = random.Random(5)
    whole = layer("a" * 200, "d/", "d/" + "b" * 300, "c")
    for _ in range(400):
        tar = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            tar[chance.randrange(len(tar))] = chance.randrange(256)
        names = LayerNames()
        with suppress(Unavailable):
            names.feed(bytes(tar))
            names.finish()


def test_extended_header_that_would_fill_the_memory_is_refused() -> None:
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 2 << 20
    with pytest.raises(Unavailable, match="more than 1 MiB"):
        LayerNames().feed(entry.tobuf(tarfile.USTAR_FORMAT))


async def test_image_is_read_once_and_kept_while_there_is_room(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    registry.answer = content = Content()
    digests = [
        published(content, gzip.compress(layer(*(f"{image}-{n}" for n in range(10))))) for image in "abc"
    ]
    contents = ImageContents(client, kept_entries=25)
    reads = 0

    async def read(number: int) -> int:
        nonlocal reads
        before = len(registry.paths())
        tree = await contents.tree(f"sha256:{number}", parse(f"alpine@{digests[number]}"))
        assert len(list(paths(tree))) == 10
        return len(registry.paths()) - before

    assert await read(0) > 0
    assert await read(0) == 0
    assert await read(1) > 0
    assert await read(0) == 0
    assert await read(2) > 0  # and 1, the oldest, goes
    assert await read(0) == 0
    assert await read(1) > 0


async def test_several_who_ask_at_once_share_one_reading(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    registry.answer = content = Content()
    digest = published(content, gzip.compress(layer("a")))
    contents = ImageContents(client)
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(contents.tree, "sha256:1", parse(f"alpine@{digest}"))
    assert len([path for path in registry.paths() if "/blobs/" in path]) == 1


async def test_blob_that_is_not_what_its_digest_says_is_refused(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    registry.answer = content = Content()
    digest = published(content, one := gzip.compress(layer("a")))
    content.blobs[sha256(one)] = gzip.compress(layer("b"))
    with pytest.raises(Unavailable, match="does not match"):
        await tree_of(client, digest)


async def test_layer_that_is_corrupt_is_the_registrys_fault(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    registry.answer = content = Content()
    for bad in (
        gzip.compress(layer("a"))[:-20],
        gzip.compress(b"no tar" * 200),
        bz2.compress(b"no tar" * 200),
    ):
        with pytest.raises(Unavailable):
            await tree_of(client, published(content, bad))


async def test_layer_that_is_missing_says_so(registry: ScriptedRegistry, client: RegistryClient) -> None:
    registry.answer = content = Content()
    digest = published(content, one := gzip.compress(layer("a")))
    del content.blobs[sha256(one)]
    with pytest.raises(NotFound, match="missing in the registry"):
        await tree_of(client, digest)


async def test_layer_that_no_registry_may_have_cannot_be_listed(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    registry.answer = content = Content()
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    with pytest.raises(Unimplemented, match="not in its registry"):
        await tree_of(client, published(content, layer("a"), media_type=foreign))


async def test_blob_that_breaks_off_before_its_first_byte_is_asked_for_again(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    content = Content()
    digest = published(content, gzip.compress(layer("a")))
    failures = [Said(503), Said(500)]

    def flaky(asked: Asked) -> Said:
        return failures.pop() if "/blobs/" in asked.path and failures else content(asked)

    registry.answer = flaky
    assert list(paths(await tree_of(client, digest))) == ["/a"]


@pytest.mark.parametrize("ranges", [True, False])
async def test_blob_that_breaks_off_in_the_middle_is_taken_up_where_it_broke(
    registry: ScriptedRegistry, client: RegistryClient, ranges: bool
) -> None:
    """As often as it gets any further; a registry without ranges sends what is known once more."""
    content = Content()
    one = random.Random(1).randbytes(400_000)
    digest = published(content, one)
    asked_from: list[int] = []

    def broken(asked: Asked) -> Said:
        if "/blobs/" not in asked.path:
            return content(asked)
        wanted = re.fullmatch(r"bytes=([0-9]+)-", asked.headers.get("Range", "bytes=0-"))
        assert wanted is not None
        start = int(wanted[1])
        asked_from.append(start)
        end = start + 50_000
        if ranges and start:
            return Said(206, iter([one[start:end]]), {"Content-Length": str(len(one) - start)})
        return Said(200, iter([one[:end]]), {"Content-Length": str(len(one))})

    registry.answer = broken
    async with client.open_blob(parse(f"alpine@{digest}"), sha256(one)) as blob:
        assert b"".join([piece async for piece in blob]) == one
    assert len(asked_from) == 8
    assert asked_from == sorted(set(asked_from))


async def test_blob_that_gets_no_further_is_an_error(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    content = Content()
    one = random.Random(1).randbytes(400_000)
    digest = published(content, one)

    def broken(asked: Asked) -> Said:
        if "/blobs/" not in asked.path:
            return content(asked)
        return Said(200, iter([one[:300_000]]), {"Content-Length": str(len(one))})

    registry.answer = broken
    async with client.open_blob(parse(f"alpine@{digest}"), sha256(one)) as blob:
        with pytest.raises(Unavailable, match="cannot be reached"):
            _ = [piece async for piece in blob]


async def test_reader_that_leaves_a_blob_half_way_leaves_nothing_open(
    registry: ScriptedRegistry, client: RegistryClient
) -> None:
    content = Content()
    one = random.Random(1).randbytes(20_000_000)
    content.blob(one)
    registry.answer = content

    async def begin(pieces: AsyncIterator[bytes]) -> None:
        assert await anext(pieces)

    for _ in range(3):
        async with client.open_blob(parse("alpine"), sha256(one)) as blob:
            await begin(blob)
    assert registry.paths()
