"""Logins that are kept for Fargate: there when they are needed, and never left behind."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace

import pytest
import structlog.testing
import trio
from trio.testing import MockClock

from sockerless_ecs.engine.values import Credentials
from sockerless_ecs.errors import Misconfigured, NotFound, StoreUnusable, Unavailable
from sockerless_ecs.model.cleanup import CleanupJob, CleanupKind
from sockerless_ecs.model.container import ContainerConfig, CreateRequest
from sockerless_ecs.model.image import Image
from sockerless_ecs.services.janitor import new_job
from sockerless_ecs.store.contract import Delete, Put
from tests.services.world import IMAGE, Outside, World, daemon

TOOL = "ghcr.io/team/tool:1"
ME, YOU = Credentials(username="me", password="hush"), Credentials(username="you", password="quiet")
PRIVATE, MOVED = (
    replace(
        IMAGE,
        id="sha256:" + f"{digit}1" * 32,
        digest="sha256:" + f"{digit}2" * 32,
        manifest_digest="sha256:" + f"{digit}3" * 32,
    )
    for digit in "78"
)
"""What the registry has, and what it has once the name has moved."""


@pytest.fixture
def outside() -> Outside:
    """Logins are kept, and the registry wants one."""
    outside = Outside(keeps_logins=True)
    outside.registry.private = outside.registry.says_digests = True
    outside.registry.image = PRIVATE
    return outside


async def pull(world: World, credentials: Credentials | None = ME, name: str = TOOL) -> Image:
    async with world.images.pull(name, credentials) as progress:
        _ = [line async for line in progress]
    return world.images.find(name)


async def create(world: World, name: str = TOOL) -> str:
    created = await world.containers.create(CreateRequest(name=None, config=ContainerConfig(image=name)))
    return created.id


def held(outside: Outside) -> list[dict[str, str]]:
    """The logins in Secrets Manager."""
    return [json.loads(value) for value in outside.secrets.values.values()]


async def settled(outside: Outside, world: World) -> list[str]:
    """The ARNs that are referred to, once nothing moves: what is in AWS is just that, and will be deleted."""
    await world.idle()
    stored = await outside.store.load()
    of_images = {image.credentials_arn for image in stored.images.values()}
    of_containers = {container.credentials_arn for container in stored.containers.values()}
    arns = (of_images | of_containers) - {""}
    names = {arn.partition(":secret:")[2].rpartition("-")[0] for arn in arns}
    jobs = [job for job in stored.cleanup_jobs.values() if job.kind is CleanupKind.DELETE_SECRET]
    assert set(outside.secrets.values) == names
    assert sorted(job.target for job in jobs) == sorted(names)
    assert {job.id for job in jobs} <= set(world.ledger.jobs)
    return sorted(arns)


async def test_login_that_worked_is_kept_until_its_last_user_goes(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    image = await pull(world)
    assert await settled(outside, world) == [image.credentials_arn]
    [name] = outside.secrets.values
    assert name.startswith("sockerless/i/ghcr.io/")
    assert held(outside) == [{"username": "me", "password": "hush"}]
    container = await create(world)
    assert world.ecs.registered[-1].repository_credentials == image.credentials_arn
    await world.images.tag(TOOL, "mine", "1")
    await world.images.remove(TOOL)
    await world.images.remove("mine:1", force=True)
    assert await settled(outside, world) == [image.credentials_arn]
    await world.containers.remove(container)
    assert await settled(outside, world) == []
    assert world.ledger.jobs == {}


async def test_container_that_goes_first_leaves_the_secret_to_the_image(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    image = await pull(world)
    await world.containers.remove(await create(world))
    assert await settled(outside, world) == [image.credentials_arn]
    await world.images.remove(TOOL)
    assert await settled(outside, world) == []


async def test_registry_that_asks_for_no_login_has_none_kept(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    outside.registry.private = False
    image = await pull(world)
    assert (image.credentials_arn, await settled(outside, world)) == ("", [])
    outside.registry.private = True
    image = await pull(world)
    assert await settled(outside, world) == [image.credentials_arn]
    outside.registry.private = False
    assert (await pull(world, None)).credentials_arn == ""
    assert await settled(outside, world) == []


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"keeps_logins": False}, TOOL),
        ({"named_secrets": {"ghcr.io": "arn:aws:secretsmanager:eu-west-1:1:secret:x-abcdef"}}, TOOL),
        ({}, "registry.example/loaded:1"),
        ({"pulling": {"sources": {"ghcr.io": "registry.example/cache"}}}, TOOL),
    ],
    ids=["by default", "where one is configured", "ECR", "an ECR cache"],
)
async def test_no_login_is_kept(
    outside: Outside, autojump_clock: MockClock, settings: dict[str, object], name: str
) -> None:
    outside.registry.private = not settings.get("pulling")
    async with daemon(replace(outside, **settings)) as world:  # type: ignore[arg-type]
        image = await pull(world, name=name)
        assert (image.credentials_arn, outside.secrets.asked) == ("", [])
        assert await settled(outside, world) == []


async def test_configured_secret_is_no_business_of_the_keeper(
    outside: Outside, autojump_clock: MockClock
) -> None:
    """Not even one that was kept once, and whose ARN somebody then wrote into the configuration."""
    async with daemon(outside) as world:
        arn = (await pull(world)).credentials_arn
        await world.idle()
    outside.named_secrets = {"ghcr.io": arn}
    async with daemon(outside) as world:
        await create(world)
        assert world.ecs.registered[-1].repository_credentials == arn
        assert (await pull(world)).credentials_arn == ""
        await world.images.remove(TOOL, force=True)
        await world.containers.prune({})
        await world.idle()
        assert held(outside) == [{"username": "me", "password": "hush"}]


async def test_changed_password_changes_the_secret_and_the_same_one_changes_nothing(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    arn = (await pull(world)).credentials_arn
    assert (await pull(world)).credentials_arn == arn
    assert outside.secrets.asked == ["keep", "keep answer", "find"]
    assert (await pull(world, replace(ME, password="new"))).credentials_arn == arn
    assert held(outside) == [{"username": "me", "password": "new"}]
    assert await settled(outside, world) == [arn]


async def test_password_that_may_have_been_stored_is_not_taken_for_the_one_before(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    await pull(world)
    outside.secrets.faults["keep answer"].append(Unavailable("the answer was lost"))
    with pytest.raises(Unavailable):
        await pull(world, replace(ME, password="new"))
    assert held(outside) == [{"username": "me", "password": "new"}]
    await pull(world)
    assert held(outside) == [{"username": "me", "password": "hush"}]


async def test_each_user_name_and_each_registry_has_a_secret_of_its_own(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    mine = (await pull(world)).credentials_arn
    assert (await pull(world, name="ghcr.io/team/other:1")).credentials_arn == mine
    hub = (await pull(world, name="me/app:1")).credentials_arn
    odd = (await pull(world, name="[::1]:5000/x:1")).credentials_arn
    assert "sockerless/i/___1__5000/" in odd
    yours = (await pull(world, YOU, name="ghcr.io/team/other:1")).credentials_arn
    assert await settled(outside, world) == sorted({mine, hub, odd, yours})
    assert len({mine, hub, odd, yours}) == 4


async def test_last_pull_of_a_name_decides_and_the_secret_before_goes(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    mine = (await pull(world)).credentials_arn
    yours = (await pull(world, YOU)).credentials_arn
    assert await settled(outside, world) == [yours]
    outside.registry.image = MOVED
    assert (await pull(world)).credentials_arn == mine.replace("000001", "000003")
    # The image of before has lost its name, not its way back.
    assert await settled(outside, world) == sorted([mine.replace("000001", "000003"), yours])
    await world.images.remove(PRIVATE.id)
    await world.idle()
    assert held(outside) == [{"username": "me", "password": "hush"}]


async def test_secret_that_somebody_deleted_is_made_again_at_the_next_pull(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    first = (await pull(world)).credentials_arn
    [name] = outside.secrets.values
    await outside.secrets.delete(name)
    second = (await pull(world)).credentials_arn
    assert second != first
    assert await settled(outside, world) == [second]


async def test_identity_token_is_said_to_be_of_no_use(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    with structlog.testing.capture_logs() as logs:
        image = await pull(world, Credentials(identity_token="a-token"))
    assert (image.credentials_arn, outside.secrets.asked) == ("", [])
    [told] = [entry for entry in logs if entry["event"] == "registry_login_not_kept"]
    assert (told["log_level"], told["registry"]) == ("warning", "ghcr.io")
    assert "identity token" in told["reason"]


async def test_answer_that_would_be_fresh_does_not_keep_a_login_from_being_tried(
    outside: Outside, autojump_clock: MockClock
) -> None:
    outside.pulling = {"fresh_seconds": float("inf")}
    async with daemon(outside) as world:
        arn = (await pull(world)).credentials_arn
        assert (await pull(world, None)).credentials_arn == arn  # nobody was asked
        await pull(world, replace(ME, password="new"))
        assert held(outside) == [{"username": "me", "password": "new"}]
        assert await settled(outside, world) == [arn]


async def test_pulls_at_once_share_the_secret(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(pull, world, ME, f"ghcr.io/team/tool:{number}")
    assert outside.secrets.asked.count("keep") == 1
    assert len(await settled(outside, world)) == 1


@pytest.mark.parametrize("operation", ["keep", "keep answer", "find"])
@pytest.mark.parametrize("error", [Unavailable("throttled"), Misconfigured("AccessDenied")])
async def test_pull_whose_login_cannot_be_kept_fails_and_says_so(
    world: World, outside: Outside, autojump_clock: MockClock, operation: str, error: Exception
) -> None:
    """Rather than give an image that Fargate will not get."""
    if operation == "find":
        await pull(world, name="ghcr.io/team/other:1")
    outside.secrets.faults[operation].append(error)
    with pytest.raises(type(error), match=r"login at ghcr.io could not be kept .*keep_credentials.*: "):
        await pull(world)
    with pytest.raises(NotFound):
        world.images.find(TOOL)
    await settled(outside, world)
    assert (await pull(world)).credentials_arn
    await settled(outside, world)


async def test_pull_that_the_store_refuses_leaves_no_secret(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    outside.store.refuse = lambda _: True
    with pytest.raises(StoreUnusable):
        await pull(world)
    assert outside.secrets.asked == []  # not even the clean-up of it could be stored
    outside.store.refuse = puts_an_image
    with pytest.raises(StoreUnusable):
        await pull(world)
    outside.store.refuse = lambda _: False
    await world.idle()
    assert (outside.secrets.values, await settled(outside, world)) == ({}, [])


def forgets_a_job(changes: tuple[Put | Delete, ...]) -> bool:
    return any(isinstance(change, Delete) and change.kind is CleanupJob for change in changes)


def puts_an_image(changes: tuple[Put | Delete, ...]) -> bool:
    return any(isinstance(change, Put) and isinstance(change.record, Image) for change in changes)


@pytest.mark.parametrize("before", ["nothing", "another password", "the same", "another user"])
@pytest.mark.parametrize("moments", range(16))
async def test_pull_that_is_cancelled_at_any_moment_leaves_only_what_is_used(
    outside: Outside, autojump_clock: MockClock, before: str, moments: int
) -> None:
    async with daemon(outside) as world:
        match before:
            case "another password":
                await pull(world, replace(ME, password="old"))
            case "the same":
                await pull(world)
            case "another user":
                await pull(world, YOU)
                outside.registry.image = MOVED
        await world.idle()
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(cancel_after, scope, moments)
                await pull(world)
        arns = await settled(outside, world)
        assert bool(arns) is (TOOL in world.ledger.images)
        await pull(world)
        assert {"username": "me", "password": "hush"} in held(outside)
        await settled(outside, world)


async def test_cancelled_moments_cover_the_whole_pull(outside: Outside, autojump_clock: MockClock) -> None:
    """The longest of the pulls above is over when the last of these moments comes."""
    async with daemon(outside) as world, trio.open_nursery() as nursery:
        await pull(world, YOU)
        outside.registry.image = MOVED
        with trio.CancelScope() as scope:
            nursery.start_soon(cancel_after, scope, 15)
            await pull(world)
            nursery.cancel_scope.cancel()
        assert not scope.cancelled_caught


async def cancel_after(scope: trio.CancelScope, moments: int) -> None:
    for _ in range(moments):
        await trio.lowlevel.checkpoint()
    scope.cancel()


@pytest.mark.parametrize("operation", ["keep", "keep answer", "find", "delete"])
async def test_daemon_that_dies_in_the_middle_leaves_the_next_one_to_clean_up(
    outside: Outside, autojump_clock: MockClock, operation: str
) -> None:
    async with daemon(outside) as world, trio.open_nursery() as nursery:
        if operation in ("find", "delete"):
            await pull(world, name="ghcr.io/team/other:1")
        outside.secrets.hold[operation] = trio.Event()
        if operation == "delete":
            await world.images.remove("ghcr.io/team/other:1")
        else:
            nursery.start_soon(until_the_store_refuses, pull, world)
        await world.idle()
        outside.store.refuse = lambda _: True
        outside.secrets.hold.pop(operation).set()
        await world.idle()
        nursery.cancel_scope.cancel()
    outside.store.refuse = lambda _: False
    async with daemon(outside) as world:
        arns = await settled(outside, world)
        assert len(arns) == (operation == "find")


@pytest.mark.parametrize("number", range(1, 7))
async def test_daemon_that_dies_at_any_write_leaves_the_next_one_to_clean_up(
    outside: Outside, autojump_clock: MockClock, number: int
) -> None:
    """From pull over container to removal: from one write on, none arrives any more."""
    async with daemon(outside) as world, trio.open_nursery() as nursery:
        last = outside.store.commits + number
        outside.store.refuse = lambda _: outside.store.commits >= last
        nursery.start_soon(until_the_store_refuses, whole_life, world)
        await world.idle()
        nursery.cancel_scope.cancel()
    outside.store.refuse = lambda _: False
    async with daemon(outside) as world:
        await settled(outside, world)


async def whole_life(world: World) -> None:
    await pull(world)
    container = await create(world)
    await world.images.remove(TOOL, force=True)
    await world.containers.remove(container)


async def until_the_store_refuses(work: Callable[[World], Awaitable[object]], world: World) -> None:
    with suppress(StoreUnusable):
        await work(world)


async def test_secret_that_is_in_use_outlives_the_daemon_and_one_that_is_not_goes_at_boot(
    outside: Outside, autojump_clock: MockClock
) -> None:
    async with daemon(outside, janitor=False) as world:
        image = await pull(world)
        await pull(world, YOU, "ghcr.io/team/other:1")
        await outside.store.commit(Delete(Image, "ghcr.io/team/other:1"))
        assert len(held(outside)) == 2
    async with daemon(outside) as world:
        assert await settled(outside, world) == [image.credentials_arn]
        assert (await pull(world)).credentials_arn == image.credentials_arn
        assert await settled(outside, world) == [image.credentials_arn]


async def test_deletion_that_fails_is_tried_again(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    await pull(world)
    outside.secrets.faults["delete"] += [Unavailable("throttled")] * 3
    await world.images.remove(TOOL)
    await trio.sleep(10)
    assert (await settled(outside, world), outside.secrets.asked.count("delete")) == ([], 4)


async def test_secret_that_is_wanted_again_before_it_is_deleted_stays(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    arn = (await pull(world)).credentials_arn
    outside.secrets.faults["delete"].append(Unavailable("throttled"))
    await world.images.remove(TOOL)
    await world.idle()
    assert (await pull(world)).credentials_arn == arn
    await trio.sleep(100)
    assert await settled(outside, world) == [arn]
    assert outside.secrets.asked.count("delete") == 1


async def test_pull_during_the_deletion_waits_for_its_end_and_makes_another_secret(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    first = (await pull(world)).credentials_arn
    outside.secrets.hold["delete"] = trio.Event()
    await world.images.remove(TOOL)
    await world.idle()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pull, world)
        await world.idle()
        outside.secrets.hold.pop("delete").set()
    [second] = await settled(outside, world)
    assert second != first
    assert outside.secrets.asked == ["keep", "keep answer", "delete", "keep", "keep answer"]


async def test_pull_before_a_deletion_is_recorded_has_a_clean_up_of_its_own(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    await pull(world)
    outside.store.refuse = forgets_a_job
    await world.images.remove(TOOL)
    await world.idle()
    arn = (await pull(world)).credentials_arn
    outside.store.refuse = lambda _: False
    await trio.sleep(5)
    assert await settled(outside, world) == [arn]


async def test_secrets_in_use_keep_no_other_clean_up_from_being_done(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    for number in range(20):
        await pull(world, replace(ME, username=f"user-{number}"), f"ghcr.io/team/tool:{number}")
    world.janitor.add(new_job(CleanupKind.STOP_TASK, "arn:1", "why"))
    await world.idle()
    assert world.ecs.stopped == ["arn:1"]


async def test_container_that_is_being_created_keeps_the_secret_of_an_image_that_goes(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    arn = (await pull(world)).credentials_arn
    world.ecs.hold["find_task_definition"] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(create, world)
        await world.idle()
        await world.images.remove(TOOL)
        await world.idle()
        assert len(held(outside)) == 1
        world.ecs.hold.pop("find_task_definition").set()
    assert await settled(outside, world) == [arn]


async def test_create_that_fails_lets_the_secret_of_an_image_that_went_go(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    await pull(world)
    world.ecs.hold["find_task_definition"] = trio.Event()
    world.ecs.faults["find_task_definition"].append(Unavailable("throttled"))

    async def fails() -> None:
        with pytest.raises(Unavailable):
            await create(world)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fails)
        await world.idle()
        await world.images.remove(TOOL)
        world.ecs.hold.pop("find_task_definition").set()
    assert await settled(outside, world) == []


async def test_definition_that_is_registered_again_has_the_same_secret(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    image = await pull(world)
    container = await create(world)
    world.ecs.definitions.clear()
    world.ecs.faults["run_task"].append(NotFound("no such definition"))
    await world.containers.start(container)
    assert [one.repository_credentials for one in world.ecs.registered] == [image.credentials_arn] * 2


async def test_passwords_are_in_no_log_and_no_record(
    world: World, outside: Outside, autojump_clock: MockClock
) -> None:
    with structlog.testing.capture_logs() as logs:
        image = await pull(world)
        container = await create(world)
        outside.secrets.faults["find"].append(Unavailable("throttled"))
        with pytest.raises(Unavailable) as caught:
            await pull(world)
        await world.containers.remove(container)
        await world.images.remove(TOOL)
        await world.idle()
    assert {"registry_login_kept", "registry_login_deleted"} <= {entry["event"] for entry in logs}
    everything = f"{logs} {image} {caught.value} {await outside.store.load()} {world.kept_logins._kept}"
    assert "hush" not in everything
