"""What was copied into a container before it started reaches it, whatever becomes of tasks and daemons."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import AgentLost, AgentUnreachable
from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import Live
from tests.services.fake_agent import FakeAgent
from tests.services.fake_files import FakeArchive, Write
from tests.services.world import Outside, World, daemon


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(uploads=tmp_path / "uploads")


@pytest.fixture
async def world(outside: Outside) -> AsyncIterator[World]:
    """On the real clock: one that jumps takes a thread for idleness."""
    async with daemon(outside) as running:
        yield running


async def eventually(reached: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not reached():  # noqa: ASYNC110 - a level, looked at
            await trio.sleep(0.005)


async def put(world: World, live: Live, data: bytes, path: str = "/", **how: bool) -> None:
    await world.containers.write_archive(live.id, path, FakeArchive(None, [data]), **how)


def written(world: World, live: Live) -> list[bytes]:
    """What the container's present task was given."""
    assert live.agent is not None
    return [write.data for write in world.files.disk(live.agent).writes]


def kept(outside: Outside) -> list[str]:
    """The folder's files, by what they are."""
    assert outside.uploads is not None
    return sorted(path.suffix for path in outside.uploads.iterdir()) if outside.uploads.exists() else []


async def test_upload_reaches_the_task_at_once_and_is_not_given_to_it_twice(
    world: World, outside: Outside
) -> None:
    live = await world.create()
    await put(world, live, b"one", "etc", copy_uid_gid=True)
    await put(world, live, b"two", "/var", no_overwrite_dir_non_dir=True)
    assert live.agent is not None
    agent = live.agent
    assert len(kept(outside)) == 4
    await world.containers.start(live.id)
    assert world.files.disk(agent).writes == [
        Write("/etc", b"one", copy_uid_gid=True),
        Write("/var", b"two", no_overwrite_dir_non_dir=True),
    ]
    assert len(world.ecs.requests) == 1
    await eventually(lambda: kept(outside) == [])


async def test_uploads_are_given_in_order_to_the_task_that_replaces_a_dead_one(world: World) -> None:
    live = await world.create()
    for number in range(12):
        await put(world, live, b"%d" % number)
    world.ecs.agent.reachable = False
    await world.containers.start(live.id)
    assert len(world.ecs.requests) == 2
    assert written(world, live) == [b"%d" % number for number in range(12)]


async def test_what_was_copied_is_seen_in_the_task_that_is_prepared_next(world: World) -> None:
    live = await world.create()
    await put(world, live, b"one")
    await world.idle()
    world.agent.end()
    await world.idle()
    assert live.record.task is None
    await world.launcher.prepare(live)
    assert written(world, live) == [b"one"]
    await put(world, live, b"two")
    assert written(world, live) == [b"one", b"two"]


@pytest.mark.parametrize("error", [AgentLost("cut"), AgentUnreachable("refused")])
@pytest.mark.parametrize("call", ["write", "written"])
async def test_upload_that_a_task_takes_along_is_given_to_the_next(
    world: World, call: str, error: SockerlessError
) -> None:
    live = await world.create()
    await put(world, live, b"one")
    world.agent.faults[call].append(error)
    await put(world, live, b"two")
    assert len(world.ecs.requests) == 2
    assert written(world, live) == [b"one", b"two"]
    await world.containers.start(live.id)
    assert written(world, live) == [b"one", b"two"]


async def test_delivery_that_is_cut_off_during_the_start_is_made_again(world: World) -> None:
    live = await world.create()
    await put(world, live, b"one")
    await put(world, live, b"two")
    world.ecs.agent.reachable = False

    def cut_once() -> FakeAgent:
        agent = FakeAgent()
        agent.faults["written"].append(AgentLost("cut"))
        return agent

    world.ecs.make_agent = cut_once
    await world.containers.start(live.id)
    assert live.record.state is State.RUNNING
    assert written(world, live) == [b"one", b"two"]


async def test_upload_that_the_agent_refuses_is_not_kept(world: World, outside: Outside) -> None:
    live = await world.create()
    await world.launcher.prepare(live)
    world.agent.faults["write"].append(InvalidParameter("agent: no tar"))
    with pytest.raises(InvalidParameter, match="no tar"):
        await put(world, live, b"one")
    assert kept(outside) == []
    await put(world, live, b"two")
    await world.containers.start(live.id)
    assert written(world, live) == [b"two"]


async def test_body_that_is_cut_short_is_neither_kept_nor_delivered(world: World, outside: Outside) -> None:
    live = await world.create()

    async def cut() -> AsyncIterator[bytes]:
        yield b"x" * 10_000
        raise InvalidParameter("the body was cut short")

    with pytest.raises(InvalidParameter, match="cut short"):
        await world.containers.write_archive(live.id, "/", cut())
    assert world.ecs.requests == []
    assert kept(outside) == []


async def test_client_that_leaves_half_way_leaves_nothing(world: World, outside: Outside) -> None:
    live = await world.create()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"x" * 10_000
        await trio.sleep_forever()

    with trio.move_on_after(0.05):
        await world.containers.write_archive(live.id, "/", stalled())
    assert kept(outside) == []


async def test_client_that_leaves_during_the_delivery_leaves_nothing_kept(
    world: World, outside: Outside
) -> None:
    live = await world.create()
    agent = await world.launcher.prepare(live)
    world.files.disk(agent).hold = trio.Event()
    with trio.move_on_after(0.05):
        await put(world, live, b"one")
    assert kept(outside) == []


async def test_uploads_of_a_container_are_bounded_together(world: World, outside: Outside) -> None:
    live = await world.create()
    await put(world, live, bytes(700_000))
    with pytest.raises(InvalidParameter, match="more than 1 MiB were to be copied into a container"):
        await put(world, live, bytes(400_000))
    assert [len(data) for data in written(world, live)] == [700_000]
    assert len(kept(outside)) == 2
    await put(world, live, bytes(300_000))
    other = await world.create()
    await put(world, other, bytes(1_000_000))


async def test_uploads_are_for_their_owners_eyes_only(world: World, outside: Outside) -> None:
    live = await world.create()
    await put(world, live, b"secret")
    assert outside.uploads is not None
    assert stat.S_IMODE(outside.uploads.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in outside.uploads.iterdir()} == {0o600}


async def test_disk_that_is_full_is_told_and_leaves_nothing(world: World, outside: Outside) -> None:
    live = await world.create()
    assert outside.uploads is not None
    outside.uploads.write_text("not a folder")
    with pytest.raises(Unavailable, match="cannot be kept"):
        await put(world, live, b"one")
    outside.uploads.unlink()
    await put(world, live, b"one")


@pytest.mark.parametrize("prepared", [True, False], ids=["its task lives", "its task is gone"])
async def test_uploads_survive_a_crash_between_copy_and_start(outside: Outside, prepared: bool) -> None:
    async with daemon(outside) as world:
        live = await world.create()
        await put(world, live, b"one")
        await put(world, live, b"two")
    if not prepared:
        outside.ecs.stops(outside.ecs.arn)
    async with daemon(outside) as world:
        world.reconciler.begin()
        again = world.ledger.find(live.id)
        await put(world, again, b"three")
        await world.containers.start(again.id)
        assert written(world, again) == [b"one", b"two", b"three"]
        await eventually(lambda: kept(outside) == [])


async def test_uploads_survive_a_crash_in_the_middle_of_the_start(outside: Outside) -> None:
    async with daemon(outside) as world:
        live = await world.create()
        await put(world, live, b"one")
        await world.idle()
        world.agent.end()
        await world.idle()
        outside.ecs.hold["run_task"] = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.containers.start, live.id)
            await world.idle()
            nursery.cancel_scope.cancel()
    outside.ecs.hold.pop("run_task").set()
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
        again = world.ledger.find(live.id)
        await world.until(again, State.RUNNING)
        assert written(world, again) == [b"one"]


async def test_uploads_go_with_their_container(world: World, outside: Outside) -> None:
    live = await world.create()
    await put(world, live, b"one")
    await world.containers.remove(live.id)
    assert kept(outside) == []


async def test_container_removed_while_its_upload_is_on_the_way_keeps_nothing(
    world: World, outside: Outside
) -> None:
    live = await world.create()
    agent = await world.launcher.prepare(live)
    world.files.disk(agent).hold = trio.Event()
    async with trio.open_nursery() as nursery:

        async def refused() -> None:
            with pytest.raises(NotFound, match="No such container"):
                await put(world, live, b"one")

        nursery.start_soon(refused)
        await eventually(lambda: bool(world.files.disk(agent).writes))
        await world.containers.remove(live.id)
        hold = world.files.disk(agent).hold
        assert hold is not None
        hold.set()
    assert kept(outside) == []


async def test_what_belongs_to_nobody_is_swept_at_the_start(outside: Outside) -> None:
    async with daemon(outside) as world:
        live = await world.create()
        await put(world, live, b"mine")
        gone = await world.run()
    assert outside.uploads is not None
    strangers = ["f" * 64 + "-000001.tar", "f" * 64 + "-000001.json", gone.id + "-000001.tar", "x.part", "y"]
    strangers += [f"{live.id}-7.part", f"{live.id}-000009.tar", f"{live.id}-000002.json"]
    for name in strangers:
        (outside.uploads / name).write_bytes(b"?")
    async with daemon(outside) as world:
        assert sorted(path.name for path in outside.uploads.iterdir()) == [
            f"{live.id}-000001.json",
            f"{live.id}-000001.tar",
        ]


async def test_store_that_forgets_keeps_uploads_in_a_folder_that_goes_with_it(outside: Outside) -> None:
    outside.uploads = None
    async with daemon(outside) as world:
        live = await world.create()
        await put(world, live, b"one")
        folder = world.uploads._folder
        assert folder is not None
        assert len(list(folder.iterdir())) == 2
        world.ecs.agent.reachable = False
        await world.containers.start(live.id)
        assert written(world, live) == [b"one"]
    assert not folder.exists()


async def test_start_waits_for_an_upload_that_is_on_its_way(world: World) -> None:
    """As in Docker, where a container does one thing at a time."""
    live = await world.create()
    agent = await world.launcher.prepare(live)
    disk = world.files.disk(agent)
    disk.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(put, world, live, b"one")
        await eventually(lambda: bool(disk.writes))
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        assert world.agent.started == []
        disk.hold.set()
    assert live.record.state is State.RUNNING
    assert written(world, live) == [b"one"]


async def test_upload_to_a_start_under_way_goes_to_the_container_that_runs(
    world: World, outside: Outside
) -> None:
    live = await world.create()
    world.ecs.hold["run_task"] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        nursery.start_soon(put, world, live, b"late")
        await world.idle()
        world.ecs.hold.pop("run_task").set()
    assert written(world, live) == [b"late"]
    assert kept(outside) == []


async def test_file_that_was_cut_short_on_disk_fails_the_start_and_says_so(
    world: World, outside: Outside
) -> None:
    live = await world.create()
    await put(world, live, b"one")
    world.ecs.agent.reachable = False
    assert outside.uploads is not None
    for path in outside.uploads.glob("*.tar"):
        path.write_bytes(b"o")
    with pytest.raises(Unavailable, match="lost"):
        await world.containers.start(live.id)
    assert live.record.state is State.CREATED
