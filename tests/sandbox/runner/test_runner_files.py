"""Layers: what an archive may say, and what a container then sees."""

from __future__ import annotations

import tarfile
import threading
from pathlib import Path

import pytest

from sockerless_ecs.sandbox.runner.client import Mount, RunnerError
from tests.sandbox.runner.box import Box, Entry, archive

FOLDER, LINK, HARD = {"type": b"5"}, b"2", b"1"


def unpack(box: Box, folder: Path, *entries: Entry) -> str:
    """A layer of these entries."""
    return box.runner.unpack(*archive(folder, *entries))


def test_whiteouts_and_opaque_folders_hide_what_is_below(box: Box, tmp_path: Path) -> None:
    """In every order of entries."""
    lower = unpack(
        box,
        tmp_path,
        ("data", FOLDER, b""),
        ("data/old", {}, b"o"),
        ("data/kept", {}, b"k"),
        ("gone", {}, b"g"),
        ("cache", FOLDER, b""),
        ("cache/below", {}, b"b"),
    )
    upper = unpack(
        box,
        tmp_path,
        (".wh.gone", {}, b""),
        ("data/.wh.old", {}, b""),
        ("cache", FOLDER, b""),
        ("cache/.wh..wh..opq", {}, b""),
        ("cache/above", {}, b"a"),
    )
    log = (
        box.print(
            "ls",
            _at(box, "/data"),
            ";",
            "ls",
            _at(box, "/cache"),
            ";",
            "ls",
            _at(box, "/"),
            layers=(*box.tool, lower, upper),
        )
        if _rooted(box)
        else ""
    )
    if log:
        data, cache, root = log.splitlines()
        assert (data, cache) == ("kept", "above")
        assert "gone" not in root


def _rooted(box: Box) -> bool:
    return not any("static programs" in limit for limit in box.runner.limits)


def _at(box: Box, path: str) -> str:
    return path


def test_nothing_in_an_archive_leaves_its_layer(box: Box, tmp_path: Path) -> None:
    """Names, symlinks and hard links that point outside."""
    victims = [Path("/tmp") / f"sockerless-escaped-{number}" for number in range(1, 5)]
    hostile: list[list[Entry]] = [
        [(f"../../../../../..{victims[0]}", {}, b"!")],
        [(str(victims[1]), {}, b"!")],
        [("out", {"type": LINK, "linkname": "/tmp"}, b""), (f"out/{victims[2].name}", {}, b"!")],
        [
            ("up", {"type": LINK, "linkname": "../../../../../../tmp"}, b""),
            (f"up/{victims[3].name}", {}, b"!"),
        ],
        [("hard", {"type": HARD, "linkname": "../../../../../../etc/passwd"}, b"")],
    ]
    for entries in hostile:
        try:
            unpack(box, tmp_path, *entries)
        except RunnerError as error:
            assert "cannot be unpacked" in str(error)  # noqa: PT017
    assert [victim for victim in victims if victim.exists()] == []
    assert not list((box.runner._state / "layers").glob("*/*.partial"))


@pytest.mark.mode("full")
def test_owners_modes_links_and_attributes_are_kept(box: Box, tmp_path: Path) -> None:
    """Setuid too; overlay's own attributes are refused."""
    layer = unpack(
        box,
        tmp_path,
        ("su", {"mode": 0o4755, "uid": 5, "gid": 6}, b"su"),
        ("again", {"type": HARD, "linkname": "su"}, b""),
        (
            "tagged",
            {"pax_headers": {"SCHILY.xattr.user.tag": "yes", "SCHILY.xattr.trusted.overlay.opaque": "y"}},
            b"t",
        ),
    )
    assert box.print("stat", "/su", layers=(*box.tool, layer)) == "104755 5 6 2 2\n"
    import os  # noqa: PLC0415

    assert os.listxattr(
        f"/proc/{box.runner._process.pid}/root{box.runner._state}/layers/full/{layer}/tagged"
    ) == ["user.tag"]


@pytest.mark.parametrize("name", ["etc", "dev", "proc/self"])
def test_links_of_an_image_lead_nothing_of_ours_out_of_it(box: Box, tmp_path: Path, name: str) -> None:
    """What is written into every container stays there, whatever its folders are."""
    outside = box.runner._state / "outside"
    outside.mkdir(exist_ok=True)
    outside.chmod(0o777)
    try:
        layer = unpack(box, tmp_path, (name, {"type": LINK, "linkname": str(outside)}, b""))
    except RunnerError:
        return
    box.finish(box.container("print", "x", layers=(*box.tool, layer)))
    assert list(outside.iterdir()) == []


def test_devices_and_fifos_of_a_layer_are_not_read(box: Box, tmp_path: Path) -> None:
    """What comes out of them has no end; an image may have brought them along."""
    layer = unpack(
        box,
        tmp_path,
        ("zero", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, b""),
        ("fifo", {"type": tarfile.FIFOTYPE}, b""),
        ("file", {}, b"beside them"),
    )
    if _rooted(box):
        assert box.print("cat", "/file", layers=(*box.tool, layer)) == "beside them"


def test_a_layer_is_unpacked_once_even_by_many(box: Box, tmp_path: Path) -> None:
    """Threads of a server ask at the same time."""
    path, digest = archive(tmp_path, ("x", {}, b"x" * 100_000))
    names: list[str] = []
    threads = [
        threading.Thread(target=lambda: names.append(box.runner.unpack(path, digest))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1


def test_a_broken_archive_is_an_error_that_names_the_layer(box: Box, tmp_path: Path) -> None:
    """And can be tried again."""
    path = tmp_path / "broken"
    path.write_bytes(b"not a tar archive")
    with pytest.raises(RunnerError, match="sha256:feed"):
        box.runner.unpack(path, "sha256:feed")
    good, _ = archive(tmp_path, ("x", {}, b"x"))
    assert box.runner.unpack(good, "sha256:feed") == "feed"


def test_a_volume_with_a_folder_is_shared_by_tasks(
    box: Box, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As EFS is: what one task writes the next one reads, and the machine too."""
    folder = box.runner._state / "shared"
    if not folder.exists():
        box.finish(box.container("print", "x"))
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    fields = {"mounts": (Mount("efs", "/efs"),), "volumes": {"efs": folder}}
    result = box.print("write", "/efs/x", "shared", **fields)
    if any("Shared folders reach image host only" in limit for limit in box.runner.limits):
        return
    assert result == ""
    assert (folder / "x").read_text() == "shared\n"
    assert box.print("cat", "/efs/x", **fields) == "shared\n"


@pytest.mark.mode("rootless")
def test_containers_of_a_task_share_its_volume_while_they_run(box: Box) -> None:
    """And nobody else does."""
    result = box.finish(
        box.container(
            "write",
            "/v/x",
            "from-side",
            ";",
            "sleep",
            "60",
            name="side",
            essential=False,
            mounts=(Mount("v", "/v"),),
        ),
        box.container("sleep", "0.2", ";", "cat", "/v/x", mounts=(Mount("v", "/v"),)),
        volumes={"v": None},
    )
    assert result.log == "from-side\n"


@pytest.mark.mode("rootless")
def test_an_image_without_layers_is_empty_and_says_so(box: Box) -> None:
    """Nothing can be executed in it."""
    result = box.finish(box.container("print", layers=()))
    assert result.codes == {"main": 127}
