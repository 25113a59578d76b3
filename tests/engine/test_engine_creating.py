"""Creating, naming, listing: everything is checked before anything is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    SockerlessError,
    StoreUnusable,
    Unavailable,
)
from sockerless_ecs.model.container import ContainerConfig, CreateRequest, HostConfig
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.image import ImageRef
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.store.contract import Put
from tests.services.world import IMAGE, Outside, World, daemon


def request(name: str | None = "web", **more: object) -> CreateRequest:
    config = ContainerConfig(image="alpine", cmd=("true",))
    return replace(CreateRequest(name=name, config=config), **more)  # type: ignore[arg-type]


async def kept(world: World) -> int:
    return len((await world.store.load()).containers)


async def test_container_is_filled_from_its_image_and_stored(world: World, autojump_clock: MockClock) -> None:
    created = await world.containers.create(request(warnings=("w",)))
    record = await world.containers.inspect("/web")
    assert (created.id, created.warnings) == (record.id, ("w",))
    assert record.image_pull == "docker.io/library/alpine@" + IMAGE.manifest_digest
    assert (record.image_id, record.image_digest) == (IMAGE.id, IMAGE.manifest_digest)
    assert (record.argv, record.config.env) == (("true",), ("PATH=/bin",))
    assert record.config.hostname == record.id[:12]
    assert (record.state, record.task, record.run_id) == (State.CREATED, None, None)
    assert await world.store.get(type(record), record.id) == record
    assert world.actions() == ["create"]
    assert world.ecs.tasks == {}


async def test_definition_is_registered_once_for_each_content(
    world: World, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(world.containers.create, request(None))
        for _ in range(2):
            host = HostConfig(readonly_rootfs=True)
            nursery.start_soon(world.containers.create, request(None, host=host))
    assert sorted(definition.readonly_root for definition in world.ecs.registered) == [False, True]
    assert len({live.record.name for live in world.ledger}) == 12


async def test_definition_is_found_again_after_a_lost_database(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        first = await world.create()
    new = Outside(ecs=outside.ecs)
    async with daemon(new) as world:
        second = await world.create()
    assert first.record.task_definition_arn == second.record.task_definition_arn
    assert len(outside.ecs.registered) == 1


BAD: dict[str, tuple[CreateRequest, type[SockerlessError], str]] = {
    "image": (request(config=ContainerConfig(image="nginx")), NotFound, "No such image: nginx:latest"),
    "no image": (request(config=ContainerConfig(image="")), InvalidParameter, "no image was named"),
    "name": (request("-"), InvalidParameter, "Invalid container name"),
    "platform": (
        request(platform="linux/arm64"),
        NotFound,  # clients pull then
        r"image with reference alpine was found but its platform \(linux/amd64\) does not match",
    ),
    "no platform": (request(platform="foobar"), InvalidParameter, "unknown operating system"),
    "signal": (
        request(config=ContainerConfig(image="alpine", stop_signal="SIGNOPE")),
        InvalidParameter,
        "Invalid signal: SIGNOPE",
    ),
    "size": (request(host=HostConfig(memory_bytes=1 << 50)), InvalidParameter, "the largest Fargate task"),
}


@pytest.mark.parametrize(("wrong", "error", "message"), BAD.values(), ids=BAD.keys())
async def test_request_that_is_wrong_keeps_nothing(
    world: World,
    autojump_clock: MockClock,
    wrong: CreateRequest,
    error: type[SockerlessError],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        await world.containers.create(wrong)
    assert await kept(world) == 0
    await world.containers.create(request())


async def test_platform_that_is_the_image_s_is_fine(world: World, autojump_clock: MockClock) -> None:
    await world.containers.create(request(platform="linux/amd64"))
    await world.containers.create(request(None, platform="linux"))
    await world.containers.create(request(None, platform="x86_64"))


@pytest.mark.parametrize("operation", ["find_task_definition", "register_task_definition", "store"])
async def test_create_that_fails_gives_its_name_back(
    world: World, autojump_clock: MockClock, operation: str
) -> None:
    if operation == "store":
        wrong = world.store.commits + 2
        world.store.refuse = lambda _: world.store.commits == wrong
    else:
        world.ecs.faults[operation].append(Unavailable("throttled"))
    with pytest.raises((Unavailable, StoreUnusable)):
        await world.containers.create(request())
    assert (list(world.ledger), await kept(world), world.actions()) == ([], 0, [])
    await world.containers.create(request())


@pytest.mark.parametrize("moments", range(15))
async def test_create_that_is_cancelled_at_any_moment_is_whole_or_nothing(
    autojump_clock: MockClock, moments: int
) -> None:
    async with daemon(Outside()) as world, trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_after, scope, moments)
            await world.containers.create(request())
        assert len(list(world.ledger)) == await kept(world) == len(world.actions())
        if not list(world.ledger):
            await world.containers.create(request())


async def cancel_after(scope: trio.CancelScope, moments: int) -> None:
    for _ in range(moments):
        await trio.lowlevel.checkpoint()
    scope.cancel()


async def test_name_in_use_is_a_conflict_also_while_its_owner_is_being_created(
    world: World, autojump_clock: MockClock
) -> None:
    outcomes: list[str] = []

    async def create() -> None:
        try:
            await world.containers.create(request())
        except Conflict as conflict:
            assert 'The container name "/web" is already in use' in conflict.message  # noqa: PT017
            outcomes.append("conflict")
        else:
            outcomes.append("created")

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(create)
    assert sorted(outcomes) == ["conflict", "conflict", "created"]


async def test_rename_frees_the_old_name_and_takes_the_new_one(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create(name="web")
    await world.containers.rename("web", "/api")
    stored = await world.stored(live)
    assert stored is not None
    assert (stored.name, world.ledger.find("api")) == ("api", live)
    await world.create(name="web")
    assert world.told()[1].attributes["oldName"] == "/web"
    with pytest.raises(Conflict, match="already in use"):
        await world.containers.rename("api", "web")


@pytest.mark.parametrize(
    ("name", "message"),
    [("", "may be empty"), ("web", "same name as its current name"), ("-", "Invalid container name")],
)
async def test_rename_to_what_cannot_be_is_refused(
    world: World, autojump_clock: MockClock, name: str, message: str
) -> None:
    await world.create(name="web")
    with pytest.raises(InvalidParameter, match=message):
        await world.containers.rename("web", name)


async def test_rename_that_is_not_stored_did_not_happen(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(name="web")
    world.store.refuse = lambda _: True
    with pytest.raises(StoreUnusable):
        await world.containers.rename("web", "api")
    assert world.ledger.find("web") is live
    world.store.refuse = lambda _: False
    await world.create(name="api")


async def test_what_is_stored_during_a_rename_has_the_new_name(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(name="web")
    world.store.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.rename, "web", "api")
        await world.idle()
        world.agent.exit(1)
        await world.idle()
        world.store.hold.set()
    world.store.hold = None
    await world.ended(live)
    stored = await world.stored(live)
    assert stored is not None
    assert (stored.name, stored.exit_code) == ("api", 1)


async def test_container_that_is_going_is_not_renamed(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(name="web")
    world.store.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.remove, "web")
        await world.idle()
        with pytest.raises(Conflict, match="marked for removal"):
            await world.containers.rename("web", "api")
        world.store.hold.set()
    world.store.hold = None
    assert await world.stored(live) is None
    await world.create(name="api")


async def test_list_is_newest_first_and_shows_what_runs(world: World, autojump_clock: MockClock) -> None:
    lives = [await world.create(name=name) for name in ("one", "two", "six")]
    for number, live in enumerate(lives):
        live.become(created_ns=number)
    await world.containers.start("one")

    async def names(
        filters: Filters | None = None, *, everything: bool = False, limit: int | None = None
    ) -> list[str]:
        found = await world.containers.list(filters or {}, include_stopped=everything, limit=limit)
        return [record.name for record in found]

    assert await names() == ["one"]
    assert await names(everything=True) == ["six", "two", "one"]
    assert await names(limit=2) == ["six", "two"]
    assert await names({"status": ["created"]}) == ["six", "two"]
    assert await names({"name": ["one|two"]}, everything=True) == ["two", "one"]
    assert await names({"ancestor": ["alpine"]}, everything=True) == ["six", "two", "one"]
    assert await names({"before": ["six"]}, everything=True) == ["two", "one"]
    assert await names({"health": ["none"]}, everything=True) == ["six", "two", "one"]
    with pytest.raises(InvalidParameter, match="invalid filter 'nope'"):
        await names({"nope": ["1"]})
    with pytest.raises(NotFound):
        await names({"since": ["nobody"]})


async def test_prune_removes_what_does_not_run(world: World, autojump_clock: MockClock) -> None:
    kept_one = await world.create(labels={"keep": "1"})
    runs = await world.run()
    old = await world.create()
    assert await world.containers.prune({"label!": ["keep"]}) == [old.id]
    assert {live.id for live in world.ledger} == {kept_one.id, runs.id}


async def test_prune_spares_what_was_started_meanwhile(world: World, autojump_clock: MockClock) -> None:
    first, second = [await world.create() for _ in range(2)]
    world.store.hold = trio.Event()
    pruned: list[str] = []
    async with trio.open_nursery() as nursery:

        async def prune() -> None:
            pruned.extend(await world.containers.prune({}))

        nursery.start_soon(prune)
        await world.idle()
        launch = world.launcher.begin(second)
        world.store.hold.set()
        world.store.hold = None
        await launch.outcome()
    assert (pruned, second.record.state) == ([first.id], State.RUNNING)


async def test_info_counts_from_memory(world: World, autojump_clock: MockClock) -> None:
    await world.run()
    await world.create()
    info = await world.system.info()
    assert (info.containers, info.running, info.paused, info.stopped, info.images) == (2, 1, 0, 1, 1)
    assert (info.architecture, info.cpus) == ("aarch64", 16)
    await world.system.ping()


async def test_events_are_filtered_and_unknown_filters_refused(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    filters: Filters = {"event": ["start"], "container": [live.id]}
    async with world.system.events(since_ns=1, until_ns=2 * 10**18, filters=filters) as events:
        event: EngineEvent = await anext(aiter(events))
    assert (event.action, event.actor_id) == ("start", live.id)
    with pytest.raises(InvalidParameter, match="invalid filter"):
        world.system.events(filters={"nope": ["1"]})


async def test_pull_resolves_stores_and_tells(world: World, outside: Outside) -> None:
    world.ledger.images.clear()
    for expected in ("Downloaded newer image for", "Image is up to date for"):
        async with world.images.pull("alpine:3", None) as progress:
            lines = [line async for line in progress]
        assert [line.status.split(":")[0] for line in lines] == [
            "Pulling from library/alpine",
            "Digest",
            "Status",
        ]
        assert lines[-1].status == f"Status: {expected} alpine:3"
    image = await world.images.inspect("alpine:3")
    assert image.ref == "docker.io/library/alpine:3"
    assert (await world.store.load()).images[image.ref] == image
    assert world.told("image")[0].actor_id == "alpine:3"
    assert await world.images.names(image.id) == [image]
    assert await world.images.list({"reference": ["alpine"]}) == [image]
    assert await world.images.list({"reference": ["nginx"]}) == []
    assert await world.images.list({"label": ["a"]}) == []
    assert outside.registry.asked[0][1].architecture == "amd64"


async def test_image_is_found_by_name_and_id(world: World) -> None:
    for name in ("alpine", "docker.io/library/alpine:latest", IMAGE.id, IMAGE.id[7:19]):
        assert world.images.find(name) == IMAGE
    other = replace(IMAGE, id="sha256:" + "1" * 63 + "2", ref=ImageRef("docker.io/library/b:latest"))
    world.ledger.images[other.ref] = other
    await world.ledger.save(Put(other))
    with pytest.raises(InvalidParameter, match="ambiguous"):
        world.images.find("1" * 12)
    with pytest.raises(InvalidParameter, match=r"repository name \(library/UPPER\) must be lowercase"):
        world.images.find("UPPER")
