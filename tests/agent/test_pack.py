"""Paths of a container packed as a layer has them: in their order, and nothing that is not the image's."""

from __future__ import annotations

import os
import socket
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from sockerless_ecs.agent import AgentClient, AgentLost, StartRequest, files
from sockerless_ecs.agent.tls import TlsStream
from sockerless_ecs.errors import NotFound, Unimplemented
from tests.agent.conftest import StartAgent
from tests.agent.tars import raw_names, read
from tests.conftest import not_run_here

_in_namespaces = pytest.mark.parametrize("start_agent", ["pid1"], indirect=True)
"""What the process mounts is its own."""


async def pack_bytes(agent: AgentClient, *paths: Path | str) -> bytes:
    async with files.pack(agent, [str(path) for path in paths]) as tar:
        return b"".join([piece async for piece in tar])


async def pack(agent: AgentClient, *paths: Path | str) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """The entries by name, in order; of a directory the name has no slash at its end."""
    return read(await pack_bytes(agent, *paths))


def named(path: Path, *below: str) -> list[str]:
    return [f"{path}/{name}".strip("/") for name in below]


async def test_paths_are_packed_in_their_order_each_as_it_is(start_agent: StartAgent, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    (folder / "deep").mkdir(parents=True)
    folder.chmod(0o1711)
    (folder / "file").write_bytes(b"content")
    (folder / "file").chmod(0o4750)
    os.utime(folder / "file", ns=(1, 1_500_000_000_999_999_999))
    (folder / "left-out").write_bytes(b"x")
    (folder / "soft").symlink_to("file")
    os.mkfifo(folder / "fifo")
    async with start_agent() as task:
        found = await pack(
            task.client, folder, folder / "soft", folder / "file", folder / "fifo", folder / "deep"
        )
    assert list(found) == named(tmp_path, "d", "d/soft", "d/file", "d/fifo", "d/deep")
    heads = [info for info, _ in found.values()]
    assert [one.type for one in heads] == [
        tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.REGTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
    ]  # fmt: skip
    assert (heads[0].mode, heads[2].mode, heads[1].linkname) == (0o1711, 0o4750, "file")
    assert (heads[2].mtime, heads[2].uid) == (1_500_000_000, folder.stat().st_uid if os.getuid() else 0)
    assert found[named(tmp_path, "d/file")[0]][1] == b"content"


async def test_path_with_a_slash_is_packed_with_all_that_is_below_it(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "d/sub/sub").mkdir(parents=True)
    (tmp_path / "d/sub/file").write_bytes(b"x")
    (tmp_path / "d/.wh.file").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"y")
    (tmp_path / "link").symlink_to("d")
    async with start_agent() as task:
        found = await pack(task.client, f"{tmp_path}/d/", f"{tmp_path}/file/", f"{tmp_path}/link/")
    assert list(found) == named(tmp_path, "d", "d/sub", "d/sub/file", "d/sub/sub", "file", "link")


async def test_names_of_one_file_stay_so(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    (tmp_path / "c").hardlink_to(tmp_path / "a")
    async with start_agent() as task:
        found = await pack(task.client, tmp_path / "b", tmp_path / "a")
    (first, content), (second, _) = found.values()
    assert (first.isreg(), content, first.name) == (True, b"content", named(tmp_path, "b")[0])
    assert (second.islnk(), second.linkname) == (True, first.name)


async def test_attributes_and_odd_names_are_packed(start_agent: StartAgent, tmp_path: Path) -> None:
    odd = [os.fsdecode(name) for name in (b"new\nline", b"not utf-8 \xff\xfe", b" blank ", b"x" * 255)]
    for name in odd:
        (tmp_path / name).write_bytes(b"x")
    with suppress(OSError):
        os.setxattr(tmp_path / odd[0], "user.note", b"\0binary")
    if not os.listxattr(tmp_path / odd[0]):
        not_run_here("a file system with extended attributes of users")
    async with start_agent() as task:
        found = await pack(task.client, *(tmp_path / name for name in odd))
    assert list(found) == named(tmp_path, *odd)
    head, _ = next(iter(found.values()))
    assert head.pax_headers["SCHILY.xattr.user.note"] == "\0binary"


async def test_what_is_gone_or_is_no_file_of_a_layer_is_left_out(
    start_agent: StartAgent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool/mine").write_bytes(b"x")
    (tmp_path / ".wh.folder").write_bytes(b"x")
    (tmp_path / ".wh..wh..opq").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)  # the paths of sockets must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    hostile = [
        "gone", "folder/file/below", "link/file", "loop", "loop/file", "socket", ".wh.folder", ".wh..wh..opq",
        "spool", "spool/mine", "folder/../spool/mine", "folder/../../../../proc/1/environ",
    ]  # fmt: skip
    async with start_agent() as task:
        found = await pack(
            task.client,
            *(tmp_path / name for name in hostile),
            *(
                "",
                "/",
                "//",
                ".",
                "..",
                "relative",
                "/proc",
                "/proc/self/environ",
                "/sys/kernel",
                "/dev/null",
            ),
            *("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv", "x" * 4000),
            tmp_path / "folder",
        )
    assert list(found) == named(tmp_path, "loop", "folder")


@_in_namespaces
async def test_what_is_mounted_is_not_packed_nor_what_is_below_it(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "d/volume/inner").mkdir(parents=True)
    (tmp_path / "d/file").write_bytes(b"x")
    mount = f"mount -t tmpfs none {tmp_path}/d/volume && echo x > {tmp_path}/d/volume/file && echo mounted"
    async with start_agent() as task:
        await task.client.start(StartRequest(run="r1", argv=("sh", "-c", f"{mount} && exec sleep 1000")))
        async with task.client.logs("r1", follow=True) as lines:
            assert (await anext(lines))[0].data == b"mounted\n"
        found = await pack(task.client, f"{tmp_path}/d/", tmp_path / "d/volume", tmp_path / "d/volume/file")
    assert list(found) == named(tmp_path, "d", "d/file")


async def test_no_paths_are_the_tar_without_an_entry(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        assert await pack_bytes(task.client) == bytes(1024)


async def test_any_number_of_paths_goes_while_the_tar_comes(start_agent: StartAgent, tmp_path: Path) -> None:
    """Neither end waits for the other to have said all."""
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    (tmp_path / "small").write_bytes(b"")

    def paths() -> Iterator[str]:
        for _ in range(20):
            yield f"{tmp_path}/large"
            yield from (f"{tmp_path}/small" for _ in range(3_000))

    size = 0
    async with start_agent() as task:
        with trio.fail_after(60):
            async with files.pack(task.client, paths()) as tar:
                async for piece in tar:
                    size += len(piece)
    assert size > 20 * (3_000_000 + 3_000 * 512)


async def test_file_that_changes_while_it_is_packed_has_the_size_that_its_head_says(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "shrinks").write_bytes(b"x" * 8_000_000)
    async with start_agent() as task, files.pack(task.client, [f"{tmp_path}/shrinks"]) as tar:
        data = await anext(aiter(tar))
        os.truncate(tmp_path / "shrinks", 10)
        data += b"".join([piece async for piece in tar])
    assert raw_names(data) == named(tmp_path, "shrinks")
    assert len(data) == 512 + 8_000_000 + 1024


async def test_paths_that_break_off_make_no_whole_tar(start_agent: StartAgent, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    async with start_agent() as task:
        async with task.client.upgraded("POST", "/pack") as upgraded:
            path = f"{tmp_path}/file".encode()  # without the byte that ends it
            await upgraded.stream.send_all(len(path).to_bytes(8, "big") + path + bytes(8))
            with pytest.raises(AgentLost):
                await _to_its_end(upgraded.stream)
        assert list(await pack(task.client, tmp_path / "file")) == named(tmp_path, "file")


async def test_client_that_leaves_half_way_leaves_nothing_behind_in_the_agent(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    async with start_agent() as task:
        before = task.open_files()
        for _ in range(10):
            async with files.pack(task.client, [f"{tmp_path}/large"] * 50) as tar:
                await anext(aiter(tar))
            with trio.move_on_after(0.01):
                async with files.pack(task.client, [f"{tmp_path}/large"] * 50) as tar:
                    async for _ in tar:
                        pass
        with trio.fail_after(10):
            while task.open_files() > before + 1:  # noqa: ASYNC110 - another process closes them
                await trio.sleep(0.01)


async def test_failure_of_who_reads_the_tar_comes_out_as_it_is(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    async with start_agent() as task:
        with pytest.raises(Unimplemented, match="mine"):
            async with files.pack(task.client, [str(tmp_path)]):
                raise Unimplemented("mine")


async def test_agent_that_cannot_pack_is_told_to_be_too_old() -> None:
    class Older(AgentClient):
        def __init__(self) -> None: ...

        def upgraded(self, method: str, path: str, body: object = None) -> Any:
            raise NotFound(f"agent: {method} {path} is not in this protocol")

    with pytest.raises(Unimplemented, match="older than the daemon"):
        await pack_bytes(Older(), "/etc")


async def _to_its_end(stream: TlsStream) -> None:
    while await stream.receive_some():
        pass
