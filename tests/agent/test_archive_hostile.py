"""Archives that want out of their directory, or to fill it, and clients that stop half-way."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import trio

from sockerless_ecs.agent import AgentLost, StartRequest, files
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError
from tests.agent.conftest import StartAgent
from tests.agent.tars import LIMIT, Entries, get, get_bytes, member, pieces, put, raw_names, tar_of

_in_namespaces = pytest.mark.parametrize("start_agent", ["pid1"], indirect=True)
"""What the process mounts is its own."""


def _escapes(outside: Path) -> dict[str, tuple[Entries, str]]:
    return {
        "name goes up": ([(member("../outside/evil"), b"x")], r'"\.\./outside/evil" is outside of'),
        "name goes up later": ([(member("a/b/../../../outside/evil"), b"x")], "is outside of"),
        "name is the parent": ([member("..", tarfile.DIRTYPE)], "is outside of"),
        "symlink goes up": ([member("l", tarfile.SYMTYPE, linkname="../outside")], "invalid symlink"),
        "symlink of its own making": (
            [
                member("l", tarfile.SYMTYPE, linkname=str(outside)),
                (member("l/evil"), b"x"),
            ],
            "is outside of",
        ),
        "symlink to a symlink": (
            [
                member("a", tarfile.SYMTYPE, linkname=str(outside)),
                member("b", tarfile.SYMTYPE, linkname="a"),
                member("b/evil", tarfile.DIRTYPE),
            ],
            "is outside of",
        ),
        "directory that became a symlink": (
            [
                member("d", tarfile.DIRTYPE),
                (member("d/first"), b"x"),
                member("d", tarfile.SYMTYPE, linkname=str(outside)),
                (member("d/evil"), b"x"),
            ],
            "is outside of",
        ),
        "hard link goes up": (
            [member("h", tarfile.LNKTYPE, linkname="../outside/secret")],
            "invalid hardlink",
        ),
        "hard link through a symlink": (
            [
                member("l", tarfile.SYMTYPE, linkname=str(outside)),
                member("h", tarfile.LNKTYPE, linkname="l/secret"),
            ],
            "is outside of",
        ),
    }


@pytest.mark.parametrize("way", sorted(_escapes(Path())))
async def test_no_entry_leaves_the_directory(start_agent: StartAgent, tmp_path: Path, way: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    entries, message = _escapes(outside)[way]
    async with start_agent() as task:
        with pytest.raises(InvalidParameter, match=message):
            await put(task.client, inside, entries)
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").stat().st_nlink == 1


async def test_link_that_was_there_and_leads_out_is_not_followed(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "inside/out").symlink_to("../outside")
    (tmp_path / "inside/within").symlink_to("folder")
    (tmp_path / "inside/folder").mkdir()
    async with start_agent() as task:
        with pytest.raises(InvalidParameter, match="is outside of"):
            await put(task.client, tmp_path / "inside", [(member("out/file"), b"x")])
        await put(task.client, tmp_path / "inside", [(member("within/file"), b"x")])
    assert not list((tmp_path / "outside").iterdir())
    assert (tmp_path / "inside/folder/file").read_bytes() == b"x"


async def test_links_that_stay_or_are_absolute_are_made_as_they_are(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    entries: Entries = [
        member("absolute", tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("sub/up", tarfile.SYMTYPE, linkname="../elsewhere"),
        member("loop", tarfile.SYMTYPE, linkname="loop"),
    ]
    async with start_agent() as task:
        await put(task.client, tmp_path, entries)
        await put(task.client, tmp_path, entries)  # over themselves
        with pytest.raises(InvalidParameter, match="too many links"):
            await put(task.client, tmp_path, [(member("loop/file"), b"x")])
    assert (tmp_path / "absolute").readlink() == Path("/etc/passwd")
    assert (tmp_path / "sub/up").readlink() == Path("../elsewhere")


async def test_file_and_directory_do_not_replace_each_other_if_so_asked(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"x")
    async with start_agent() as task:
        with pytest.raises(Conflict, match=r'^cannot overwrite directory ".*/folder" with non-directory'):
            await put(task.client, tmp_path, [(member("folder"), b"x")], no_overwrite_dir_non_dir=True)
        with pytest.raises(Conflict, match=r'^cannot overwrite non-directory ".*/file" with directory'):
            await put(task.client, tmp_path, [member("file", tarfile.DIRTYPE)], no_overwrite_dir_non_dir=True)
        await put(task.client, tmp_path, [(member("file"), b"new")], no_overwrite_dir_non_dir=True)
    assert (tmp_path / "file").read_bytes() == b"new"


async def _endless(data: bytes) -> AsyncGenerator[bytes]:
    yield data
    while True:
        yield bytes(65536)


async def test_refused_upload_stops_at_once(start_agent: StartAgent, tmp_path: Path) -> None:
    """What follows is not read to its end: it has none."""
    bad = tar_of([(member("../evil"), b"x")])[:1024]
    async with start_agent() as task:
        with trio.fail_after(30), pytest.raises(InvalidParameter, match="is outside of"):
            async with aclosing(_endless(bad)) as upload:
                await files.write_archive(task.client, str(tmp_path), upload, limit_bytes=LIMIT)
        assert await get(task.client, tmp_path)


async def test_archive_larger_than_its_limit_is_refused_before_it_is_written(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    bomb = member("bomb", size=8 << 30).tobuf(tarfile.PAX_FORMAT)
    many = tar_of([(member(f"{number}"), bytes(1000)) for number in range(20)])
    async with start_agent() as task:
        with trio.fail_after(30), pytest.raises(InvalidParameter, match="larger than 1000000 bytes"):
            async with aclosing(_endless(bomb)) as upload:
                await files.write_archive(task.client, str(tmp_path), upload, limit_bytes=1_000_000)
        assert not (tmp_path / "bomb").exists()
        with pytest.raises(InvalidParameter, match="larger than 10000 bytes"):
            await files.write_archive(task.client, str(tmp_path), pieces(many), limit_bytes=10_000)
    assert (tmp_path / "9").exists()
    assert not (tmp_path / "10").exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"this is no tar" * 100, "invalid tar header"),
        (tar_of([(member("file"), b"x" * 5000)])[:3000], "unexpected EOF"),
        (tar_of([member("odd", b"Z")]), "unhandled tar header type 90"),
    ],
)
async def test_what_is_no_tar_is_refused(
    start_agent: StartAgent, tmp_path: Path, data: bytes, why: str
) -> None:
    async with start_agent() as task:
        with pytest.raises(InvalidParameter, match=why):
            await files.write_archive(task.client, str(tmp_path), pieces(data), limit_bytes=LIMIT)


async def test_nothing_at_all_is_an_empty_archive(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent() as task:
        with trio.fail_after(5):
            await files.write_archive(task.client, str(tmp_path), pieces(b""), limit_bytes=LIMIT)


async def test_name_that_is_too_long_is_an_error(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent() as task:
        for name in ("x" * 256, "y/" * 3000):
            with pytest.raises(SockerlessError, match="file name too long"):
                await put(task.client, tmp_path, [(member(name), b"x")])


@_in_namespaces
async def test_full_file_system_is_told(start_agent: StartAgent, tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o size=64k none {tmp_path}/small && echo mounted && exec sleep 1000"
    (tmp_path / "small").mkdir()
    async with start_agent() as task:
        await task.client.start(_start("sh", "-c", mount))
        async with task.client.logs("r1", follow=True) as lines:
            assert (await anext(lines))[0].data == b"mounted\n"
        with pytest.raises(SockerlessError, match="no space left on device"):
            await put(task.client, tmp_path / "small", [(member("large"), bytes(1_000_000))])


@_in_namespaces
async def test_read_only_file_system_is_refused_in_dockers_words(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    mount = (
        f"mount -t tmpfs none {tmp_path}/fixed && mount -o remount,ro {tmp_path}/fixed && "
        "echo mounted && exec sleep 1000"
    )
    (tmp_path / "fixed").mkdir()
    async with start_agent() as task:
        await task.client.start(_start("sh", "-c", mount))
        async with task.client.logs("r1", follow=True) as lines:
            assert (await anext(lines))[0].data == b"mounted\n"
        with pytest.raises(InvalidParameter, match=r"^mounted volume is marked read-only$"):
            await put(task.client, tmp_path / "fixed", [(member("file"), b"x")])


async def test_agents_own_folder_does_not_exist_for_clients(start_agent: StartAgent, tmp_path: Path) -> None:
    async with start_agent(SOCKERLESS_SPOOL_DIR=f"{tmp_path}/own/spool") as task:
        await task.client.start(_start("sleep", "1000"))
        own = tmp_path / "own/spool"
        assert own.is_dir()
        (own / "mine").write_bytes(b"x")
        (tmp_path / "link").symlink_to(own)
        for path in (own, own / "mine", tmp_path / "link/", tmp_path / "link/mine"):
            with pytest.raises(NotFound):
                await files.stat_path(task.client, f"{path}/" if path.name == "link" else str(path))
        assert raw_names(await get_bytes(task.client, tmp_path / "own")) == ["own/"]
        with pytest.raises(NotFound):
            await put(task.client, own, [(member("evil"), b"x")])
        for entry in ("own/spool/mine", "own/spool", "own"):
            with pytest.raises(InvalidParameter, match="belongs to the agent"):
                await put(task.client, tmp_path, [(member(entry), b"x")])
        assert (own / "mine").read_bytes() == b"x"


async def test_kernels_files_are_not_the_containers(start_agent: StartAgent) -> None:
    async with start_agent() as task:
        with pytest.raises(NotFound):
            await files.stat_path(task.client, "/proc/self/environ")
        with pytest.raises(NotFound):
            await put(task.client, "/proc/self", [(member("x"), b"x")])
        assert raw_names(await get_bytes(task.client, "/proc")) == ["proc/"]


async def test_client_that_leaves_half_way_leaves_nothing_behind_in_the_agent(
    start_agent: StartAgent, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(bytes(50_000_000))
    whole = tar_of([(member("copy"), bytes(5_000_000))])

    async def cut(data: bytes) -> AsyncIterator[bytes]:
        yield data[: len(data) // 2]
        raise AgentLost("the client has gone")

    async with start_agent() as task:
        before = task.open_files()
        for _ in range(10):
            async with files.read_archive(task.client, f"{tmp_path}/large") as archive:
                await anext(aiter(archive))
            with pytest.raises(AgentLost, match="the client has gone"):
                await files.write_archive(task.client, str(tmp_path), cut(whole), limit_bytes=LIMIT)
            with trio.move_on_after(0.01):
                await files.write_archive(task.client, str(tmp_path), _stalled(), limit_bytes=LIMIT)
        with trio.fail_after(10):
            while task.open_files() > before + 1:  # noqa: ASYNC110 - another process closes them
                await trio.sleep(0.01)


async def _stalled() -> AsyncIterator[bytes]:
    yield tar_of([(member("file"), b"x")])[:700]
    await trio.sleep_forever()


def _start(*argv: str) -> StartRequest:
    return StartRequest(run="r1", argv=argv)
