"""What a container has made of its image, as one tar: whiteouts, then what its agent packs."""

from __future__ import annotations

import io
import os
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.agent.files import ChangedPath
from sockerless_ecs.engine.changes import Difference, differences
from sockerless_ecs.engine.layering import Layer, packed_paths
from sockerless_ecs.model.files import ChangeKind
from sockerless_ecs.registry import Tree
from sockerless_ecs.registry.layer_names import LayerNames
from tests.engine.bundles import layer
from tests.services.fake_files import FakeArchive, FakeChanges

A, C, D = ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.DELETED


async def made(*found: Difference, packed: bytes = bytes(1024)) -> bytes:
    return b"".join([piece async for piece in Layer(found, FakeArchive(None, [packed]))])


def names(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        return [one.name for one in tar]


async def test_whiteouts_and_what_is_packed_are_one_tar() -> None:
    packed = layer({"etc/new": b"x"})
    data = await made(
        Difference("/etc/old", D), Difference("/etc/new", A), Difference("/top", D), packed=packed
    )
    assert names(data) == ["etc/.wh.old", ".wh.top", "etc/new"]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        heads = [(one.size, one.mode, one.mtime, one.uid) for one in tar]
    assert heads[:2] == [(0, 0o600, 0, 0)] * 2


async def test_nothing_taken_away_leaves_the_packed_tar_as_it_is() -> None:
    packed = layer({"etc/new": b"x"})
    assert await made(Difference("/etc/new", A), packed=packed) == packed


async def test_any_name_can_be_taken_away() -> None:
    odd = [
        os.fsdecode(name)
        for name in (b"\xff\xfe", b"new\nline", "☃".encode(), b"x" * 250, b"d/" * 100 + b"x")
    ]
    data = await made(*(Difference(f"/{name}", D) for name in odd))
    expected = [f"{'/'.join(name.split('/')[:-1])}/.wh.{name.split('/')[-1]}".lstrip("/") for name in odd]
    assert names(data) == expected


async def test_what_is_made_anew_for_each_container_is_never_taken_away() -> None:
    gone = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv", "/proc", "/sys/x", "/dev/pts/0"]
    kept = ["/etc/hosts.allow", "/device", "/a/etc/hosts"]
    data = await made(*(Difference(path, D) for path in (*gone, *kept)))
    assert names(data) == ["etc/.wh.hosts.allow", ".wh.device", "a/etc/.wh.hosts"]


async def test_any_number_of_whiteouts_comes_in_small_pieces() -> None:
    gone = [Difference(f"/d/{number}", D) for number in range(5_000)]
    pieces = [piece async for piece in Layer(gone, FakeArchive(None, [bytes(1024)]))]
    assert max(map(len, pieces)) <= 51_200
    assert len(names(b"".join(pieces))) == 5_000


def test_paths_to_pack_come_parents_first_and_whole_where_nothing_is_told_of_what_is_below() -> None:
    found = [
        Difference("/a", C),
        Difference("/a/gone", D),
        Difference("/a/new", A),
        Difference("/b", A, moved=True),
    ]
    assert packed_paths(found) == ["/a", "/a/new", "/b/"]


async def test_what_came_with_a_new_directory_is_packed_whole_unless_it_is_told_itself() -> None:
    tree = Tree()
    tree.apply([("/etc", True)])
    changed = [
        ChangedPath("/new", directory=True, entries=("moved", "made", "late")),
        ChangedPath("/new/made", directory=True, entries=("inner",)),
        ChangedPath("/new/late", directory=False, entries=()),
    ]
    found = await differences(FakeChanges(changed), tree)
    assert packed_paths(found) == ["/new", "/new/late", "/new/made", "/new/made/inner/", "/new/moved/"]


async def test_directory_that_was_made_anew_takes_away_each_name_that_it_had() -> None:
    """As good as opaque, and told in the same words as every other removal."""
    tree = Tree()
    tree.apply([("/d", True), ("/d/sub", True), ("/d/sub/x", False), ("/d/y", False)])
    changed = [
        ChangedPath("/d", directory=True, entries=("new", "sub")),
        ChangedPath("/d/new", directory=False, entries=()),
        ChangedPath("/d/sub", directory=True, entries=()),
    ]
    found = await differences(FakeChanges(changed), tree)
    assert packed_paths(found) == ["/d", "/d/new", "/d/sub"]
    assert names(await made(*found)) == ["d/sub/.wh.x", "d/.wh.y"]


_NAMES = st.sampled_from(["a", "b", "c"])
_PATHS = st.lists(_NAMES, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))


@given(st.sets(_PATHS), st.sets(_PATHS))
async def test_image_with_the_layer_on_top_has_what_the_container_has(
    before: set[str], after: set[str]
) -> None:
    """Whatever was there and is there now, by names: the layer makes the one of the other."""
    image, container = _tree(before), _tree(after)
    changed = [
        ChangedPath(path, directory=True, entries=tuple(container.names(path)))
        for path in ("/", *_folders(container, "/"))
    ]
    found = await differences(FakeChanges(changed), image)
    whiteouts = LayerNames()
    whiteouts.feed(await made(*found))
    image.apply(whiteouts.entries)
    packed = [one for one in found if one.kind is not D]
    image.apply([(one.path, True) for one in packed])
    assert list(_folders(image, "/")) == list(_folders(container, "/"))


def _tree(paths: set[str]) -> Tree:
    """Of directories alone."""
    tree = Tree()
    tree.apply([(path, True) for path in sorted(paths)])
    return tree


def _folders(tree: Tree, path: str) -> list[str]:
    below = [f"{path.rstrip('/')}/{name}" for name in sorted(tree.names(path))]
    return [one for folder in below for one in (folder, *_folders(tree, folder))]
