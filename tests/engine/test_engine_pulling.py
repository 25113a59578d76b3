"""A pull asks its registry as little as it can, tells Docker's lines, and records all of it or nothing."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import trio
import trio.testing

from sockerless_ecs.engine.images import EngineImages
from sockerless_ecs.engine.values import Credentials, PullProgress
from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, StoreUnusable, Unavailable
from sockerless_ecs.model.container import ContainerConfig, CreateRequest
from sockerless_ecs.model.image import ImageFile
from sockerless_ecs.model.reference import source_of
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.registry import manifest as media
from sockerless_ecs.store.contract import Put
from tests.registry.conftest import QUICK
from tests.registry.content import CONFIG, Content, index, sha256, to_json
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry, scripted_registry
from tests.services.fakes import FakeEcr, FlakyStore
from tests.services.world import Outside, World, engine_images


class Hub(Content):
    """Docker Hub, which tells digests in its heads and lists tags two at a time."""

    def __call__(self, asked: Asked) -> Said:
        path, _, query = asked.path.partition("?")
        if path.endswith("/tags/list"):
            tags = sorted(name for name in self.manifests if ":" not in name)
            start = int(query.partition("last=")[2] or 0)
            more = {"Link": f'<{path}?n=2&last={start + 2}>; rel="next"'} if start + 2 < len(tags) else {}
            return Said(200, to_json({"name": "x", "tags": tags[start : start + 2]}), more)
        answer = super().__call__(asked)
        if answer.status == 200 and isinstance(answer.body, bytes):
            head = {**answer.headers, "Docker-Content-Digest": sha256(answer.body)}
            return replace(answer, headers=head, body=b"" if asked.method == "HEAD" else answer.body)
        return answer


class Pulls:
    """Images over a hub, one way of asking it for each engine."""

    def __init__(self, world: World, registry: ScriptedRegistry, client: RegistryClient) -> None:
        self.world = world
        self.registry = registry
        self.client = client
        self.hub = registry.answer = Hub()
        self.images = self.engine()

    def engine(self, **pulling: Any) -> EngineImages:
        return engine_images(self.world.ledger, self.client, self.world.bus, FakeEcr(), **pulling)

    async def pull(
        self, name: str, images: EngineImages | None = None, *, all_tags: bool = False
    ) -> list[PullProgress]:
        async with (images or self.images).pull(name, None, all_tags=all_tags) as progress:
            return [line async for line in progress]

    def asked(self) -> list[str]:
        """The requests since the last time."""
        found = [f"{asked.method} {asked.path.partition('/v2/')[2]}" for asked in self.registry.asked]
        self.registry.asked.clear()
        return found


@pytest.fixture
async def pulls(real_world: World) -> AsyncIterator[Pulls]:
    async def nobody(_registry: str, _refused: str) -> Login | None:
        return None

    with scripted_registry() as registry:
        mirrors = dict.fromkeys(("docker.io", "public.ecr.aws", "other.example"), registry.url)
        async with RegistryClient(mirrors, (), nobody, retries=QUICK) as client:
            yield Pulls(real_world, registry, client)


def told(lines: Sequence[PullProgress]) -> list[str]:
    """As a terminal shows them, bars left out."""
    return [f"{line.id}: {line.status}" if line.id else line.status for line in lines if not line.total_bytes]


async def test_a_first_pull_tells_its_layers_and_a_second_is_one_request(pulls: Pulls) -> None:
    digest = pulls.hub.image(tag="3")
    lines = await pulls.pull("tool:3")
    short = "2" * 12
    assert told(lines) == [
        "3: Pulling from library/tool",
        f"{short}: Pulling fs layer",
        f"{short}: Pull complete",
        f"Digest: {digest}",
        "Status: Downloaded newer image for tool:3",
    ]
    assert [(line.current_bytes, line.total_bytes) for line in lines if line.total_bytes] == [(1000, 1000)]
    assert len(pulls.asked()) == 2
    assert told(await pulls.pull("tool:3")) == [
        "3: Pulling from library/tool",
        f"Digest: {digest}",
        "Status: Image is up to date for tool:3",
    ]
    assert pulls.asked() == ["HEAD library/tool/manifests/3"]
    assert [event.action for event in pulls.world.told("image")] == ["pull", "pull"]


async def test_a_tag_that_moved_is_asked_for_anew(pulls: Pulls) -> None:
    first = pulls.hub.image(tag="3")
    await pulls.pull("tool:3")
    second = pulls.hub.image({**CONFIG, "author": "somebody else"}, tag="3")
    assert told(await pulls.pull("tool:3"))[-1] == "Status: Downloaded newer image for tool:3"
    assert pulls.images.find("tool:3").digest == second
    assert pulls.images.find(f"tool@{first}").author == "me"


async def test_a_configuration_that_is_known_by_its_digest_is_not_asked_for(pulls: Pulls) -> None:
    """Under another name, too; and the layers of an image that is known are not told again."""
    pulls.hub.image(tag="3")
    await pulls.pull("tool:3")
    pulls.asked()
    assert told(await pulls.pull("other.example/copy:3")) == [
        "3: Pulling from copy",
        f"Digest: {pulls.images.find('tool:3').digest}",
        "Status: Downloaded newer image for other.example/copy:3",
    ]
    assert pulls.asked() == ["GET copy/manifests/3"]
    text = await pulls.world.ledger.image_file(pulls.images.find("tool:3").id)
    assert text == to_json(CONFIG)


async def test_a_configuration_goes_with_the_last_name_of_its_image(pulls: Pulls) -> None:
    pulls.hub.image(tag="3")
    await pulls.pull("tool:3")
    image = pulls.images.find("tool:3")
    await pulls.images.tag("tool:3", "mine", "1")
    await pulls.images.remove("tool:3")
    assert await pulls.world.ledger.image_file(image.id)
    await pulls.images.remove("mine:1")
    assert await pulls.world.ledger.image_file(image.id) is None


async def test_another_platform_is_asked_for_although_the_tag_is_known(pulls: Pulls) -> None:
    amd64 = pulls.hub.image()
    arm64 = pulls.hub.image({**CONFIG, "architecture": "arm64"})
    both = ((amd64, "amd64"), (arm64, "arm64"))
    entries = [(digest, {"os": "linux", "architecture": name}) for digest, name in both]
    pulls.hub.manifest(index(*entries), media.OCI_INDEX, "3")
    await pulls.pull("tool:3")
    async with pulls.images.pull("tool:3", None, "linux/arm64") as progress:
        assert told([line async for line in progress])[-1] == "Status: Downloaded newer image for tool:3"
    assert pulls.images.find("tool:3").manifest_digest == arm64
    with pytest.raises(InvalidParameter, match="invalid platform"):
        pulls.images.pull("tool:3", None, "not/a/plat/form")


async def test_layers_that_other_images_have_exist_already(pulls: Pulls) -> None:
    pulls.hub.image(tag="3")
    pulls.hub.image({**CONFIG, "author": "you"}, tag="4")
    await pulls.pull("tool:3")
    assert told(await pulls.pull("tool:4"))[1] == f"{'2' * 12}: Already exists"


async def test_a_registry_that_tells_no_digest_is_asked_in_full(pulls: Pulls) -> None:
    pulls.hub.image(tag="3")
    pulls.registry.answer = lambda asked: Said(405) if asked.method == "HEAD" else pulls.hub(asked)
    await pulls.pull("tool:3")
    assert told(await pulls.pull("tool:3"))[-1] == "Status: Image is up to date for tool:3"


async def test_what_is_missing_only_is_asked_for(pulls: Pulls) -> None:
    """The policy `missing`: a tag means what it meant, also to a daemon that has just begun."""
    pulls.hub.image(tag="3")
    images = pulls.engine(fresh_seconds=math.inf)
    await pulls.pull("tool:3", images)
    pulls.asked()
    for each in (images, pulls.engine(fresh_seconds=math.inf)):
        assert told(await pulls.pull("tool:3", each))[-1] == "Status: Image is up to date for tool:3"
    assert pulls.asked() == []


async def test_an_answer_is_good_for_its_time_and_no_longer(pulls: Pulls) -> None:
    now = 1000.0
    pulls.hub.image(tag="3")
    images = pulls.engine(fresh_seconds=60, clock=lambda: now)
    await pulls.pull("tool:3", images)
    pulls.asked()
    now += 59
    await pulls.pull("tool:3", images)
    assert pulls.asked() == []
    now += 2
    for _ in range(2):
        await pulls.pull("tool:3", images)
    assert pulls.asked() == ["HEAD library/tool/manifests/3"]


async def test_every_tag_of_a_repository_is_pulled_page_by_page(pulls: Pulls) -> None:
    for tag in "abc":
        pulls.hub.image({**CONFIG, "author": tag}, tag=tag)
    lines = told(await pulls.pull("tool", all_tags=True))
    assert [line for line in lines if "Pulling from" in line] == [
        f"{tag}: Pulling from library/tool" for tag in "abc"
    ]
    assert lines[-1] == "Status: Downloaded newer image for tool"
    assert {pulls.images.find(f"tool:{tag}").author for tag in "abc"} == set("abc")
    assert told(await pulls.pull("tool", all_tags=True))[-1] == "Status: Image is up to date for tool"


async def test_a_tag_that_fails_leaves_those_before_it(pulls: Pulls) -> None:
    for tag in "abc":
        pulls.hub.image({**CONFIG, "author": tag}, tag=tag)
    pulls.hub.manifests["b"] = ("text/html", b"<html>")
    lines: list[PullProgress] = []
    with pytest.raises(Unavailable, match="a web page came"):
        async with pulls.images.pull("tool", None, all_tags=True) as progress:
            lines += [line async for line in progress]
    assert pulls.images.find("tool:a")
    with pytest.raises(NotFound):
        pulls.images.find("tool:c")


async def test_fargate_pulls_from_where_a_rule_says_and_the_name_stays(pulls: Pulls) -> None:
    digest = pulls.hub.image({"architecture": "amd64", "os": "linux"}, tag="3")
    images = pulls.engine(sources={"docker.io/library": "public.ecr.aws/docker/library"})
    lines = told(await pulls.pull("tool:3", images))
    assert "GET docker/library/tool/manifests/3" in pulls.asked()
    assert (lines[0], lines[-2]) == ("3: Pulling from library/tool", f"Digest: {digest}")
    image = images.find("tool:3")
    assert source_of(image).full == f"public.ecr.aws/docker/library/tool@{digest}"
    created = await pulls.world.containers.create(
        CreateRequest(name="web", config=ContainerConfig(image="tool:3", cmd=("x",)))
    )
    record = await pulls.world.containers.inspect(created.id)
    assert (record.config.image, record.image_pull) == ("tool:3", source_of(image).full)
    await pulls.pull("tool:3", images)
    assert pulls.asked() == ["HEAD docker/library/tool/manifests/3"]
    await images.tag("tool:3", "tool", "4")
    assert source_of(images.find("tool:4")).name == "public.ecr.aws/docker/library/tool"
    assert images.find("tool:4").digest == digest


async def test_what_is_missing_where_a_rule_sends_us_names_the_rule(pulls: Pulls) -> None:
    images = pulls.engine(sources={"docker.io": "public.ecr.aws/x"})
    with pytest.raises(NotFound) as missing:
        await pulls.pull("nosuch:1", images)
    assert str(missing.value).endswith(
        "(images.sources has nosuch pulled as public.ecr.aws/x/library/nosuch)"
    )


async def test_a_login_is_for_the_registry_it_was_given_for(pulls: Pulls) -> None:
    """A rule that sends us elsewhere takes no credentials along."""
    pulls.hub.image(tag="3")
    seen: list[str | None] = []

    def answer(asked: Asked) -> Said:
        seen.append(asked.headers.get("Authorization"))
        if "Authorization" not in asked.headers:
            return Said(401, b"", {"WWW-Authenticate": "Basic"})
        return pulls.hub(asked)

    pulls.registry.answer = answer
    images = pulls.engine(sources={"docker.io": "public.ecr.aws/x"})
    given = Credentials(username="me", password="hush")
    with pytest.raises(NotFound, match="pull access denied"):
        async with images.pull("tool:3", given):
            raise AssertionError("it begins")
    assert set(seen) == {None}
    async with pulls.images.pull("tool:3", given) as progress:
        assert [line async for line in progress]


@pytest.mark.parametrize("broken", ["manifests", "blobs"])
async def test_a_pull_that_fails_records_nothing(pulls: Pulls, broken: str) -> None:
    pulls.hub.image(tag="3")
    pulls.registry.answer = lambda asked: Said(500) if f"/{broken}/" in asked.path else pulls.hub(asked)
    before = dict(pulls.world.ledger.images)
    with pytest.raises(SockerlessError):
        await pulls.pull("tool:3")
    assert pulls.world.ledger.images == before
    assert pulls.world.told("image") == []


async def test_a_store_that_refuses_leaves_nothing_in_memory(pulls: Pulls, outside: Outside) -> None:
    pulls.hub.image(tag="3")
    outside.store.refuse = lambda changes: any(
        isinstance(change, Put) and isinstance(change.record, ImageFile) for change in changes
    )
    before = dict(pulls.world.ledger.images)
    with pytest.raises(StoreUnusable):
        await pulls.pull("tool:3")
    assert pulls.world.ledger.images == before


async def test_a_pull_that_is_cancelled_anywhere_records_all_or_nothing(
    pulls: Pulls, outside: Outside
) -> None:
    digest = pulls.hub.image(tag="3")
    for checkpoints in range(40):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cancel_after, scope, checkpoints)
                await pulls.pull("tool:3")
                nursery.cancel_scope.cancel()
        stored = await outside.store.load()
        recorded = "docker.io/library/tool:3" in pulls.world.ledger.images
        assert recorded == ("docker.io/library/tool:3" in stored.images)
        if recorded:
            image = pulls.images.find("tool:3")
            assert image.digest == digest
            assert await outside.store.get(ImageFile, image.id)
            await pulls.images.remove("tool:3")
        assert isinstance(outside.store, FlakyStore)


async def _cancel_after(scope: trio.CancelScope, checkpoints: int) -> None:
    for _ in range(checkpoints):
        await trio.lowlevel.checkpoint()
    scope.cancel()
