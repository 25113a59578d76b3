"""Layers whose length nobody knows become blobs, under the digest that they turn out to have."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest
import trio

from sockerless_ecs.errors import InvalidParameter, Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import RegistryClient, RepositoryTarget
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer_upload import NO_FILES, LayerUpload, SentLayer
from sockerless_ecs.registry.manifest import OCI_LAYER, OCI_LAYER_GZIP
from sockerless_ecs.registry.upload import CHUNK_BYTES
from sockerless_ecs.sandbox.registry import Registry
from tests.images import ANY_LOGIN
from tests.registry.conftest import QUICK, no_login
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry

CONTENT = os.urandom(2 * CHUNK_BYTES + 1000)


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[tuple[Registry, int]]:
    registry = Registry(tmp_path)
    yield registry, registry.serve()
    registry.close()


@pytest.fixture
async def stored(storage: tuple[Registry, int]) -> AsyncIterator[RepositoryTarget]:
    async with RegistryClient({}, (), no_login, retries=QUICK) as client:
        yield client.repository(parse(f"127.0.0.1:{storage[1]}/x"), ANY_LOGIN)


async def send(
    target: RepositoryTarget, content: bytes, piece: int = 1 << 20, kind: str = OCI_LAYER
) -> SentLayer:
    upload = LayerUpload(target, kind, "the layer")
    for start in range(0, len(content), piece):
        await upload.feed(content[start : start + piece])
    return await upload.finish()


@pytest.mark.parametrize("piece", [1000, CHUNK_BYTES, len(CONTENT)])
async def test_pieces_of_any_size_become_one_blob(stored: RepositoryTarget, piece: int) -> None:
    layer = await send(stored, CONTENT, piece)
    assert layer.descriptor == Descriptor(digest=digest_of(CONTENT), size=len(CONTENT), media_type=OCI_LAYER)
    assert layer.diff_id == digest_of(CONTENT)
    assert await stored.has_blob(digest_of(CONTENT))


async def test_compressed_layer_stays_so_and_its_content_is_known(stored: RepositoryTarget) -> None:
    packed = gzip.compress(CONTENT, 1)
    layer = await send(stored, packed, kind=OCI_LAYER_GZIP)
    assert (layer.descriptor.digest, layer.diff_id) == (digest_of(packed), digest_of(CONTENT))
    assert await stored.has_blob(digest_of(packed))


async def test_nothing_at_all_becomes_the_tar_without_files(stored: RepositoryTarget) -> None:
    """ECR refuses an upload of no bytes."""
    layer = await send(stored, b"")
    assert (layer.diff_id, layer.descriptor.size) == (digest_of(NO_FILES), len(NO_FILES))
    assert await stored.has_blob(digest_of(NO_FILES))


async def test_layer_that_is_corrupt_becomes_no_blob(stored: RepositoryTarget) -> None:
    broken = b"\x1f\x8b\x08" + bytes(CHUNK_BYTES)
    with pytest.raises(InvalidParameter, match=r"^the layer: the layer is corrupt"):
        await send(stored, broken, kind=OCI_LAYER_GZIP)
    assert not await stored.has_blob(digest_of(broken))


def _stages() -> range:
    """The requests of one upload, and one too many."""
    return range(6)


@pytest.mark.parametrize("stage", _stages())
async def test_registry_that_fails_on_the_way_is_told_as_such(
    client: RegistryClient, registry: ScriptedRegistry, stage: int
) -> None:
    asked = count()

    def answer(request: Asked) -> Said:
        if next(asked) >= stage:
            return Said(500)
        location = {"Location": "/v2/me/x/blobs/uploads/1"}
        return Said(201 if request.method == "PUT" else 202, b"", location)

    registry.answer = answer
    target = client.repository(parse("me/x"), ANY_LOGIN)
    if stage == _stages().stop - 1:
        assert (await send(target, CONTENT)).descriptor.size == len(CONTENT)
        return
    with pytest.raises(Unavailable):
        await send(target, CONTENT)


async def test_cancelled_upload_stops_and_makes_no_blob(stored: RepositoryTarget) -> None:
    upload = LayerUpload(stored, OCI_LAYER, "the layer")
    with trio.CancelScope() as scope:
        scope.cancel()
        await upload.feed(CONTENT)
    assert scope.cancelled_caught
    assert not await stored.has_blob(digest_of(CONTENT))


async def test_memory_does_not_grow_with_the_layer(stored: RepositoryTarget) -> None:
    piece = bytes(1 << 20)
    tracemalloc.start()
    try:
        upload = LayerUpload(stored, OCI_LAYER, "the layer")
        for _ in range(64):
            await upload.feed(piece)
        await upload.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 << 20
