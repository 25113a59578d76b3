"""Files of a container: what a path is, tars out and in, as Docker packs and unpacks them."""

from __future__ import annotations

import os
import socket
import stat
import tarfile
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import AgentLost, StartRequest, files
from sockerless_ecs.errors import InvalidParameter, NotFound, SockerlessError
from tests.agent.conftest import StartAgent
from tests.agent.tars import LIMIT, Entries, get, get_bytes, member, pieces, put, raw_names, read, tar_of
from tests.conftest import not_run_here

_GO_DIRECTORY, _GO_LINK, _GO_SETUID = 1 << 31, 1 << 27, 1 << 23
_ODD_NAMES = [
    b"new\nline",
    b"not utf-8 \xff\xfe",
    "snow ☃ \U0001f40b".encode(),
    b" leading and trailing ",
    b"-rf *?[]{}$`'\"\\",
    b".wh.not-a-whiteout",
    b"x" * 255,
]


async def test_stat_says_what_a_path_is(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    os.utime(tmp_path / "file", ns=(1, 1_600_000_000_123_456_789))
    (tmp_path / "file").chmod(0o4750)
    (tmp_path / "link").symlink_to("../" + tmp_path.name + "/file")
    async with start_agent() as task:
        said = await files.stat_path(task.client, f"{tmp_path}/file")
        assert (said.name, said.size, said.mtime_ns) == ("file", 5, 1_600_000_000_123_456_789)
        assert said.mode == 0o750 | _GO_SETUID
        assert said.link_target == ""
        link = await files.stat_path(task.client, f"{tmp_path}/link")
        assert link.mode & _GO_LINK
        assert link.link_target == f"{tmp_path}/file"
        folder = await files.stat_path(task.client, str(tmp_path))
        assert folder.is_directory
        assert (await files.stat_path(task.client, "/")).name == "/"
        with pytest.raises(NotFound):
            await files.stat_path(task.client, f"{tmp_path}/nothing")


async def test_stat_of_a_link_with_a_slash_is_of_its_target(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    async with start_agent() as task:
        assert not (await files.stat_path(task.client, f"{tmp_path}/link")).is_directory
        said = await files.stat_path(task.client, f"{tmp_path}/link/")
        assert (said.name, said.is_directory) == ("link", True)


async def test_link_that_leads_in_a_circle_is_an_error_as_in_docker(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    async with start_agent() as task:
        with pytest.raises(SockerlessError, match="too many links in"):
            await files.stat_path(task.client, f"{tmp_path}/loop")
        with pytest.raises(SockerlessError, match="too many levels"):
            await files.stat_path(task.client, f"{tmp_path}/loop/x")
        assert (await get(task.client, tmp_path))[f"{tmp_path.name}/loop"][0].linkname == "loop"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("dir", ["dir/", "dir/a"]),
        ("dir/", ["dir/", "dir/a"]),
        ("dir/.", ["./", "./a"]),
        ("dir/./", ["./", "./a"]),
        ("dir/a", ["a"]),
        ("dir/../dir", ["dir/", "dir/a"]),
        ("link", ["link"]),
        ("link/", ["link/", "link/a"]),
        ("link/.", ["./", "./a"]),
        ("link/a", ["a"]),
    ],
)
async def test_entries_are_named_as_docker_does(
    start_agent: StartAgent, tmp_path: Path, asked: str, names: list[str]
) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/a").write_bytes(b"1")
    (tmp_path / "link").symlink_to("dir")
    async with start_agent() as task:
        assert raw_names(await get_bytes(task.client, f"{tmp_path}/{asked}")) == names


async def test_archive_tells_its_paths_stat(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello")
    async with start_agent() as task:
        async with files.read_archive(task.client, f"{tmp_path}/file") as archive:
            assert archive.stat == await files.stat_path(task.client, f"{tmp_path}/file")
        with pytest.raises(NotFound):
            async with files.read_archive(task.client, f"{tmp_path}/nothing"):
                pass


async def test_every_kind_of_file_comes_out_and_goes_in_again(
    start_agent: StartAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/file").write_bytes(b"content")
    (source / "sub/file").chmod(0o6755)
    os.link(source / "sub/file", source / "hard")
    (source / "soft").symlink_to("sub/file")
    (source / "dangling").symlink_to("/nowhere/at/all")
    os.mkfifo(source / "fifo")
    (source / "fifo").chmod(0o622)
    monkeypatch.chdir(source)  # the paths of sockets must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    with (source / "sparse").open("wb") as sparse:
        sparse.truncate(3_000_000)
    for name in _ODD_NAMES:
        (source / "sub" / os.fsdecode(name)).write_bytes(name)
    os.utime(source / "sub/file", (1_500_000_000, 1_500_000_000))
    os.utime(source / "soft", (1_400_000_000, 1_400_000_000), follow_symlinks=False)
    (source / "sub").chmod(0o1711)
    os.utime(source / "sub", (1_300_000_000, 1_300_000_000))
    (tmp_path / "copy").mkdir()
    async with start_agent() as task:
        packed = await get_bytes(task.client, source)
        await files.write_archive(task.client, f"{tmp_path}/copy", pieces(packed, 1000), limit_bytes=LIMIT)
    copy = tmp_path / "copy/source"
    assert {os.fsencode(path.name) for path in (copy / "sub").iterdir()} == {*_ODD_NAMES, b"file"}
    assert sorted(path.name for path in copy.iterdir()) == [
        "dangling", "fifo", "hard", "soft", "sparse", "sub",
    ]  # fmt: skip
    assert (copy / "sub/file").read_bytes() == b"content"
    assert stat.S_IMODE((copy / "sub/file").stat().st_mode) == 0o6755
    assert (copy / "sub/file").stat().st_mtime == 1_500_000_000
    assert (copy / "hard").stat().st_ino == (copy / "sub/file").stat().st_ino
    assert (copy / "soft").readlink() == Path("sub/file")
    assert (copy / "soft").lstat().st_mtime == 1_400_000_000
    assert (copy / "dangling").readlink() == Path("/nowhere/at/all")
    assert stat.S_ISFIFO((copy / "fifo").stat().st_mode)
    assert stat.S_IMODE((copy / "fifo").stat().st_mode) == 0o622
    assert (copy / "sparse").read_bytes() == bytes(3_000_000)
    assert stat.S_IMODE((copy / "sub").stat().st_mode) == 0o1711
    assert (copy / "sub").stat().st_mtime == 1_300_000_000  # although files were made in it


async def test_long_paths_and_ten_thousand_entries_make_the_round(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    deep = tmp_path / "source" / Path(*["d" * 60] * 5)  # 300 bytes
    deep.mkdir(parents=True)
    for number in range(10_000):
        (deep.parent / f"{number}").write_bytes(b"%d" % number)
    (deep / "last").write_bytes(b"here")
    (tmp_path / "copy").mkdir()
    async with start_agent() as task:
        packed = await get_bytes(task.client, tmp_path / "source")
        await files.write_archive(task.client, f"{tmp_path}/copy", pieces(packed), limit_bytes=LIMIT)
    again = tmp_path / "copy" / deep.relative_to(tmp_path)
    assert (again / "last").read_bytes() == b"here"
    assert {path.name: path.read_bytes() for path in again.parent.iterdir() if path.is_file()} == {
        str(number): b"%d" % number for number in range(10_000)
    }


async def test_owners_and_devices_are_kept(start_agent: StartAgent, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs full mode: users of its own")
    entries: Entries = [
        (member("file", uid=1234, gid=4321, mode=0o4711), b"x"),
        member("link", tarfile.SYMTYPE, linkname="file", uid=7, gid=8),
        member("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666, uid=9, gid=9),
    ]
    async with start_agent() as task:
        await put(task.client, tmp_path, entries)
        found = await get(task.client, tmp_path)
    file = (tmp_path / "file").stat()
    assert (file.st_uid, file.st_gid, stat.S_IMODE(file.st_mode)) == (1234, 4321, 0o4711)
    assert (tmp_path / "link").lstat().st_uid == 7
    null = (tmp_path / "null").stat()
    assert (null.st_rdev, null.st_gid, stat.S_IMODE(null.st_mode)) == (os.makedev(1, 3), 9, 0o666)
    packed = found[f"{tmp_path.name}/null"][0]
    assert (packed.type, packed.devmajor, packed.devminor) == (tarfile.CHRTYPE, 1, 3)
    assert found[f"{tmp_path.name}/file"][0].gid == 4321


async def test_attributes_of_users_make_the_round(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/file").write_bytes(b"x")
    try:
        os.setxattr(tmp_path / "source/file", "user.note", b"\x00binary\xff")
        os.setxattr(tmp_path / "source", "user.empty", b"")
    except OSError:
        not_run_here("users' attributes on this file system")
    (tmp_path / "copy").mkdir()
    async with start_agent() as task:
        packed = await get_bytes(task.client, tmp_path / "source")
        await files.write_archive(task.client, f"{tmp_path}/copy", pieces(packed), limit_bytes=LIMIT)
    assert os.getxattr(tmp_path / "copy/source/file", "user.note") == b"\x00binary\xff"
    assert os.getxattr(tmp_path / "copy/source", "user.empty") == b""


async def test_copies_belong_to_the_containers_user_if_asked_for(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs full mode: users of its own")
    entries: Entries = [
        member("folder", tarfile.DIRTYPE, uid=5, gid=5),
        (member("folder/file", uid=5, gid=5), b"x"),
    ]
    async with start_agent() as task:
        await put(task.client, tmp_path, entries, copy_uid_gid=True)
        assert (tmp_path / "folder/file").stat().st_uid == 5  # the container has no user
        await put(task.client, tmp_path, entries, copy_uid_gid=True, user="1234:77")
        assert ((tmp_path / "folder").stat().st_uid, (tmp_path / "folder").stat().st_gid) == (1234, 77)
        assert (tmp_path / "folder/file").stat().st_uid == 1234
        await task.client.start(StartRequest(run="r1", argv=("sleep", "1000"), user="4321"))
        await put(task.client, tmp_path, entries, copy_uid_gid=True)
        assert (tmp_path / "folder/file").stat().st_uid == 4321
        await put(task.client, tmp_path, entries)
        assert (tmp_path / "folder/file").stat().st_uid == 5


async def test_what_is_in_the_way_is_replaced_and_directories_are_merged(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "merged").mkdir(mode=0o700)
    (tmp_path / "merged/kept").write_bytes(b"kept")
    (tmp_path / "folder/full").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"longer than what comes")
    os.link(tmp_path / "file", tmp_path / "other name")
    (tmp_path / "link").symlink_to("other name")
    entries: Entries = [
        member("merged", tarfile.DIRTYPE),
        (member("merged/new"), b"new"),
        (member("folder"), b"a file now"),
        (member("file"), b"short"),
        (member("link"), b"no link now"),
    ]
    async with start_agent() as task:
        await put(task.client, tmp_path, entries)
        assert {path.name for path in (tmp_path / "merged").iterdir()} == {"kept", "new"}
        assert stat.S_IMODE((tmp_path / "merged").stat().st_mode) == 0o755
        assert (tmp_path / "folder").read_bytes() == b"a file now"
        assert (tmp_path / "file").read_bytes() == b"short"
        assert (tmp_path / "other name").read_bytes() == b"longer than what comes"
        assert (tmp_path / "link").read_bytes() == b"no link now"
        assert not (tmp_path / "link").is_symlink()
        await put(task.client, tmp_path, [member("file", tarfile.DIRTYPE)])
        assert (tmp_path / "file").is_dir()


async def test_missing_folders_on_the_way_are_made(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent() as task:
        await put(task.client, tmp_path, [(member("a/b/c/file"), b"x"), (member("/rooted/file"), b"y")])
    assert (tmp_path / "a/b/c/file").read_bytes() == b"x"
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o755
    assert (tmp_path / "rooted/file").read_bytes() == b"y"


async def test_destination_may_be_a_link_to_a_directory(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    async with start_agent() as task:
        await put(task.client, tmp_path / "link", [(member("file"), b"x")])
        assert (tmp_path / "folder/file").read_bytes() == b"x"
        with pytest.raises(NotFound):
            await put(task.client, tmp_path / "nothing", [])
        with pytest.raises(InvalidParameter, match=r"^extraction point is not a directory$"):
            await put(task.client, tmp_path / "folder/file", [])


async def test_files_can_be_copied_before_the_start_and_after_the_exit(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    script = f"cat {tmp_path}/in; echo made > {tmp_path}/out"
    async with start_agent() as task:
        await put(task.client, tmp_path, [(member("in"), b"delivered\n")])
        await task.run("sh", "-c", script, linger_seconds=1000)
        assert await task.output() == b"delivered\n"
        assert (await get(task.client, tmp_path / "out"))["out"][1] == b"made\n"


async def test_whole_file_system_comes_out_without_what_is_mounted_in_it(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        names: list[str] = []
        async with files.export(task.client) as export:
            data = b""
            async for piece in export:
                data += piece
                if len(data) > 20_000_000:
                    break
        at = 0
        while at + 512 <= len(data) and data[at]:
            names.append(data[at : at + 100].rstrip(b"\0").decode(errors="replace"))
            at += 512 + (int(data[at + 124 : at + 135], 8) + 511) // 512 * 512
        assert not [name for name in names if name.startswith(("/", "./"))]
        assert not [name for name in names if name.startswith("proc/") and name != "proc/"]
        assert {"bin", "bin/"} & set(names)


async def test_archive_that_is_cut_short_is_an_error(start_agent: StartAgent, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as large:
        large.truncate(300_000_000)
    async with start_agent() as task, files.read_archive(task.client, f"{tmp_path}/large") as archive:
        await anext(aiter(archive))
        with pytest.raises(AgentLost):  # noqa: PT012 - the agent must die while we read
            task.process.kill()
            async for _ in archive:
                pass


async def test_file_that_changes_its_size_while_it_is_read_spoils_nothing(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("a-shrinks", "b-grows"):
        with (folder / name).open("wb") as file:
            file.truncate(100_000_000)
    (folder / "c-vanishes").write_bytes(b"x")
    (folder / "d-stays").write_bytes(b"here")
    async with start_agent() as task, files.read_archive(task.client, str(folder)) as archive:
        data = [await anext(aiter(archive))]
        os.truncate(folder / "a-shrinks", 1_000_000)
        with (folder / "b-grows").open("ab") as file:
            file.write(b"more")
        (folder / "c-vanishes").unlink()
        data += [piece async for piece in archive]
    found = read(b"".join(data))
    assert len(found["folder/a-shrinks"][1]) == 100_000_000
    assert "folder/c-vanishes" not in found
    assert found["folder/d-stays"][1] == b"here"


async def test_two_hundred_archives_at_once(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    async with start_agent() as task:

        async def there_and_back(number: int) -> None:
            await put(task.client, tmp_path / "folder", [(member(f"{number}"), b"%d" % number)])
            found = await get(task.client, tmp_path / f"folder/{number}")
            assert found[f"{number}"][1] == b"%d" % number

        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(there_and_back, number)


def test_tars_of_these_tests_are_what_they_say() -> None:
    assert raw_names(tar_of([member("folder", tarfile.DIRTYPE), (member("a"), b"xyz"), member("b")])) == [
        "folder/",
        "a",
        "b",
    ]
