"""Files of containers: where they are, what is told of them, what has become of an image's."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import AgentLost, AgentUnreachable
from sockerless_ecs.agent.files import ChangedPath
from sockerless_ecs.engine.changes import differences, shown
from sockerless_ecs.engine.files import UNPACKED_BYTES, rooted
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError, Unimplemented
from sockerless_ecs.model.files import ChangeKind, PathStat
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.registry import Tree
from sockerless_ecs.services.ledger import Live
from tests.services.fake_files import Disk, FakeArchive, FakeChanges
from tests.services.world import Outside, World, daemon

FILE = PathStat(name="hosts", size=5, mode=0o644, mtime_ns=1)


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(uploads=tmp_path / "uploads")


@pytest.fixture
async def world(outside: Outside) -> AsyncIterator[World]:
    """On the real clock: one that jumps takes a thread for idleness."""
    async with daemon(outside) as running:
        yield running


def disk(world: World, live: Live) -> Disk:
    assert live.agent is not None
    return world.files.disk(live.agent)


@pytest.mark.parametrize("state", ["running", "paused", "lingering"])
async def test_files_are_at_the_live_agent(world: World, state: str) -> None:
    live = await world.run()
    disk(world, live).stats["/etc/hosts"] = FILE
    disk(world, live).tars["/etc/hosts"] = [b"a ", b"tar"]
    if state == "paused":
        await world.containers.pause(live.id)
    if state == "lingering":
        world.agent.exit(0)
        await world.until(live, State.EXITED)
    assert await world.containers.stat_path(live.id, "etc/hosts") == FILE
    async with world.containers.read_archive(live.id, "/etc/hosts") as archive:
        assert archive.stat == FILE
        assert b"".join([piece async for piece in archive]) == b"a tar"
    await world.containers.write_archive(live.id, "/etc", FakeArchive(None, [b"plain"]), copy_uid_gid=True)
    assert [write.data for write in disk(world, live).writes] == [b"plain"]
    assert disk(world, live).limits == [UNPACKED_BYTES]
    assert len(world.ecs.requests) == 1
    assert outside_is_empty(world)


def outside_is_empty(world: World) -> bool:
    folder = world.uploads._folder
    return folder is None or not folder.exists() or not list(folder.iterdir())


async def test_looking_into_a_created_container_makes_its_task(world: World) -> None:
    live = await world.create()
    with pytest.raises(NotFound) as caught:
        await world.containers.stat_path(live.record.name, "/nope")
    assert str(caught.value) == f"Could not find the file /nope in container {live.record.name}"
    assert live.record.state is State.CREATED
    assert len(world.ecs.requests) == 1
    disk(world, live).stats["/"] = FILE
    assert await world.containers.stat_path(live.id, "/") == FILE
    assert len(world.ecs.requests) == 1


async def test_files_that_went_with_their_task_are_a_conflict_that_says_how_to_keep_them(
    world: World,
) -> None:
    live = await world.run(labels={"sockerless.linger": "7"})
    world.agent.exit(0)
    await world.ended(live)
    world.agent.end()
    await world.idle()
    assert live.record.task is None

    async def read() -> None:
        async with world.containers.read_archive(live.id, "/x"):
            pass

    async def export() -> None:
        async with world.containers.export(live.id):
            pass

    for ask in (
        lambda: world.containers.stat_path(live.id, "/x"),
        lambda: world.containers.write_archive(live.id, "/x", FakeArchive(None, [])),
        lambda: world.containers.changes(live.id),
        read,
        export,
    ):
        with pytest.raises(
            Conflict, match=r"7 seconds after the container ended; the label sockerless\.linger"
        ):
            await ask()


@pytest.mark.parametrize("error", [AgentLost("cut"), AgentUnreachable("refused")])
async def test_connection_that_broke_is_made_again(world: World, error: SockerlessError) -> None:
    live = await world.run()
    disk(world, live).stats["/x"] = FILE
    world.agent.faults["stat"].append(error)
    assert await world.containers.stat_path(live.id, "/x") == FILE


async def test_prepared_task_that_is_gone_gives_way_to_a_new_one(world: World) -> None:
    live = await world.create()
    await world.launcher.prepare(live)
    world.agent.reachable = False
    with pytest.raises(NotFound):
        await world.containers.stat_path(live.id, "/x")
    assert len(world.ecs.requests) == 2


async def test_lingering_task_that_has_just_gone_is_told_as_gone(world: World) -> None:
    live = await world.run()
    world.agent.exit(0)
    await world.until(live, State.EXITED)
    world.agent.faults["stat"].append(AgentLost("cut"))
    with pytest.raises(Conflict, match="the file system of container"):
        await world.containers.stat_path(live.id, "/x")


async def test_who_asks_during_a_start_is_answered_by_the_container_that_runs(world: World) -> None:
    live = await world.create()
    world.ecs.hold["run_task"] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()

        async def look() -> None:
            with pytest.raises(NotFound):
                await world.containers.stat_path(live.id, "/x")
            assert live.record.state is State.RUNNING

        nursery.start_soon(look)
        await world.idle()
        world.ecs.hold.pop("run_task").set()
    assert len(world.ecs.requests) == 1


async def test_tar_that_is_cut_short_is_never_taken_for_whole(world: World) -> None:
    live = await world.run()
    disk(world, live).stats["/x"] = FILE
    disk(world, live).tars["/x"] = [b"half", AgentLost("cut")]
    async with world.containers.read_archive(live.id, "/x") as archive:
        with pytest.raises(AgentLost):
            _ = [piece async for piece in archive]


async def test_export_passes_the_agents_tar_through(world: World) -> None:
    live = await world.run()
    pieces = [b"x" * 100_000, b"y"]
    disk(world, live).tars["/"] = list(pieces)
    async with world.containers.export(live.id) as tar:
        assert all(one is other for one, other in zip([p async for p in tar], pieces, strict=True))


async def test_compressed_archive_reaches_the_agent_unpacked(world: World) -> None:
    live = await world.run()
    await world.containers.write_archive(live.id, "/", FakeArchive(None, [gzip.compress(b"a tar")]))
    created = await world.create()
    await world.containers.write_archive(created.id, "/", FakeArchive(None, [gzip.compress(b"a tar")]))
    assert disk(world, live).writes[0].data == disk(world, created).writes[0].data == b"a tar"


async def test_compressed_archive_that_is_cut_short_is_refused(world: World) -> None:
    for live in (await world.run(), await world.create()):
        with pytest.raises(InvalidParameter, match="unexpected EOF"):
            await world.containers.write_archive(
                live.id, "/", FakeArchive(None, [gzip.compress(b"a tar" * 1000)[:-9]])
            )
        assert live.agent is None or disk(world, live).writes == []
    assert outside_is_empty(world)


async def test_bomb_is_refused_before_a_created_container_sees_it(world: World) -> None:
    live = await world.create()
    with pytest.raises(InvalidParameter, match="more than 1 MiB"):
        await world.containers.write_archive(live.id, "/", FakeArchive(None, [gzip.compress(bytes(3 << 20))]))
    assert world.ecs.requests == []
    assert outside_is_empty(world)


async def test_agents_refusal_is_told_in_its_words(world: World) -> None:
    live = await world.run()
    world.agent.faults["write"].append(InvalidParameter("extraction point is not a directory"))
    with pytest.raises(InvalidParameter, match=r"^extraction point is not a directory$"):
        await world.containers.write_archive(live.id, "/etc/passwd", FakeArchive(None, []))
    world.agent.faults["write"].append(NotFound("no such directory"))
    await world.containers.rename(live.id, "web")
    with pytest.raises(NotFound, match=r"^Could not find the file /nope in container web$"):
        await world.containers.write_archive("web", "/nope", FakeArchive(None, []))


async def test_nothing_is_written_to_a_read_only_root(world: World) -> None:
    for live in (await world.run(readonly_rootfs=True), await world.create(readonly_rootfs=True)):
        with pytest.raises(InvalidParameter, match=r"^container rootfs is marked read-only$"):
            await world.containers.write_archive(live.id, "/tmp", FakeArchive(None, [b"x"]))
    assert len(world.ecs.requests) == 1


async def test_unknown_container_is_told_as_such(world: World) -> None:
    for ask in (
        lambda: world.containers.stat_path("nope", "/x"),
        lambda: world.containers.write_archive("nope", "/x", FakeArchive(None, [])),
        lambda: world.containers.changes("nope"),
    ):
        with pytest.raises(NotFound, match=r"^No such container: nope$"):
            await ask()


async def test_every_copy_is_an_event_as_in_docker(world: World) -> None:
    live = await world.run()
    disk(world, live).stats["/x"] = FILE
    disk(world, live).tars["/"] = []
    await world.containers.write_archive(live.id, "/", FakeArchive(None, []))
    async with world.containers.read_archive(live.id, "/x"), world.containers.export(live.id):
        pass
    assert world.actions()[-3:] == ["extract-to-dir", "archive-path", "export"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("etc", "/etc"),
        ("/etc/", "/etc/"),
        ("/etc/.", "/etc/."),
        (".", "/."),
        ("/", "/"),
        ("//a//b", "/a/b"),
        ("../../etc/../x", "/x"),
        ("/a/..", "/"),
        ("/../", "/"),
        ("a b/ü", "/a b/ü"),
    ],
)
def test_paths_are_seen_from_the_root_and_never_lead_out_of_it(path: str, expected: str) -> None:
    assert rooted(path) == expected


@pytest.mark.parametrize("path", ["", "a\0b"])
def test_paths_that_are_none_are_refused(path: str) -> None:
    with pytest.raises(InvalidParameter, match=r"^bad parameter: path"):
        rooted(path)


def image(*paths: str) -> Tree:
    tree = Tree()
    tree.apply((path.rstrip("/"), path.endswith("/")) for path in paths)
    return tree


def directory(path: str, *entries: str) -> ChangedPath:
    return ChangedPath(path, directory=True, entries=entries)


def file(path: str) -> ChangedPath:
    return ChangedPath(path, directory=False, entries=())


async def told(tree: Tree, *changed: ChangedPath) -> list[str]:
    letters = {ChangeKind.MODIFIED: "C", ChangeKind.ADDED: "A", ChangeKind.DELETED: "D"}
    return [f"{letters[one.kind]} {one.path}" for one in shown(await differences(FakeChanges(changed), tree))]


async def test_what_is_new_changed_and_gone_is_told_with_what_is_above_it() -> None:
    tree = image("/etc/", "/etc/passwd", "/etc/old", "/usr/", "/usr/lib/", "/usr/lib/a", "/tmp/")
    assert await told(
        tree,
        directory("/", "etc", "usr", "tmp", "new", "proc", ".sockerless"),
        directory("/etc", "passwd", "hosts"),
        file("/etc/passwd"),
        directory("/new", "x"),
        file("/new/x"),
        file("/usr/lib/a"),
    ) == [
        "C /etc",
        "D /etc/old",
        "C /etc/passwd",
        "A /new",
        "A /new/x",
        "C /usr",
        "C /usr/lib",
        "C /usr/lib/a",
    ]


async def test_of_a_directory_that_went_only_the_top_is_told() -> None:
    tree = image("/d/", "/d/sub/", "/d/sub/x", "/y")
    assert await told(tree, directory("/", "y")) == ["D /d"]
    assert await told(tree, directory("/", "d", "y"), directory("/d")) == ["C /d", "D /d/sub"]


async def test_directory_that_became_a_file_is_modified_and_one_that_a_file_became_too() -> None:
    tree = image("/d/", "/d/x", "/f")
    assert await told(tree, file("/d"), directory("/f", "y"), file("/f/y")) == ["C /d", "C /f", "A /f/y"]


async def test_what_was_moved_into_a_new_directory_is_new_although_it_has_not_changed() -> None:
    assert await told(image("/d/"), directory("/new", "moved")) == ["A /new", "A /new/moved"]


async def test_changes_are_sorted_as_a_walk_meets_them_and_never_told_twice() -> None:
    tree = image("/a/", "/a-b")
    told_twice = [file("/a/z"), file("/a-b"), file("/a/z"), directory("/a", "z")]
    assert await told(tree, *told_twice) == ["C /a", "A /a/z", "C /a-b"]


async def test_directory_that_only_got_what_is_mounted_in_it_is_not_told() -> None:
    tree = image("/etc/", "/etc/passwd")
    mounted = directory("/etc", "passwd", "hosts", "resolv.conf")
    assert await told(tree, mounted) == []
    assert await told(tree, mounted, file("/etc/passwd")) == ["C /etc", "C /etc/passwd"]
    assert await told(tree, directory("/etc", "passwd")) == ["C /etc"]


async def test_nothing_changed_is_nothing_told() -> None:
    assert await told(image("/a"), directory("/", "a", "dev")) == []


async def test_names_that_are_no_utf8_are_told_as_docker_tells_them() -> None:
    assert await told(image(), file("/b\udcffd")) == ["A /b�d"]


async def test_changes_are_compared_with_the_image_that_the_task_runs(world: World) -> None:
    live = await world.run()
    disk(world, live).changed = [file("/new")]
    (change,) = await world.containers.changes(live.id)
    assert (change.path, change.kind) == ("/new", ChangeKind.ADDED)
    ((image_id, reference),) = world.contents.asked
    assert image_id == live.record.image_id
    assert reference.wanted == live.record.image_digest


async def test_changes_of_the_sandboxs_own_machine_cannot_be_told(world: World) -> None:
    live = await world.run(labels={"sockerless.sandbox.host": "true"})
    with pytest.raises(Unimplemented, match="the image host stands for"):
        await world.containers.changes(live.id)
