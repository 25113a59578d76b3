"""Tars become images in ECR, or nothing at all."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import tracemalloc
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from sockerless_ecs.errors import InvalidParameter, Unavailable
from sockerless_ecs.registry.digest import digest_of
from tests.engine.bundles import (
    Member,
    Parts,
    archive,
    as_json,
    blob_name,
    layer,
    layout,
    parts,
    symlink,
    tarred,
)
from tests.engine.loads import Loads

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SMALL = layer({"a": b"a"})
BIG = layer({"big": os.urandom(12 << 20)})
"""Three chunks."""
IMAGE = parts([BIG, SMALL, SMALL], config={"Cmd": ["/a"], "Labels": {"x": "y"}})


FORMS: dict[str, Callable[[Parts], Sequence[Member]]] = {
    "docker-archive": lambda image: archive(image, "tool:1"),
    "OCI layout": lambda image: layout(image, "docker.io/library/tool:1"),
    "OCI layout with an index": lambda image: layout(image, "docker.io/library/tool:1", index=True),
    "docker save since 25": lambda image: layout(image, "tool:1", saved_by_docker=True),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("order", ["as it is", "backwards"])
async def test_every_form_in_any_order_is_loaded(loads: Loads, form: str, order: str) -> None:
    members = list(FORMS[form](IMAGE))
    data = tarred(members if order == "as it is" else members[::-1])
    assert await loads.load(data) == ["Loaded image: tool:1\n"]
    image = loads.images.find("tool:1")
    assert (image.id, image.config.cmd, image.config.labels) == (IMAGE.id, ("/a",), {"x": "y"})
    assert (image.digest, image.repository) == ("", f"{loads.ecr.registry}/loaded")
    assert image.layers == tuple(digest_of(one) for one in IMAGE.layers)
    assert image.size_bytes == sum(map(len, IMAGE.layers))
    assert loads.files("tool:1") == list(IMAGE.layers)
    assert [event.action for event in loads.world.told("image")] == ["load"]
    assert (await loads.world.store.load()).images[image.ref] == image


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
@pytest.mark.parametrize("prefix", ["", "./"])
async def test_a_compressed_tar_is_loaded_too(
    loads: Loads, compress: Callable[[bytes], bytes], prefix: str
) -> None:
    image = parts([SMALL])
    assert await loads.load(compress(tarred(archive(image, "a:1"), prefix=prefix)), 77) == [
        "Loaded image: a:1\n"
    ]
    assert loads.files("a:1") == [SMALL]


@pytest.mark.parametrize("size", ["small", "big"])
@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress])
async def test_compressed_layers_stay_as_they_are(
    loads: Loads, size: str, compress: Callable[[bytes, int], bytes]
) -> None:
    plain = SMALL if size == "small" else BIG
    squeezed = compress(plain, 1)
    image = parts([squeezed], [digest_of(plain)])
    await loads.load(tarred(archive(image, "a:1")))
    assert loads.files("a:1") == [squeezed]


async def test_progress_is_told_for_what_takes_long(loads: Loads) -> None:
    lines = await loads.lines(tarred(layout(parts([BIG]), "docker.io/library/a:1")))
    bars = [(line.current_bytes, line.total_bytes, line.id) for line in lines if line.status]
    short = digest_of(BIG).removeprefix("sha256:")[:12]
    assert bars == [(min(n * (5 << 20), len(BIG)), len(BIG), short) for n in (1, 2, 3)]


async def test_layers_that_ecr_has_are_not_sent_again(loads: Loads) -> None:
    """The name says what they are; the layer of the second image is never uploaded."""
    await loads.load(tarred(layout(parts([BIG]), "docker.io/library/a:1")))
    other = parts([BIG], config={"Cmd": ["/b"]})
    lines = await loads.lines(tarred(layout(other, "docker.io/library/b:1")))
    assert len(lines) == 1
    assert loads.files("b:1") == [BIG]


async def test_an_image_may_have_several_names_or_none(loads: Loads) -> None:
    image = parts([SMALL])
    said = await loads.load(tarred(archive(image, "a:1", "registry.example/b:2")))
    assert said == ["Loaded image: a:1\n", "Loaded image: registry.example/b:2\n"]
    other = parts([SMALL], config={"Cmd": ["/b"]})
    assert await loads.load(tarred(archive(other))) == [f"Loaded image ID: {other.id}\n"]
    assert loads.images.find(other.id).nameless
    assert loads.files(other.id) == [SMALL]


def several(**images: Parts) -> bytes:
    """One tar of images, each by its name."""
    members = [one for image in images.values() for one in archive(image) if one[0] != "manifest.json"]
    saved = [
        {"Config": f"{image.id[7:]}.json", "RepoTags": [f"{name}:1"], "Layers": [archive(image)[2][0]]}
        for name, image in images.items()
    ]
    return tarred([*members, ("manifest.json", as_json(saved))])


async def test_one_tar_may_hold_several_images(loads: Loads) -> None:
    images = {name: parts([SMALL], config={"Cmd": [name]}) for name in ("a", "b")}
    assert await loads.load(several(**images)) == ["Loaded image: a:1\n", "Loaded image: b:1\n"]
    assert [loads.images.find(f"{name}:1").id for name in images] == [image.id for image in images.values()]


@pytest.mark.parametrize(
    ("platform", "loaded"), [("linux/arm64", ["arm"]), ("linux/amd64", ["amd"]), (None, ["amd", "arm"])]
)
async def test_a_load_takes_only_what_is_for_the_platform_that_was_asked_for(
    loads: Loads, platform: str | None, loaded: list[str]
) -> None:
    tar = several(amd=parts([SMALL]), arm=parts([SMALL], architecture="arm64"))
    await loads.load(tar, platform=platform)
    names = sorted(name for name in loads.world.ledger.images if name != "docker.io/library/alpine:latest")
    assert names == [f"docker.io/library/{name}:1" for name in loaded]
    with pytest.raises(InvalidParameter, match="the archive has no image for linux/riscv64"):
        await loads.load(tar, platform="linux/riscv64")


async def test_a_load_moves_the_name_and_keeps_the_image_that_had_it(loads: Loads) -> None:
    first, second = parts([SMALL]), parts([SMALL], config={"Cmd": ["/b"]})
    for image in (first, second):
        await loads.load(tarred(archive(image, "a:1")))
    assert loads.images.find("a:1").id == second.id
    assert loads.images.find(first.id).nameless
    assert loads.files(first.id) == [SMALL]


def _saved(**changes: object) -> bytes:
    image = parts([SMALL])
    members = dict(archive(image, "a:1"))
    raw = members["manifest.json"]
    assert isinstance(raw, bytes)
    [saved] = json.loads(raw)
    members["manifest.json"] = as_json([{**saved, **changes}])
    return tarred(list(members.items()))


def _link(name: str, target: str, *, hard: bool = False) -> bytes:
    return tarred([(name, symlink(name, target, hard=hard)), *archive(parts([SMALL]), "a:1")])


def _device() -> bytes:
    entry = tarfile.TarInfo("null")
    entry.type = tarfile.CHRTYPE
    return tarred([("null", entry)])


def _long_name() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo("x" * (2 << 20)))
    return buffer.getvalue()


def _layout_without(missing: bytes) -> bytes:
    image = parts([SMALL])
    return tarred([one for one in layout(image, "docker.io/library/a:1") if one[1] != missing])


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "unexpected EOF"),
    "nonsense": (lambda: b"nonsense" * 1000, "not a tar archive"),
    "no image": (lambda: tarred([("a", b"b")]), "neither manifest.json nor index.json"),
    "an empty list": (lambda: tarred([("manifest.json", b"[]")]), "no image in it"),
    "a broken manifest": (lambda: tarred([("manifest.json", b"[{]")]), "invalid archive: manifest.json"),
    "a deep manifest": (lambda: tarred([("manifest.json", b"[" * 50_000)]), "invalid archive: manifest.json"),
    "cut short": (lambda: tarred(archive(parts([SMALL]), "a:1"))[:4000], "unexpected EOF"),
    "a gzip cut short": (lambda: gzip.compress(tarred(archive(parts([SMALL]), "a:1")))[:-20], "cut short"),
    "a corrupt gzip": (lambda: b"\x1f\x8b\x08" + b"x" * 1000, "corrupt"),
    "an absolute name": (lambda: tarred([("/etc/passwd", b"x")]), "leads out of the archive"),
    "a name that climbs": (lambda: tarred([("a/../../b", b"x")]), "leads out of the archive"),
    "a link that climbs": (lambda: _link("a/layer.tar", "../../etc/passwd"), "leads out of the archive"),
    "an absolute link": (lambda: _link("a/layer.tar", "/etc/passwd"), "leads out of the archive"),
    "a hard link that climbs": (lambda: _link("a", "../b", hard=True), "leads out of the archive"),
    "links without end": (
        lambda: tarred(
            [("manifest.json", symlink("manifest.json", "b")), ("b", symlink("b", "manifest.json"))]
        ),
        "links have no end",
    ),
    "a device": (_device, "neither file, folder nor link"),
    "a huge name": (_long_name, "extended header"),
    "too many entries": (lambda: tarred([(f"f{n}", b"") for n in range(10_001)]), "more than 10000 entries"),
    "a huge manifest": (
        lambda: tarred([(f"{n}.json", b"{" + b" " * (3 << 20)) for n in range(3)]),
        "more than 8 MiB of metadata",
    ),
    "a missing configuration": (lambda: _saved(Config="nosuch.json"), "nosuch.json is missing"),
    "a missing layer": (lambda: _saved(Layers=["nosuch/layer.tar"]), "nosuch/layer.tar is missing"),
    "a layer out of the archive": (lambda: _saved(Layers=["/etc/passwd"]), "/etc/passwd is missing"),
    "too few layers": (lambda: _saved(Layers=[]), "layers length mismatch: expected 0, got 1"),
    "a layer that is none": (lambda: _saved(Layers=["manifest.json"]), "manifest.json is no layer"),
    "a name that is none": (lambda: _saved(RepoTags=["UPPER:1"]), "must be lowercase"),
    "a name without a tag": (lambda: _saved(RepoTags=["a"]), 'invalid tag "a"'),
    "a wrong diff id": (
        lambda: tarred(archive(parts([SMALL], ["sha256:" + "1" * 64]), "a:1")),
        "invalid diffID for layer 0",
    ),
    "a wrong diff id of what is compressed": (
        lambda: tarred(archive(parts([zstd.compress(SMALL)], ["sha256:" + "1" * 64]), "a:1")),
        "invalid diffID for layer 0",
    ),
    "a wrong diff id in a layout": (
        lambda: tarred(layout(parts([SMALL], ["sha256:" + "1" * 64]), "docker.io/library/a:1")),
        "invalid diffID for layer 0",
    ),
    "a large wrong diff id in a layout": (
        lambda: tarred(layout(parts([BIG], ["sha256:" + "1" * 64]), "docker.io/library/a:1")),
        "invalid diffID for layer 0",
    ),
    "a wrong digest": (
        lambda: tarred([(blob_name(b"other"), b"{}"), ("index.json", b"{}")]),
        "something else under this digest",
    ),
    "a large wrong digest": (
        lambda: tarred([(blob_name(b"other"), BIG), ("index.json", b"{}")]),
        "something else under this digest",
    ),
    "a missing blob": (lambda: _layout_without(SMALL), f"blob {digest_of(SMALL)} is missing"),
    "another system": (
        lambda: tarred(archive(parts([SMALL], os="windows"), "a:1")),
        'image operating system "windows" cannot be used',
    ),
    "a configuration that is none": (
        lambda: tarred(archive(Parts(b"[]", []), "a:1")),
        "its configuration cannot be read",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_what_is_no_image_is_refused_and_nothing_is_recorded(loads: Loads, what: str) -> None:
    make, words = HOSTILE[what]
    before = dict(loads.world.ledger.images)
    with pytest.raises(InvalidParameter) as refused:
        await loads.load(make())
    assert words in str(refused.value)
    assert loads.world.ledger.images == before
    assert loads.registry.resolve("host", "amd64").is_host
    assert loads.world.told("image") == []


async def test_of_two_images_of_which_one_is_broken_none_is_recorded(loads: Loads) -> None:
    good = archive(parts([SMALL]), "a:1")
    raw = good[-2][1]
    assert isinstance(raw, bytes)
    bad = {"Config": "nosuch.json", "RepoTags": ["b:1"], "Layers": []}
    members = [*good[:-2], ("manifest.json", as_json([*json.loads(raw), bad]))]
    with pytest.raises(InvalidParameter):
        await loads.load(tarred(members))
    assert [image.ref for image in loads.world.ledger.images.values()] == ["docker.io/library/alpine:latest"]


async def test_ecr_that_is_gone_is_not_the_client_s_fault(loads: Loads) -> None:
    loads.registry.close()
    with pytest.raises(Unavailable):
        await loads.load(tarred(archive(IMAGE, "a:1")))
    assert "docker.io/library/a:1" not in loads.world.ledger.images


async def test_memory_does_not_grow_with_the_layer(loads: Loads) -> None:
    """A hundred MiB pass through; what is held of them is some chunks."""
    size = 100 << 20
    outer, inner = tarfile.TarInfo("blobs/layer"), tarfile.TarInfo("zeros")
    outer.size, inner.size = size, size - 512

    async def body() -> AsyncIterator[bytes]:
        yield outer.tobuf() + inner.tobuf(tarfile.USTAR_FORMAT)
        zeros = bytes(1 << 16)
        for left in range(size - 512, 0, -len(zeros)):
            yield zeros[:left]
        yield tarred([("manifest.json", b"[]")])

    async def load() -> None:
        async with loads.images.load(body()) as progress:
            async for _ in progress:
                pass

    tracemalloc.start()
    try:
        with pytest.raises(InvalidParameter, match="no image in it"):
            await load()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20
