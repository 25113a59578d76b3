"""What is saved is one tar that every loader reads, or one that everybody sees is cut short."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio

from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unavailable, Unimplemented
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_MANIFEST
from tests.engine.bundles import archive, as_json, descriptor, layer, layout, parts, tarred
from tests.engine.loads import Loads
from tests.images import ANY_LOGIN

SMALL = layer({"a": b"a"})
BIG = layer({"big": os.urandom(3 << 20)})
IMAGE = parts([BIG, SMALL], config={"Cmd": ["/a"]})
OTHER = parts([BIG], config={"Cmd": ["/b"]})


async def save(loads: Loads, *names: str) -> bytes:
    async with loads.images.save(names) as pieces:
        return b"".join([piece async for piece in pieces])


def files(tar: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        assert opened.getnames() == list(dict.fromkeys(opened.getnames())), "each file once"
        found = {}
        for entry in opened:
            content = opened.extractfile(entry)
            if content is not None:
                found[entry.name] = content.read()
        return found


def saved(tar: bytes) -> list[tuple[str, Sequence[str] | None]]:
    """The images by their ids and tags."""
    listed = json.loads(files(tar)["manifest.json"]) or []
    return [(f"sha256:{one['Config'].rpartition('/')[2]}", one["RepoTags"]) for one in listed]


async def test_a_saved_image_is_loaded_as_it_was(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    before = loads.images.find("tool:1")
    tar = await save(loads, "tool:1")
    await loads.images.remove("tool:1")
    assert await loads.load(tar) == ["Loaded image: tool:1\n"]
    assert replace(loads.images.find("tool:1"), pulled_ns=before.pulled_ns) == before
    assert loads.files("tool:1") == list(IMAGE.layers)
    events = [(event.action, event.actor_id) for event in loads.world.told("image")]
    assert ("save", IMAGE.id) in events


async def test_an_image_of_another_platform_is_not_what_was_asked_for(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    images = loads.images
    words = r"image with reference tool:1 was found but its platform \(linux/amd64\) does not match"
    with pytest.raises(NotFound, match=words):
        async with images.save(["tool:1"], "linux/arm64"):
            pass
    with pytest.raises(NotFound, match=words):
        async with images.push("tool", "1", None, "linux/arm64") as progress:
            _ = [line async for line in progress]
    for asked in (
        images.inspect("tool:1", "linux/arm64"),
        images.history("tool:1", "linux/arm64"),
        images.remove("tool:1", force=True, platforms=["linux/amd64", "linux/arm64"]),
    ):
        with pytest.raises(NotFound, match=words):
            await asked
    async with images.save(["tool:1"], "linux/amd64") as pieces:
        assert saved(b"".join([piece async for piece in pieces])) == [(IMAGE.id, ["tool:1"])]
    assert await images.history("tool:1", "linux") == await images.history("tool:1")
    await images.remove("tool:1", platforms=["linux/amd64"])


async def test_the_tar_is_an_oci_layout_and_a_docker_archive(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    found = files(await save(loads, "tool:1"))
    for name, data in found.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{digest_of(data).removeprefix('sha256:')}"
    [entry] = json.loads(found["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "docker.io/library/tool:1",
        "org.opencontainers.image.ref.name": "1",
    }
    manifest = json.loads(found[f"blobs/sha256/{entry['digest'][7:]}"])
    assert [one["digest"] for one in manifest["layers"]] == [digest_of(one) for one in IMAGE.layers]
    [listed] = json.loads(found["manifest.json"])
    assert [found[name] for name in listed["Layers"]] == list(IMAGE.layers)
    assert found[listed["Config"]] == IMAGE.config
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(found["repositories"]) == {"tool": {"1": digest_of(SMALL)[7:]}}


async def test_what_images_share_is_in_the_tar_once(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "a:1")))
    await loads.load(tarred(archive(OTHER, "b:1")))
    tar = await save(loads, "a:1", "b:1")
    assert saved(tar) == [(IMAGE.id, ["a:1"]), (OTHER.id, ["b:1"])]
    assert len(tar) < len(BIG) + 50_000


async def test_names_mean_what_they_mean_to_docker(loads: Loads) -> None:
    """A repository is all its tags, an id has none, and nothing is saved twice."""
    await loads.load(tarred(archive(IMAGE, "tool:1", "tool:2", "other:1")))
    assert saved(await save(loads, "tool")) == [(IMAGE.id, ["tool:1", "tool:2"])]
    assert saved(await save(loads, "tool:2", "other:1", "tool:2")) == [(IMAGE.id, ["tool:2", "other:1"])]
    for name in (IMAGE.id, IMAGE.id[7:19]):
        assert saved(await save(loads, name)) == [(IMAGE.id, None)]
    assert saved(await save(loads, IMAGE.id, "tool:1")) == [(IMAGE.id, ["tool:1"])]
    assert saved(await save(loads)) == []


async def test_compressed_layers_stay_as_they_are(loads: Loads) -> None:
    squeezed = gzip.compress(BIG, 1)
    image = parts([squeezed], [digest_of(BIG)])
    await loads.load(tarred(layout(image, "docker.io/library/a:1")))
    [listed] = json.loads(files(await save(loads, "a:1"))["manifest.json"])
    assert listed["Layers"] == [f"blobs/sha256/{digest_of(squeezed)[7:]}"]


@pytest.mark.parametrize(
    ("names", "kind", "words"),
    [
        (["nosuch:1"], NotFound, "reference does not exist"),
        (["nosuch"], NotFound, "No such image: nosuch"),
        (["tool:1", "nosuch"], NotFound, "No such image: nosuch"),
        (["f" * 64], NotFound, "No such image"),
        (["UPPER"], InvalidParameter, "must be lowercase"),
    ],
)
async def test_what_is_not_there_is_told_before_the_tar(
    loads: Loads, names: list[str], kind: type[SockerlessError], words: str
) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    with pytest.raises(kind, match=words):
        async with loads.images.save(names):
            raise AssertionError("it begins")


async def test_a_registry_that_has_gone_is_told_before_the_tar(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    loads.registry.close()
    with pytest.raises(Unavailable):
        await save(loads, "tool:1")


async def test_a_layer_that_is_not_what_it_is_called_ends_the_tar(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    damaged = loads.registry._storage.blob_path(digest_of(BIG))
    damaged.write_bytes(bytes(len(BIG)))
    read: list[bytes] = []

    async def reading() -> None:
        async with loads.images.save(["tool:1"]) as pieces:
            async for piece in pieces:
                read.append(piece)  # noqa: PERF401 - what was read before it broke

    with pytest.raises(Unavailable, match="does not match"):
        await reading()
    assert read
    assert b"manifest.json" not in b"".join(read)
    assert "save" not in [event.action for event in loads.world.told("image")]


async def test_a_layer_that_only_its_maker_may_have_cannot_be_saved(loads: Loads) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    document = as_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json", OTHER.config),
            "layers": [descriptor(foreign, BIG)],
        }
    )
    reference = parse(f"{loads.ecr.registry}/windows:1")
    target = loads.client.repository(reference, ANY_LOGIN)
    for blob in (OTHER.config, BIG):
        await target.push_blob(digest_of(blob), blob)
    await target.push_manifest("1", OCI_MANIFEST, document)
    async with loads.images.pull(str(reference.full), None) as progress:
        assert [line async for line in progress]
    with pytest.raises(Unimplemented, match="only its maker's registry"):
        await save(loads, str(reference.full))


async def test_who_leaves_half_way_leaves_nothing_open(loads: Loads) -> None:
    await loads.load(tarred(archive(IMAGE, "tool:1")))
    for _ in range(3):
        async with loads.images.save(["tool:1"]) as pieces:
            async for piece in pieces:
                if len(piece) > 10_000:
                    break
    assert saved(await save(loads, "tool:1"))


async def test_memory_does_not_grow_with_the_layers(loads: Loads) -> None:
    image = parts([layer({"zeros": bytes(64 << 20)})])
    await loads.load(tarred(archive(image, "a:1")))
    tracemalloc.start()
    try:
        async with loads.images.save(["a:1"]) as pieces:
            size = sum([len(piece) async for piece in pieces])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 64 << 20
    assert peak < 16 << 20


async def test_readers_that_stall_keep_nobody_from_the_registries(loads: Loads) -> None:
    """However many saves wait for their clients, a push and a pull go on."""
    await loads.load(tarred(archive(IMAGE, "tool:1", f"{loads.ecr.registry}/pushed:1")))
    stalled = 0

    async def stall(*, task_status: trio.TaskStatus[None]) -> None:
        nonlocal stalled
        async with loads.images.save(["tool:1"]) as pieces:
            async for piece in pieces:
                if len(piece) > 10_000:
                    break
            stalled += 1
            task_status.started()
            await trio.sleep_forever()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                await nursery.start(stall)
            async with loads.images.push(f"{loads.ecr.registry}/pushed", "1", None) as progress:
                assert [line async for line in progress][-1].pushed
            async with loads.images.pull(f"{loads.ecr.registry}/pushed:1", None) as progress:
                assert [line async for line in progress]
            nursery.cancel_scope.cancel()
    assert stalled == 50
