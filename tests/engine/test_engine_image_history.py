"""How an image came to be is told from its configuration file, whatever that says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.engine.image_history import history
from sockerless_ecs.errors import NotFound, Unavailable
from sockerless_ecs.model.image import Descriptor, Image
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.registry.config import Step
from tests.services.world import IMAGE, Outside, World

STEPS = [
    {"created": "2026-01-01T00:00:00Z", "created_by": "ADD / # rootfs", "comment": "first", "author": "me"},
    {"created": "2026-01-01T00:00:01.5Z", "created_by": "ENV A=b", "empty_layer": True},
    {"created_by": "RUN make"},
]


def layered(*sizes: int) -> Image:
    """The image of the tests, with layers of these sizes."""
    blobs = [Descriptor(digest=f"sha256:{number:064x}", size=size) for number, size in enumerate(sizes)]
    return replace(IMAGE, blobs=tuple(blobs))


async def known(world: World, outside: Outside, document: dict[str, Any], *sizes: int) -> None:
    """The image is known by its record alone; its registry has this configuration file."""
    world.ledger.images[IMAGE.ref] = layered(*sizes)
    outside.registry.files[IMAGE.id] = json.dumps(document).encode()


async def test_history_is_told_from_the_newest_step_to_the_oldest(world: World, outside: Outside) -> None:
    await known(world, outside, {"history": STEPS}, 1000, 20)
    await world.images.tag("alpine", "other", "1")
    newest, setting, oldest = await world.images.history("alpine")
    assert (newest.id, newest.tags) == (IMAGE.id, ("alpine:latest", "other:1"))
    assert (newest.created_by, newest.size_bytes, newest.created_ns) == ("RUN make", 20, None)
    assert (setting.id, setting.tags, setting.size_bytes) == ("<missing>", (), 0)
    assert setting.created_ns == 1_767_225_601_500_000_000
    assert (oldest.created_by, oldest.size_bytes, oldest.comment) == ("ADD / # rootfs", 1000, "first")


async def test_a_file_that_is_not_kept_is_fetched_once_from_where_the_image_is(
    world: World, outside: Outside
) -> None:
    await known(world, outside, {"history": STEPS}, 1)
    world.ledger.images[IMAGE.ref] = replace(layered(1), repository="quay.example/mirror/alpine")
    for _ in range(2):
        assert len(await world.images.history(IMAGE.id)) == 3
    assert outside.registry.fetched == [f"quay.example/mirror/alpine@{IMAGE.manifest_digest}"]
    assert await world.ledger.image_file(IMAGE.id) == outside.registry.files[IMAGE.id]


async def test_the_file_of_an_image_that_went_meanwhile_is_not_kept(
    world: World, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    await known(world, outside, {"history": STEPS}, 1)
    fetch = outside.registry.config

    async def config(reference: Reference, file: Descriptor) -> bytes:
        await world.images.remove("alpine")
        return await fetch(reference, file)

    monkeypatch.setattr(outside.registry, "config", config)
    assert len(await world.images.history("alpine")) == 3
    assert await world.ledger.image_file(IMAGE.id) is None


async def test_a_registry_that_is_silent_is_told(world: World) -> None:
    with pytest.raises(Unavailable, match="silent"):
        await world.images.history("alpine")
    with pytest.raises(NotFound, match="No such image: nosuch:latest"):
        await world.images.history("nosuch")


@pytest.mark.parametrize("document", [{}, {"history": None}, {"history": []}, {"rootfs": None}])
async def test_a_configuration_without_a_history_has_none(
    world: World, outside: Outside, document: dict[str, Any]
) -> None:
    await known(world, outside, document, 5)
    assert await world.images.history("alpine") == []


async def test_steps_that_do_not_fit_the_layers_make_nothing(world: World, outside: Outside) -> None:
    await known(world, outside, {"history": [*STEPS, {"created": "soon"}]}, 7)
    told = await world.images.history("alpine")
    assert [step.size_bytes for step in told] == [0, 0, 0, 7]
    assert told[0].created_ns is None


_STEPS = st.builds(
    Step,
    created=st.none() | st.text(max_size=20) | st.just("2026-01-01T00:00:00Z"),
    created_by=st.none() | st.text(max_size=5),
    comment=st.none() | st.text(max_size=5),
    empty_layer=st.booleans(),
)


@given(st.lists(_STEPS, max_size=8), st.lists(st.integers(0, 2**40), max_size=8))
def test_any_history_with_any_layers_is_told(steps: list[Step], sizes: list[int]) -> None:
    told = history(layered(*sizes), steps, {IMAGE.id: [IMAGE], "": []}.__getitem__)
    assert [step.created_by for step in told] == [step.created_by or "" for step in reversed(steps)]
    assert sum(step.size_bytes for step in told) <= sum(sizes)
    assert [step.id for step in told] == [IMAGE.id, *["<missing>"] * len(steps)][: len(steps)]
    if sum(not step.empty_layer for step in steps) >= len(sizes):
        assert sum(step.size_bytes for step in told) == sum(sizes)
