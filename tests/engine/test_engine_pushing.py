"""What is pushed is in the registry as it was, and what was there already is not sent again."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence

import pytest

from sockerless_ecs.engine.values import Credentials, PullProgress
from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unauthorized, Unavailable
from sockerless_ecs.model.image import ImageFile
from sockerless_ecs.model.reference import parse, source_of
from sockerless_ecs.registry import Platform
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.sandbox.registry import Registry
from sockerless_ecs.store.contract import Delete
from tests.engine.bundles import Parts, archive, layer, layout, parts, tarred
from tests.engine.loads import Loads
from tests.registry.scripted_registry import Asked, Said, scripted_registry

SMALL = layer({"a": b"a"})
BIG = layer({"big": os.urandom(3 << 20)})
IMAGE = parts([BIG, SMALL], config={"Cmd": ["/a"]})
ME = Credentials(username="me", password="hush")
AMD64 = Platform(architecture="amd64")


async def push(loads: Loads, name: str, tag: str = "") -> list[PullProgress]:
    async with loads.images.push(name, tag, ME) as progress:
        return [line async for line in progress]


async def loaded(loads: Loads, name: str, image: Parts = IMAGE) -> None:
    await loads.load(tarred(archive(image, name)))


def statuses(lines: Sequence[PullProgress]) -> list[str]:
    """What is told of layers, bars left out."""
    return [line.status for line in lines if line.step and line.status and not line.total_bytes]


async def test_a_pushed_image_is_pulled_as_it_was(loads: Loads, elsewhere: tuple[Registry, str]) -> None:
    name = f"{elsewhere[1]}/team/tool:1"
    await loaded(loads, name)
    lines = await push(loads, name)
    found = await loads.client.resolve(parse(name), AMD64)
    assert (found.image.id, found.file.text.encode()) == (IMAGE.id, IMAGE.config)
    resolved = elsewhere[0].resolve(name, "amd64")
    assert [path.read_bytes() for _, path, _ in resolved.layers] == list(IMAGE.layers)
    assert lines[0].status == f"The push refers to repository [{elsewhere[1]}/team/tool]"
    assert statuses(lines) == ["Preparing", "Preparing", "Pushed", "Pushed"]
    digest = found.image.manifest_digest
    assert lines[-1].pushed is not None
    assert lines[-1].pushed[:2] == ("1", digest)
    assert lines[-2].status == f"1: digest: {digest} size: {lines[-1].pushed[2]}"
    shorts = {digest_of(one).partition(":")[2][:12] for one in IMAGE.layers}
    assert {line.id for line in lines if line.id} == shorts
    assert [(event.action, event.actor_id) for event in loads.world.told("image")][-1] == ("push", name)


async def test_what_was_pushed_is_known_by_its_digest_there(
    loads: Loads, elsewhere: tuple[Registry, str]
) -> None:
    name = f"{elsewhere[1]}/tool:1"
    await loaded(loads, name)
    await push(loads, name)
    image = loads.images.find(name)
    assert image.digest == image.manifest_digest
    assert loads.images.find(f"{elsewhere[1]}/tool@{image.digest}") == image
    assert source_of(image).registry == loads.ecr.registry
    assert (await loads.world.store.load()).images[image.ref] == image


async def test_a_second_push_sends_no_layer(loads: Loads, elsewhere: tuple[Registry, str]) -> None:
    name = f"{elsewhere[1]}/tool:1"
    await loaded(loads, name)
    await push(loads, name)
    lines = await push(loads, name)
    assert statuses(lines) == ["Preparing", "Preparing", *["Layer already exists"] * 2]
    assert not [line for line in lines if line.total_bytes]


async def test_layers_come_from_another_repository_of_the_registry(
    loads: Loads, elsewhere: tuple[Registry, str]
) -> None:
    """Of the one that the image was loaded into, or of one that it was pushed to before."""
    near, far, further = (
        f"{loads.ecr.registry}/near:1",
        f"{elsewhere[1]}/far:1",
        f"{elsewhere[1]}/further:1",
    )
    await loads.load(tarred(archive(IMAGE, near, far, further)))
    assert statuses(await push(loads, near))[2:] == ["Mounted from loaded"] * 2
    assert statuses(await push(loads, far))[2:] == ["Pushed"] * 2
    assert statuses(await push(loads, further))[2:] == ["Mounted from far"] * 2
    for registry, name in ((loads.registry, near), (elsewhere[0], further)):
        assert [path.read_bytes() for _, path, _ in registry.resolve(name, "amd64").layers] == list(
            IMAGE.layers
        )


async def test_every_tag_of_a_repository_is_pushed_unless_one_is_named(
    loads: Loads, elsewhere: tuple[Registry, str]
) -> None:
    repository = f"{elsewhere[1]}/tool"
    await loads.load(tarred(archive(IMAGE, f"{repository}:1", f"{repository}:2", f"{repository}:3")))
    await push(loads, repository, "3")
    assert await loads.client.tags(parse(repository)) == ["3"]
    lines = await push(loads, repository)
    assert await loads.client.tags(parse(repository)) == ["1", "2", "3"]
    assert [line.pushed[0] for line in lines if line.pushed] == ["1", "2", "3"]


async def test_an_image_that_was_pulled_is_pushed_as_its_registry_has_it(
    loads: Loads, elsewhere: tuple[Registry, str]
) -> None:
    squeezed = gzip.compress(BIG, 1)
    image = parts([squeezed, SMALL], [digest_of(BIG), digest_of(SMALL)])
    here, there = f"{loads.ecr.registry}/origin:1", f"{elsewhere[1]}/copy:1"
    await loads.load(tarred(layout(image, here)))
    await push(loads, here)
    await loads.images.remove(here, force=True)
    async with loads.images.pull(here, None) as progress:
        assert [line async for line in progress][-1].status.startswith("Status: Downloaded")
    await loads.images.tag(here, f"{elsewhere[1]}/copy", "1")
    await push(loads, there)
    assert loads.images.find(there).digest == loads.images.find(here).manifest_digest


async def test_the_configuration_comes_from_the_registry_where_it_is_not_kept(
    loads: Loads, elsewhere: tuple[Registry, str]
) -> None:
    name = f"{elsewhere[1]}/tool:1"
    await loaded(loads, name)
    await loads.world.ledger.save(Delete(ImageFile, IMAGE.id))
    await push(loads, name)
    assert (await loads.client.resolve(parse(name), AMD64)).image.id == IMAGE.id
    assert await loads.world.ledger.image_file(IMAGE.id) == IMAGE.config


@pytest.mark.parametrize(
    ("name", "tag", "words"),
    [
        ("nosuch/tool", "1", "An image does not exist locally with the tag: nosuch/tool"),
        ("tool", "2", "tag does not exist: tool:2"),
        ("tool@sha256:" + "1" * 64, "", "cannot push a digest reference"),
    ],
)
async def test_what_cannot_be_pushed_is_told_after_the_first_line(
    loads: Loads, name: str, tag: str, words: str
) -> None:
    await loaded(loads, "tool:1")
    lines: list[PullProgress] = []
    with pytest.raises((NotFound, InvalidParameter)) as refused:
        async with loads.images.push(name, tag, None) as progress:
            lines += [line async for line in progress]
    assert str(refused.value) == words
    assert "push" not in [event.action for event in loads.world.told("image")]


@pytest.mark.parametrize(("name", "tag"), [("UPPER", ""), ("a", "bad tag")])
async def test_what_is_no_name_is_refused_at_once(loads: Loads, name: str, tag: str) -> None:
    with pytest.raises(InvalidParameter):
        loads.images.push(name, tag, None)


HTML = Said(200, b"<html>log in</html>", {"Content-Type": "text/html"})
REFUSALS: list[tuple[Said, type[SockerlessError], str]] = [
    (Said(403, b'{"errors":[{"code":"DENIED","message":"no"}]}'), Unauthorized, "denied: no"),
    (Said(401, b"", {"WWW-Authenticate": "Basic"}), Unauthorized, "is denied"),
    (Said(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow"}]}'), Unavailable, "toomany"),
    (Said(500), Unavailable, "500"),
    (HTML, Unavailable, "failed"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), REFUSALS)
async def test_a_registry_that_refuses_is_told_of_and_gets_no_manifest(
    loads: Loads, answer: Said, kind: type[SockerlessError], words: str
) -> None:
    with scripted_registry() as registry:
        host = registry.url.removeprefix("http://")
        registry.answer = lambda asked: Said(404) if asked.method == "HEAD" else answer
        await loaded(loads, f"{host}/tool:1")
        with pytest.raises(kind, match=words):
            await push(loads, f"{host}/tool:1")
        assert not [path for path in registry.paths("PUT") if "/manifests/" in path]
    assert loads.images.find(f"{host}/tool:1").digest == ""


async def test_who_leaves_ends_the_push(loads: Loads) -> None:
    """The registry takes no layer to its end: what was begun is cancelled, and no manifest follows."""
    with scripted_registry() as registry:
        host = registry.url.removeprefix("http://")

        def answer(asked: Asked) -> Said:
            if asked.method == "HEAD":
                return Said(404)
            return Said(202, b"", {"Location": "/v2/x/blobs/uploads/1"})

        registry.answer = answer
        await loaded(loads, f"{host}/tool:1")
        async with loads.images.push(f"{host}/tool:1", "", ME) as progress:
            async for line in progress:
                if line.status == "Pushing":
                    break
        assert not [path for path in registry.paths("PUT") if "/manifests/" in path]
    assert "push" not in [event.action for event in loads.world.told("image")]
