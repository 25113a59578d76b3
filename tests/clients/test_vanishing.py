"""Clients vanish at every moment of every long request: the daemon and the agent are as before."""

from __future__ import annotations

import io
import json
import os
import tarfile

import trio

from tests.clients.engines import IMAGE, VERSION
from tests.clients.sockets import descriptors, parent, process_of
from tests.clients.wire import Wire
from tests.e2e.world import Daemon, eventually

PUSHED = "127.0.0.1:1/nobody/listens"
_BEFORE, _HEAD, _HALF = "before the answer", "after its head", "half-way"
_TIMES = 2
_IDLE = 300


def tar_of(size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = size
        tar.addfile(entry, io.BytesIO(os.urandom(size)))
    return buffer.getvalue()


async def _vanish(wire: Wire, request: str, body: bytes, moment: str) -> None:
    """One client that closes its connection without a word."""
    stream = await trio.open_unix_socket(wire.socket)
    kind = "application/json" if body[:1] == b"{" else "application/x-tar"
    head = (
        f"{request.replace(' /', f' /{VERSION}/', 1)} HTTP/1.1\r\nHost: docker\r\nContent-Type: {kind}\r\n"
        f"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    upload = kind == "application/x-tar" and bool(body)
    async with stream:
        await stream.send_all(head + (body[: len(body) // 2] if upload and moment != _BEFORE else body))
        if upload:
            return
        with trio.fail_after(20):
            if moment != _BEFORE:
                answer = await stream.receive_some(100)
                assert answer[9:12] in (b"101", b"200"), (request, moment, answer)
            if moment == _HALF:
                await stream.receive_some(100_000)
                await stream.receive_some(100_000)


async def test_client_may_vanish_at_any_moment(daemon: Daemon, wire: Wire, archive: bytes) -> None:
    mark = "86399.25"
    container = await wire.run("ticks-until", "/stop", ";", "sleep", mark, OpenStdin=True)
    talking = await wire.run("ticks", "0", OpenStdin=True)
    await wire.exec(container, "write", "/stop", "x")
    agent = parent(await eventually(lambda: process_of("sleep " + mark)))

    async def exec_start() -> tuple[str, bytes]:
        body = {"Cmd": ["/bin/program", "echo"], "AttachStdin": True, "AttachStdout": True}
        made = await wire.call("POST", f"/containers/{container}/exec", body=body)
        return f"POST /exec/{made['Id']}/start", json.dumps({"Detach": False, "Tty": False}).encode()

    async def producing() -> tuple[str, bytes]:
        body = {"Cmd": ["/bin/program", "produce", "1000000000"], "AttachStdout": True}
        made = await wire.call("POST", f"/containers/{container}/exec", body=body)
        return f"POST /exec/{made['Id']}/start", json.dumps({"Detach": False, "Tty": False}).encode()

    await wire.call("POST", f"/images/{IMAGE}/tag", repo=PUSHED, tag="1")
    streams = "stream=1&stdin=1&stdout=1&stderr=1"
    tar = tar_of(3_000_000)
    plain = [
        (f"POST /containers/{container}/attach?{streams}", b""),
        (f"POST /containers/{talking}/attach?{streams}&logs=1", b""),
        (f"GET /containers/{talking}/logs?stdout=1&follow=1", b""),
        (f"GET /containers/{container}/stats", b""),
        (f"GET /containers/{container}/export", b""),
        (f"GET /containers/{container}/archive?path=/bin", b""),
        (f"PUT /containers/{container}/archive?path=/", tar),
        ("POST /images/load", archive),
        (f"GET /images/{IMAGE}/get", b""),
        (f"POST /images/{PUSHED}/push", b""),
        ("GET /events", b""),
        (f"POST /containers/{container}/wait", b""),
    ]
    for round_number in range(2):
        async with trio.open_nursery() as nursery:
            for moment in (_BEFORE, _HEAD, _HALF):
                for _ in range(_TIMES):
                    for request, body in plain:
                        waits = moment == _HALF and any(
                            word in request for word in ("wait", "events", f"{container}/attach")
                        )
                        nursery.start_soon(_vanish, wire, request, body, _HEAD if waits else moment)
                    nursery.start_soon(
                        _vanish, wire, *await exec_start(), _HEAD if moment == _HALF else moment
                    )
                    nursery.start_soon(_vanish, wire, *await producing(), moment)
        if not round_number:  # what is made once and kept is made now
            await eventually(lambda: _alone(wire, container))
            await eventually(lambda: _still(daemon.pid) and _still(agent), 30)
            before = (descriptors(daemon.pid), descriptors(agent))
    await eventually(lambda: _alone(wire, container))
    await eventually(
        lambda: descriptors(daemon.pid) <= before[0] + 2 and descriptors(agent) <= before[1] + 2, 30
    )
    assert not [path for path in daemon.folder.rglob("*") if path.suffix in (".part", ".tar")]
    for one in (container, talking):
        await wire.remove(one)


def _still(pid: int) -> bool:
    return descriptors(pid) < 40


async def _alone(wire: Wire, container: str) -> bool:
    return all("sleep" in one or "ticks" in one for one in await wire.processes(container))


async def test_idle_attaches_vanish_at_once(daemon: Daemon, wire: Wire) -> None:
    mark = "86398.75"
    container = await wire.run("sleep", mark, OpenStdin=True)
    agent = parent(await eventually(lambda: process_of("sleep " + mark)))
    before = descriptors(daemon.pid), descriptors(agent)
    streams = []
    limit = trio.CapacityLimiter(50)

    async def one() -> None:
        async with limit:
            streams.append(await wire.attach(container))

    async with trio.open_nursery() as nursery:
        for _ in range(_IDLE):
            nursery.start_soon(one)
    assert descriptors(agent) >= before[1] + _IDLE
    for stream in streams:
        stream.socket.close()
    await eventually(
        lambda: descriptors(daemon.pid) <= before[0] + 2 and descriptors(agent) <= before[1] + 2, 60
    )
    await wire.remove(container)
