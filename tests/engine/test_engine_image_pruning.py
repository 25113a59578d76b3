"""Pruning takes what no container uses, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.values import ImagesPruned
from sockerless_ecs.errors import Conflict, InvalidParameter, StoreUnusable, Unavailable
from sockerless_ecs.model.image import Descriptor, Image, ImageFile, ImageRef
from sockerless_ecs.store.contract import Put
from tests.services.world import IMAGE, Outside, World

BASE, OWN = (Descriptor(digest="sha256:" + digit * 64, size=size) for digit, size in (("b", 100), ("c", 7)))
MADE = "2026-01-01T00:00:00Z"


async def has(
    world: World, name: str, digit: str, *layers: Descriptor, labels: dict[str, str] | None = None
) -> Image:
    """One more image, made at new year; without a name it has its id for one."""
    image_id = "sha256:" + digit * 64
    image = replace(
        IMAGE,
        ref=ImageRef(f"docker.io/library/{name}" if name else image_id),
        id=image_id,
        digest="",
        repository="docker.io/library/somewhere",
        created=MADE,
        blobs=layers,
        config=replace(IMAGE.config, labels=labels or {}),
    )
    await world.ledger.save(Put(image), Put(ImageFile(id=image.id, text="{}")))
    world.ledger.images[image.ref] = image
    return image


def steps(pruned: ImagesPruned) -> list[str]:
    return [
        f"Untagged: {one.untagged}" if one.untagged else f"Deleted: {one.deleted}" for one in pruned.steps
    ]


def left(world: World) -> list[str]:
    return sorted(ref.removeprefix("docker.io/library/") for ref in world.ledger.images)


def told(world: World) -> list[tuple[str, str]]:
    return [(event.action, event.actor_id) for event in world.told("image")]


async def test_only_images_without_a_tag_go_unless_more_is_asked_for(world: World) -> None:
    nameless = await has(world, "", "d", OWN)
    by_digest = await has(world, f"tool@sha256:{'7' * 64}", "e")
    await has(world, "tagged:1", "f", BASE)
    pruned = await world.images.prune({})
    assert steps(pruned) == [f"Deleted: {nameless.id}", f"Deleted: {by_digest.id}"]
    assert pruned.reclaimed_bytes == OWN.size
    assert left(world) == ["alpine:latest", "tagged:1"]
    stored = await world.store.load()
    assert dict(stored.images) == world.ledger.images
    assert await world.ledger.image_file(nameless.id) is None


async def test_names_by_digest_go_with_their_image(world: World) -> None:
    image = await has(world, f"tool@sha256:{'7' * 64}", "e")
    world.ledger.images[image.ref] = replace(image, digest="sha256:" + "7" * 64)
    assert steps(await world.images.prune({"dangling": ["true"]})) == [
        f"Untagged: tool@sha256:{'7' * 64}",
        f"Deleted: {image.id}",
    ]
    assert told(world) == [("untag", image.id), ("delete", image.id), ("prune", "")]


async def test_all_unused_images_go_and_layers_that_stay_with_others_are_not_reclaimed(world: World) -> None:
    live = await world.create()
    world.ledger.images[IMAGE.ref] = replace(IMAGE, blobs=(BASE,))
    image = await has(world, "tool:1", "d", BASE, OWN)
    await world.images.tag("tool:1", "tool", "2")
    pruned = await world.images.prune({"dangling": ["false"]})
    assert steps(pruned) == ["Untagged: tool:1", "Untagged: tool:2", f"Deleted: {image.id}"]
    assert pruned.reclaimed_bytes == OWN.size
    assert left(world) == ["alpine:latest"]
    assert (await world.containers.inspect(live.id)).image_id == IMAGE.id
    assert world.told("image")[-1].attributes == {"reclaimed": str(OWN.size)}


@pytest.mark.parametrize("started", [False, True])
async def test_an_image_that_a_container_uses_keeps_all_its_names(world: World, started: bool) -> None:
    live = await world.create("true")
    if started:
        await world.containers.start(live.id)
    await world.images.tag("alpine", "again", "1")
    pruned = await world.images.prune({"dangling": ["0"]})
    assert pruned == ImagesPruned()
    assert left(world) == ["again:1", "alpine:latest"]
    await world.containers.remove(live.id, force=True)
    assert len((await world.images.prune({"dangling": ["0"]})).steps) == 4
    assert left(world) == []


async def test_an_image_of_which_a_container_is_being_made_stays(world: World, outside: Outside) -> None:
    """Its definition may take ECS a while: nothing shows the container so far."""
    outside.ecs.hold["register_task_definition"] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.create)
        await world.idle()
        assert await world.images.prune({"dangling": ["false"]}) == ImagesPruned()
        outside.ecs.hold["register_task_definition"].set()
    [live] = world.ledger
    await world.containers.remove(live.id)
    outside.ecs.faults["register_task_definition"].append(Unavailable("throttled"))
    world.ledger.definitions.clear()
    outside.ecs.definitions.clear()
    with pytest.raises(Unavailable):
        await world.create()
    assert len((await world.images.prune({"dangling": ["false"]})).steps) == 3


@pytest.mark.parametrize(
    ("filters", "gone"),
    [
        ({"until": [MADE]}, ["a:1", "b:1"]),
        ({"until": ["2025-12-31T23:59:59Z"]}, []),
        ({"until": ["10h"]}, ["a:1", "b:1"]),
        ({"label": ["team"]}, ["a:1"]),
        ({"label": ["team=y"]}, []),
        ({"label!": ["team"]}, ["b:1"]),
        ({"label!": ["team=y"]}, ["a:1", "b:1"]),
    ],
)
async def test_filters_spare_what_does_not_pass(world: World, filters: Filters, gone: list[str]) -> None:
    await world.create()
    await has(world, "a:1", "d", labels={"team": "x"})
    await has(world, "b:1", "e")
    pruned = await world.images.prune({"dangling": ["false"], **filters})
    assert [step.untagged for step in pruned.steps if step.untagged] == gone


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"nonsense": ["x"]}, "invalid filter 'nonsense'"),
        ({"reference": ["x"]}, "invalid filter 'reference'"),
        ({"dangling": ["maybe"]}, r"invalid filter 'dangling=\[maybe\]'"),
        ({"dangling": ["true", "false"]}, r"invalid filter 'dangling=\[true false\]'"),
        ({"until": ["1", "2"]}, "more than one until filter specified"),
        ({"until": ["x"]}, "is not a time"),
    ],
)
async def test_a_filter_that_is_none_removes_nothing(world: World, filters: Filters, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        await world.images.prune(filters)
    assert left(world) == ["alpine:latest"]
    assert told(world) == []


async def test_a_prune_of_nothing_is_told_too(world: World) -> None:
    assert await world.images.prune({}) == ImagesPruned()
    assert told(world) == [("prune", "")]
    assert world.told("image")[0].attributes == {"reclaimed": "0"}


async def test_a_store_that_refuses_loses_no_image(world: World, outside: Outside) -> None:
    outside.store.refuse = lambda _: True
    with pytest.raises(StoreUnusable):
        await world.images.prune({"dangling": ["false"]})
    assert left(world) == ["alpine:latest"]
    outside.store.refuse = lambda _: False
    assert len((await world.images.prune({"dangling": ["false"]})).steps) == 3


async def test_one_prune_at_a_time(world: World, outside: Outside) -> None:
    outside.store.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.images.prune, {"dangling": ["false"]})
        await world.idle()
        with pytest.raises(Conflict, match="a prune operation is already running"):
            await world.images.prune({})
        outside.store.hold.set()
    assert left(world) == []


async def test_a_client_that_leaves_does_not_undo_what_was_begun(world: World, outside: Outside) -> None:
    outside.store.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.images.prune, {"dangling": ["false"]})
        await world.idle()
        nursery.cancel_scope.cancel()
        outside.store.hold.set()
    assert left(world) == []
    assert dict((await world.store.load()).images) == {}
    assert [action for action, _ in told(world)] == ["untag", "untag", "delete", "prune"]
