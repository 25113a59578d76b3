"""The layers of a committed image come from wherever its container's image has them."""

from __future__ import annotations

import gzip
import os
import tarfile
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest

from sockerless_ecs.errors import (
    Unavailable,
    Unimplemented,
)
from sockerless_ecs.model.reference import Reference, parse, source_of
from sockerless_ecs.registry import RegistryClient
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import DOCKER_CONFIG, DOCKER_LAYER, DOCKER_MANIFEST, OCI_LAYER_GZIP
from sockerless_ecs.sandbox.registry import Registry
from tests.engine.bundles import as_json, parts
from tests.engine.commits import BASE, Commits
from tests.engine.loads import any_login
from tests.images import ANY_LOGIN
from tests.registry.conftest import QUICK


class CountingClient(RegistryClient):
    """Knows which layers were read."""

    opened: list[str]

    def open_blob(
        self, reference: Reference, digest: str
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        self.opened.append(digest)
        return super().open_blob(reference, digest)


async def test_layers_of_another_registry_are_copied_as_they_are(
    commits: Commits, elsewhere: tuple[Registry, str]
) -> None:
    packed = gzip.compress(BASE.layers[1])
    image = parts(
        [BASE.layers[0], packed, BASE.layers[0]], [digest_of(one) for one in (*BASE.layers, BASE.layers[0])]
    )
    name = f"{elsewhere[1]}/team/base:1"
    await _push(commits.loads.client, name, image.config, image.layers)
    async with commits.loads.images.pull(name, None) as progress:
        _ = [line async for line in progress]
    live = await commits.create(name)
    await commits.commit(live)
    assert commits.loads.files("made:1") == list(image.layers)
    _, manifest = await commits.loads.client.raw_manifest(source_of(commits.loads.images.find("made:1")))
    assert [one.media_type for one in manifest.layers] == [OCI_LAYER_GZIP] * 3


async def test_layers_of_another_repository_of_ecr_are_taken_over_without_being_read(
    commits: Commits, ecr: tuple[Registry, str]
) -> None:
    name = f"{ecr[1]}/team/base:1"
    image = parts([os.urandom(3000)])
    async with CountingClient({}, (), any_login, retries=QUICK) as client:
        client.opened = []
        await _push(client, name, image.config, image.layers)
        async with commits.loads.images.pull(name, None) as progress:
            _ = [line async for line in progress]
        commits.committer = commits.world.committer(client, commits.loads.ecr)
        await commits.commit(await commits.create(name))
        assert client.opened == []
    assert commits.loads.files("made:1") == list(image.layers)


async def test_image_whose_layer_only_its_maker_may_have_is_refused(
    commits: Commits, elsewhere: tuple[Registry, str]
) -> None:
    name = f"{elsewhere[1]}/team/base:1"
    kind = DOCKER_LAYER.replace("diff", "foreign.diff")
    await _push(commits.loads.client, name, BASE.config, BASE.layers, kind)
    async with commits.loads.images.pull(name, None) as progress:
        _ = [line async for line in progress]
    with pytest.raises(Unimplemented, match="only its maker's registry may have"):
        await commits.commit(await commits.create(name))


async def test_source_that_is_gone_is_told_before_the_container_is_touched(
    commits: Commits, elsewhere: tuple[Registry, str]
) -> None:
    name = f"{elsewhere[1]}/team/base:1"
    await _push(commits.loads.client, name, BASE.config, BASE.layers)
    async with commits.loads.images.pull(name, None) as progress:
        _ = [line async for line in progress]
    elsewhere[0].close()
    live = await commits.create(name)
    await commits.world.containers.start(live.id)
    with pytest.raises(Unavailable):
        await commits.commit(live)
    assert commits.told() == []


async def test_memory_does_not_grow_with_the_layer(commits: Commits) -> None:
    live = await commits.run()
    head = tarfile.TarInfo("big")
    head.size = 48 << 20
    zeros = bytes(1 << 18)
    commits.disk(live).tars["layer"] = [head.tobuf(tarfile.GNU_FORMAT), *[zeros] * (48 << 2), bytes(1024)]
    tracemalloc.start()
    try:
        image = await commits.commit(live)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert image.size_bytes > 48 << 20
    assert peak < 24 << 20


async def _push(
    client: RegistryClient, name: str, config: bytes, layers: Sequence[bytes], kind: str = DOCKER_LAYER
) -> None:
    """As Docker does, its own media types and all."""
    reference = parse(name)
    target = client.repository(reference, ANY_LOGIN)
    for blob in {config, *layers}:
        await target.push_blob(digest_of(blob), blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": {"mediaType": DOCKER_CONFIG, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": kind, "digest": digest_of(one), "size": len(one)} for one in layers],
    }
    await target.push_manifest(reference.wanted, DOCKER_MANIFEST, as_json(manifest))
