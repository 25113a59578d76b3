"""Names of images: given, moved, found, filtered, and taken away by Docker's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.system import EngineSystem
from sockerless_ecs.engine.values import Credentials, ImageRemoved, LoggedIn
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, Unauthorized
from sockerless_ecs.model.container import ContainerConfig, CreateRequest
from sockerless_ecs.model.image import Image, ImageRef
from sockerless_ecs.model.reference import source_of
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.services.events import EventBus
from tests.registry.conftest import QUICK
from tests.registry.scripted_registry import Asked, Said, scripted_registry
from tests.services.world import IMAGE, Outside, World

SHORT = IMAGE.id[7:19]
BY_DIGEST = f"alpine@{IMAGE.digest}"
OTHER = replace(
    IMAGE, id="sha256:" + "8" * 64, digest="sha256:" + "7" * 64, manifest_digest="sha256:" + "6" * 64
)
"""What `alpine:latest` is once it has moved."""


def steps(found: Sequence[ImageRemoved]) -> list[str]:
    return [f"Untagged: {one.untagged}" if one.untagged else f"Deleted: {one.deleted}" for one in found]


def refs(images: Sequence[Image]) -> list[str]:
    return sorted(image.ref for image in images)


async def everything(world: World) -> list[str]:
    """What is in memory, which is what is in the store."""
    stored = (await world.store.load()).images
    assert dict(stored) == world.ledger.images
    return sorted(stored)


def told(world: World) -> list[tuple[str, str]]:
    return [(event.action, event.attributes["name"]) for event in world.told("image")]


async def pulled(world: World, outside: Outside, image: Image, name: str) -> None:
    outside.registry.image = image
    async with world.images.pull(name, None) as progress:
        async for _ in progress:
            pass


async def test_a_tag_is_one_more_name_that_is_pulled_from_where_the_image_is(world: World) -> None:
    await world.images.tag("alpine", "registry.example/mine", "1")
    image = world.images.find("registry.example/mine:1")
    assert (image.id, image.digest) == (IMAGE.id, "")
    assert source_of(image).full == f"docker.io/library/alpine@{IMAGE.manifest_digest}"
    assert told(world) == [("tag", "registry.example/mine:1")]
    assert world.told("image")[0].actor_id == IMAGE.id
    await world.images.tag("registry.example/mine:1", "again", "")
    assert source_of(world.images.find("again")).full == source_of(IMAGE).full
    created = await world.containers.create(CreateRequest(name="web", config=ContainerConfig(image="again")))
    record = await world.containers.inspect(created.id)
    assert record.image_pull == f"docker.io/library/alpine@{IMAGE.manifest_digest}"
    assert record.image_id == IMAGE.id


@pytest.mark.parametrize(
    ("repository", "tag", "words"),
    [
        ("", "", "invalid reference format"),
        ("Upper", "1", "must be lowercase"),
        ("a", "bad!tag", "invalid tag format"),
        ("a@sha256:" + "1" * 64, "", "cannot import digest reference"),
        ("sha256", "1", "refusing to create an ambiguous tag"),
    ],
)
async def test_a_name_that_is_none_is_refused(world: World, repository: str, tag: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        await world.images.tag("alpine", repository, tag)
    assert await everything(world) == [IMAGE.ref]


async def test_an_unknown_image_is_not_tagged_and_not_removed(world: World) -> None:
    with pytest.raises(NotFound, match=r"No such image: nosuch:latest"):
        await world.images.tag("nosuch", "a", "b")
    with pytest.raises(NotFound, match=r"No such image: nosuch:latest"):
        await world.images.remove("nosuch")


async def test_the_last_name_takes_the_image_with_it(world: World) -> None:
    assert steps(await world.images.remove("alpine")) == [
        "Untagged: alpine:latest",
        f"Untagged: {BY_DIGEST}",
        f"Deleted: {IMAGE.id}",
    ]
    assert told(world) == [("untag", IMAGE.id), ("delete", IMAGE.id)]
    assert await everything(world) == []


async def test_a_name_among_several_goes_alone(world: World) -> None:
    await world.images.tag("alpine", "alpine", "3")
    await world.images.tag("alpine", "other", "")
    assert steps(await world.images.remove("alpine:latest")) == ["Untagged: alpine:latest"]
    assert world.images.find(BY_DIGEST).ref == "docker.io/library/alpine:3"
    assert steps(await world.images.remove("alpine:3")) == ["Untagged: alpine:3", f"Untagged: {BY_DIGEST}"]
    assert steps(await world.images.remove("other")) == ["Untagged: other:latest", f"Deleted: {IMAGE.id}"]


async def test_a_digest_can_go_before_its_tag(world: World) -> None:
    assert steps(await world.images.remove(BY_DIGEST)) == [f"Untagged: {BY_DIGEST}"]
    image = world.images.find("alpine")
    assert source_of(image).full == f"docker.io/library/alpine@{IMAGE.manifest_digest}"
    with pytest.raises(NotFound):
        world.images.find(BY_DIGEST)


async def test_an_id_takes_all_names_of_one_repository_and_no_more_unless_forced(world: World) -> None:
    await world.images.tag("alpine", "other", "")
    with pytest.raises(Conflict) as refused:
        await world.images.remove(SHORT)
    assert str(refused.value) == (
        f"conflict: unable to delete {SHORT} (must be forced) - image is referenced in multiple repositories"
    )
    assert steps(await world.images.remove(SHORT, force=True)) == [
        "Untagged: alpine:latest",
        "Untagged: other:latest",
        f"Untagged: {BY_DIGEST}",
        f"Deleted: {IMAGE.id}",
    ]
    assert await everything(world) == []


async def test_a_stopped_container_holds_its_image_until_forced(world: World) -> None:
    live = await world.create()
    with pytest.raises(Conflict) as refused:
        await world.images.remove("alpine")
    assert str(refused.value) == (
        'conflict: unable to remove repository reference "alpine" (must force) - '
        f"container {live.id[:12]} is using its referenced image {SHORT}"
    )
    with pytest.raises(Conflict) as refused:
        await world.images.remove(IMAGE.id)
    assert str(refused.value) == (
        f"conflict: unable to delete {SHORT} (must be forced) - "
        f"image is being used by stopped container {live.id[:12]}"
    )
    assert steps(await world.images.remove("alpine", force=True))[-1] == f"Deleted: {IMAGE.id}"
    assert (await world.containers.inspect(live.id)).image_id == IMAGE.id


async def test_a_running_container_keeps_its_image_without_a_name(world: World) -> None:
    live = await world.run()
    with pytest.raises(Conflict) as refused:
        await world.images.remove(SHORT, force=True)
    assert str(refused.value) == (
        f"conflict: unable to delete {SHORT} (cannot be forced) - "
        f"image is being used by running container {live.id[:12]}"
    )
    assert steps(await world.images.remove("alpine", force=True)) == [
        "Untagged: alpine:latest",
        f"Untagged: {BY_DIGEST}",
    ]
    image = world.images.find(IMAGE.id)
    assert image.nameless
    assert source_of(image).full == f"docker.io/library/alpine@{IMAGE.manifest_digest}"
    await world.images.tag(SHORT, "named", "again")
    assert await everything(world) == ["docker.io/library/named:again"]


async def test_a_name_that_moves_leaves_the_image_it_meant(world: World, outside: Outside) -> None:
    await pulled(world, outside, OTHER, "alpine")
    assert world.images.find("alpine").id == OTHER.id
    assert world.images.find(IMAGE.id).ref == f"docker.io/library/alpine@{IMAGE.digest}"
    assert refs(await world.images.list({"dangling": ["true"]})) == [f"docker.io/library/{BY_DIGEST}"]
    await world.images.tag("alpine", "mine", "1")
    await world.images.tag(IMAGE.id, "mine", "1")  # the other one has another name, and leaves nothing
    assert world.images.find("mine:1").id == IMAGE.id
    assert len(await world.images.names(OTHER.id)) == 1


@pytest.mark.parametrize(
    "name", ["alpine", "alpine:latest", BY_DIGEST, IMAGE.id, SHORT, "sha256:1111", "1111"]
)
async def test_an_image_is_found_by_any_of_its_names(world: World, name: str) -> None:
    assert (await world.images.inspect(name)).id == IMAGE.id


@pytest.mark.parametrize("name", ["sha256:2222", "2222", "2" * 64, "alpine:2", f"other@{IMAGE.digest}"])
async def test_another_name_is_not_found(world: World, name: str) -> None:
    with pytest.raises(NotFound, match="No such image: "):
        await world.images.inspect(name)


LISTED: list[tuple[Any, list[str]]] = [
    ({}, ["alpine:latest", "new:1", "old:1"]),
    ({"dangling": ["false"]}, ["alpine:latest", "new:1", "old:1"]),
    ({"dangling": ["1"]}, []),
    ({"reference": ["new"]}, ["new:1"]),
    ({"reference": ["*:1"]}, ["new:1", "old:1"]),
    ({"reference": ["docker.io/library/new:1", "old:*"]}, ["new:1", "old:1"]),
    ({"reference": ["library/new"]}, []),
    ({"label": ["a"]}, ["new:1"]),
    ({"label": ["a=b"]}, ["new:1"]),
    ({"label": ["a=c"]}, []),
    ({"before": ["new:1"]}, ["alpine:latest", "old:1"]),
    ({"since": ["old:1"]}, ["new:1"]),
    ({"until": ["2026-02-01T00:00:00Z"]}, ["alpine:latest", "old:1"]),
    ({"until": ["2026-04-01T00:00:00Z", "2026-02-01T00:00:00Z"]}, ["alpine:latest", "old:1"]),
    ({"before": ["new:1"], "since": ["alpine"]}, ["old:1"]),
]


@pytest.mark.parametrize(("filters", "names"), LISTED)
async def test_lists_are_filtered_as_docker_filters_them(
    world: World, filters: Filters, names: list[str]
) -> None:
    for name, digit, created in (("old", "4", "2026-01-01T00:00:00Z"), ("new", "5", "2026-03-01T00:00:00Z")):
        labels = {"a": "b"} if name == "new" else {}
        ref = ImageRef(f"docker.io/library/{name}:1")
        config = replace(IMAGE.config, labels=labels)
        image = replace(IMAGE, ref=ref, id="sha256:" + digit * 64, created=created, config=config)
        world.ledger.images[ref] = image
    assert refs(await world.images.list(filters)) == [f"docker.io/library/{name}" for name in names]


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"nonsense": ["x"]}, "invalid filter 'nonsense'"),
        ({"dangling": ["maybe"]}, r"invalid filter 'dangling=\[maybe\]'"),
        ({"dangling": ["true", "false"]}, r"invalid filter 'dangling=\[true false\]'"),
    ],
)
async def test_a_filter_that_is_none_is_refused(world: World, filters: Filters, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        await world.images.list(filters)
    with pytest.raises(NotFound):
        await world.images.list({"before": ["nosuch"]})


async def test_disk_usage_counts_an_image_once(world: World) -> None:
    world.ledger.images[IMAGE.ref] = replace(IMAGE, size_bytes=100)
    await world.images.tag("alpine", "b", "1")
    live = await world.create()
    usage = await world.system.disk_usage()
    assert usage.layers_bytes == 100
    assert len(usage.images) == 2
    assert [record.id for record in usage.containers] == [live.id]


@pytest.mark.parametrize("form", ["{host}", "http://{host}", "http://{host}/v1/", "{host}/v2/"])
async def test_a_login_is_checked_with_the_registry_it_names(world: World, form: str) -> None:
    def answer(asked: Asked) -> Said:
        if asked.headers.get("Authorization") == Login(username="u", password="p").basic:
            return Said(200, b"{}")
        body = b'{"errors":[{"code":"UNAUTHORIZED","message":"incorrect username or password"}]}'
        return Said(401, body, {"WWW-Authenticate": 'Basic realm="x"'})

    async def nobody(_registry: str, _refused: str) -> Login | None:
        return None

    with scripted_registry(answer) as registry:
        async with RegistryClient({}, (), nobody, retries=QUICK) as client:
            system = EngineSystem(
                ledger=world.ledger,
                bus=EventBus(),
                registry=client,
                instance_id="i",
                name="n",
                architecture="x",
            )
            given = Credentials(username="u", password="p", server_address=form.format(host=registry.host))
            assert await system.auth(given) == LoggedIn(status="Login Succeeded")
            with pytest.raises(Unauthorized, match="incorrect username or password"):
                await system.auth(replace(given, password="wrong"))
