"""Connections between daemon and agent are cut, and come back."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import AsyncIterator

import trio

from tests.clients.sockets import cut_agents, descriptors
from tests.clients.wire import Wire, contents
from tests.e2e.world import Daemon, eventually

_SIZE = 60_000_000


async def test_attached_client_has_every_byte_once_whatever_is_cut(daemon: Daemon, wire: Wire) -> None:
    whole = await wire.create("produce", str(_SIZE))
    cut = await wire.create("await", "/go", ";", "produce", str(_SIZE))
    digests = []
    for container, wanted in ((whole, 0), (cut, 8)):
        cuts = wanted
        async with await wire.attach(container) as stream:
            await wire.call("POST", f"/containers/{container}/start")
            if cuts:
                await wire.exec(container, "write", "/go", "x")
            size, digest = 0, hashlib.sha256()
            async for chunk in _payload(stream):
                size += len(chunk)
                digest.update(chunk)
                if cuts and size > (9 - cuts) * _SIZE // 10:
                    assert cut_agents(daemon.pid)
                    cuts -= 1
        assert (size, cuts) == (_SIZE, 0)
        digests.append(digest.digest())
        assert (await wire.call("POST", f"/containers/{container}/wait"))["StatusCode"] == 0
    assert digests[0] == digests[1]
    for container in (whole, cut):
        await wire.remove(container)


async def test_input_goes_on_after_a_cut(daemon: Daemon, wire: Wire) -> None:
    container = await wire.create("echo", OpenStdin=True, StdinOnce=True)
    async with await wire.attach(container) as stream:
        await wire.call("POST", f"/containers/{container}/start")
        for number in range(5):
            line = f"line {number}\n".encode()
            await stream.send_all(line)
            assert (await stream.receive_some(100))[8:] == line
            assert cut_agents(daemon.pid)
            await eventually(lambda: _answers(wire, container))
        await stream.send_eof()
        assert await contents(stream) == b""
    assert (await wire.call("POST", f"/containers/{container}/wait"))["StatusCode"] == 0
    await wire.remove(container)


async def test_exec_whose_agent_is_cut_off_ends_with_the_reason(daemon: Daemon, wire: Wire) -> None:
    """A mere end would pass for success. Its input has ended, as with any client that is gone."""
    container = await wire.run("forever")
    before = descriptors(daemon.pid)
    exec_id, stream = await wire.exec(container, "echo", stdin=True)
    async with stream:
        await stream.send_all(b"here\n")
        assert (await stream.receive_some(100))[8:] == b"here\n"
        assert cut_agents(daemon.pid)
        with trio.fail_after(15):
            said = b"".join([chunk async for chunk in stream])
    assert (said[0], said[8:]) == (3, f"the connection to exec {exec_id} was cut: it goes on".encode())

    async def ended() -> bool:
        return not (await wire.call("GET", f"/exec/{exec_id}/json"))["Running"]

    await eventually(ended)
    assert await wire.processes(container) == ["/bin/program forever"]
    await eventually(lambda: descriptors(daemon.pid) <= before + 1)
    await wire.remove(container)


async def test_docker_exec_fails_when_its_agent_is_cut_off(
    daemon: Daemon, wire: Wire, docker_cli: str
) -> None:
    container = await wire.run("forever")
    command = [docker_cli, "-H", f"unix://{wire.socket}", "exec", container]
    exec_process = await trio.lowlevel.open_process(
        [*command, "/bin/program", "produce", "1000000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert exec_process.stdout
    assert exec_process.stderr
    await exec_process.stdout.receive_some(1)
    assert cut_agents(daemon.pid)
    async for _ in exec_process.stdout:
        pass
    assert b"was cut: it goes on" in b"".join([chunk async for chunk in exec_process.stderr])
    assert await exec_process.wait() != 0
    await wire.remove(container)


async def test_verbs_reach_a_container_whose_agent_was_just_cut_off(daemon: Daemon, wire: Wire) -> None:
    """They wait the moment that it takes; nothing is stopped the hard way."""
    container = await wire.run("on-signal", "TERM", "9", ";", "forever")
    for verb, query in (("pause", {}), ("unpause", {}), ("kill", {"signal": "CONT"}), ("stop", {})):
        assert cut_agents(daemon.pid)
        await wire.call("POST", f"/containers/{container}/{verb}", **query)
    state = (await wire.call("GET", f"/containers/{container}/json"))["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 9)
    await wire.remove(container)


async def _answers(wire: Wire, container: str) -> bool:
    return (await wire.http.get(f"/containers/{container}/top")).status_code == 200


async def _payload(stream: trio.SocketStream) -> AsyncIterator[bytes]:
    """What comes, without the frames."""
    rest, left = b"", 0
    while data := await stream.receive_some(1 << 18):
        data = rest + data
        while data:
            if not left:
                if len(data) < 8:
                    break
                left, data = int.from_bytes(data[4:8], "big"), data[8:]
            piece, data = data[:left], data[left:]
            left -= len(piece)
            yield piece
        rest = data
