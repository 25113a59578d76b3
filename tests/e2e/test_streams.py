"""Attach and exec through the daemon's Docker socket, down to real processes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import trio

from tests.e2e.world import Api, Daemon, demultiplexed, eventually

MEGABYTES = 20
EXECS = 100
CLIENTS = 20


@asynccontextmanager
async def hijacked(
    daemon: Daemon, path: str, body: Any = None, **query: Any
) -> AsyncIterator[trio.SocketStream]:
    """A connection after its switch; what a failed switch says is the assertion's message."""
    content = b"" if body is None else json.dumps(body).encode()
    stream = await trio.open_unix_socket(daemon.docker_socket)
    async with stream:
        await stream.send_all(
            f"POST /v1.51{path}?{urlencode(query)} HTTP/1.1\r\nHost: d\r\n"
            "Connection: Upgrade\r\nUpgrade: tcp\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):  # a byte at a time: what follows is the stream's
            piece = await stream.receive_some(1)
            assert piece, head
            head += piece
        assert head.startswith(b"HTTP/1.1 101"), head + await stream.receive_some()
        yield stream


async def all_of(stream: trio.SocketStream) -> bytes:
    data = bytearray()
    while piece := await stream.receive_some():
        data += piece
    return bytes(data)


def attach(daemon: Daemon, container: str, **query: Any) -> Any:
    return hijacked(daemon, f"/containers/{container}/attach", stream=1, stdout=1, stderr=1, **query)


async def execute(
    daemon: Daemon, api: Api, container: str, *cmd: str, **more: Any
) -> tuple[bytes, bytes, int]:
    """Output, errors and exit code of an exec."""
    asked = {"Cmd": cmd, "AttachStdout": True, "AttachStderr": True, **more}
    exec_id = (await api.call("POST", f"/containers/{container}/exec", body=asked))["Id"]
    async with hijacked(daemon, f"/exec/{exec_id}/start", {"Detach": False}) as stream:
        out, err = demultiplexed(await all_of(stream))
    known = await api.call("GET", f"/exec/{exec_id}")
    return out, err, known["ExitCode"]


async def test_attach_before_start_has_every_byte_and_both_streams(daemon: Daemon, api: Api) -> None:
    container = await api.create("sh", "-c", "echo out; echo err >&2; exit 3")
    async with attach(daemon, container) as stream:
        await api.start(container)
        assert demultiplexed(await all_of(stream)) == (b"out\n", b"err\n")
    assert await api.wait(container) == 3
    await api.remove(container)


async def test_bytes_come_back_as_they_were_sent(daemon: Daemon, api: Api) -> None:
    """In through standard input with a half-close, out through standard output."""
    container = await api.create("cat", OpenStdin=True, StdinOnce=True)
    block = hashlib.sha256(b"seed").digest() * (1 << 15)
    sent, got = hashlib.sha256(), hashlib.sha256()
    async with attach(daemon, container, stdin=1) as stream, trio.open_nursery() as nursery:

        async def type_() -> None:
            for _ in range(MEGABYTES):
                sent.update(block)
                await stream.send_all(block)
            await stream.send_eof()

        nursery.start_soon(type_)
        await api.start(container)
        out, _ = demultiplexed_fast(await all_of(stream))
        got.update(out)
    assert got.digest() == sent.digest()
    assert await api.wait(container) == 0
    await api.remove(container)


def demultiplexed_fast(data: bytes) -> tuple[bytes, bytes]:
    """As `demultiplexed`, without copying what is left for each frame."""
    streams, view = {1: bytearray(), 2: bytearray()}, memoryview(data)
    while view:
        size = int.from_bytes(view[4:8])
        streams[view[0]] += view[8 : 8 + size]
        view = view[8 + size :]
    return bytes(streams[1]), bytes(streams[2])


async def test_the_same_container_takes_a_script_again_and_again(daemon: Daemon, api: Api) -> None:
    """As GitLab Runner does it: attach, start, script, half-close, end."""
    container = await api.create("sh", OpenStdin=True, StdinOnce=True)
    for stage in range(3):
        async with attach(daemon, container, stdin=1) as stream:
            await api.start(container)
            await stream.send_all(f"echo stage {stage}; exit {stage}\n".encode())
            await stream.send_eof()
            out, _ = demultiplexed(await all_of(stream))
            assert out == f"stage {stage}\n".encode()
        assert await api.wait(container) == stage
    await api.remove(container)


async def test_execs_have_their_output_and_true_codes(daemon: Daemon, api: Api) -> None:
    container = await api.run("sleep", "600")
    assert await execute(daemon, api, container, "sh", "-c", "echo a; echo b >&2; exit 42") == (
        b"a\n",
        b"b\n",
        42,
    )
    out, _, code = await execute(daemon, api, container, "no-such-command")
    assert code == 127
    assert b'exec: "no-such-command": executable file not found in $PATH' in out
    out, _, _ = await execute(
        daemon, api, container, "sh", "-c", "echo $A; pwd", Env=["A=1"], WorkingDir="/tmp"
    )
    assert out == b"1\n/tmp\n"
    await api.remove(container, force=1)


async def test_many_execs_at_once(daemon: Daemon, api: Api) -> None:
    container = await api.run("sleep", "600")
    got: list[tuple[bytes, bytes, int]] = []

    async def one(number: int) -> None:
        got.append(await execute(daemon, api, container, "sh", "-c", f"echo {number}; exit {number % 7}"))

    async with trio.open_nursery() as nursery:
        for number in range(EXECS):
            nursery.start_soon(one, number)
    assert sorted(got) == sorted((f"{n}\n".encode(), b"", n % 7) for n in range(EXECS))
    assert not (await api.inspect(container)).get("ExecIDs")
    await api.remove(container, force=1)


async def test_many_clients_see_the_same_and_those_that_vanish_leave_nothing(
    daemon: Daemon, api: Api
) -> None:
    container = await api.create("sh", "-c", "read x; echo $x; read y; seq 1 20000", OpenStdin=True)
    before = descriptors(daemon)
    got: list[bytes] = []
    connected = trio.CapacityLimiter(CLIENTS)

    async def watch(patient: bool) -> None:
        async with attach(daemon, container) as stream:
            connected.acquire_on_behalf_of_nowait(stream)
            if patient:
                got.append(demultiplexed_fast(await all_of(stream))[0])
            else:
                await stream.receive_some(1)

    async with trio.open_nursery() as nursery:
        for number in range(CLIENTS):
            nursery.start_soon(watch, number % 2 == 0)
        await eventually(lambda: connected.borrowed_tokens == CLIENTS)
        await api.start(container)
        async with attach(daemon, container, stdin=1) as typing:
            await typing.send_all(b"hello\n")
            assert await typing.receive_some()
            await typing.send_all(b"go\n")
            await all_of(typing)
    wanted = b"hello\n" + b"".join(b"%d\n" % n for n in range(1, 20001))
    assert got == [wanted] * (CLIENTS // 2)
    await api.remove(container, force=1)
    await eventually(lambda: descriptors(daemon) <= before + 4)


def descriptors(daemon: Daemon) -> int:
    """How many the daemon has open."""
    return len(list(Path(f"/proc/{daemon.pid}/fd").iterdir()))


@pytest.mark.parametrize("keys", ["", "ctrl-e"])
async def test_a_terminal_is_left_by_its_keys_and_has_a_size(daemon: Daemon, api: Api, keys: str) -> None:
    container = await api.create("sh", OpenStdin=True, Tty=True)
    query = {"detachKeys": keys} if keys else {}
    async with attach(daemon, container, stdin=1, **query) as stream:
        await api.start(container)
        async with httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(daemon.docker_socket)), base_url="http://d"
        ) as docker:
            answer = await docker.post(f"/containers/{container}/resize", params={"h": 33, "w": 44})
            assert answer.status_code == httpx.codes.OK, answer.text
        await stream.send_all(b"stty size\r")
        shown = b""
        while b"33 44" not in shown:
            piece = await stream.receive_some()
            assert piece, shown
            shown += piece
        await stream.send_all(b"\x05" if keys else b"\x10\x11")
        await all_of(stream)
    assert (await api.inspect(container))["State"]["Running"]
    await api.remove(container, force=1)


async def test_top_shows_what_runs(daemon: Daemon, api: Api) -> None:
    container = await api.run("sleep", "600")
    table = await api.call("GET", f"/containers/{container}/top")
    assert table["Titles"] == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert [row[-1] for row in table["Processes"]] == ["sleep 600"]
    await api.remove(container, force=1)
