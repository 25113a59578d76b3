"""Many clients at once, clients that stall and clients that vanish: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import trio

from tests.clients.wire import Wire, contents
from tests.e2e.world import Daemon, eventually

_EXECS, _CLIENTS = 400, 50


def _descriptors(daemon: Daemon) -> int:
    return sum(1 for _ in Path(f"/proc/{daemon.pid}/fd").iterdir())


async def _as_before(daemon: Daemon, before: int) -> None:
    """What was opened is closed again, but for a spare connection or two to an agent."""
    await eventually(lambda: _descriptors(daemon) <= before + 2, 30)


async def test_400_execs_at_once_have_their_own_output_and_exit_code(daemon: Daemon, wire: Wire) -> None:
    container = await wire.run("forever")
    before = _descriptors(daemon)

    async def one(number: int) -> None:
        exec_id, stream = await wire.exec(container, "print", str(number), ";", "exit", str(number % 100))
        async with stream:
            assert await contents(stream) == f"{number}\n".encode()
        state = await wire.call("GET", f"/exec/{exec_id}/json")
        assert (state["Running"], state["ExitCode"]) == (False, number % 100)

    async with trio.open_nursery() as nursery:
        for number in range(_EXECS):
            nursery.start_soon(one, number)
    assert await wire.processes(container) == ["/bin/program forever"]
    assert (await wire.call("GET", f"/containers/{container}/json"))["ExecIDs"] is None
    await _as_before(daemon, before)
    await wire.remove(container)


async def test_50_attached_clients_all_see_all_of_it(daemon: Daemon, wire: Wire) -> None:
    container = await wire.create("await", "/go", ";", "produce", "3000000", ";", "print", "end")
    seen: list[int] = []

    async def one(stream: trio.SocketStream) -> None:
        async with stream:
            data = await contents(stream)
        assert data.endswith(b"end\n")
        seen.append(len(data))

    before = _descriptors(daemon)
    async with trio.open_nursery() as nursery:
        for _ in range(_CLIENTS):
            nursery.start_soon(one, await wire.attach(container))
        await wire.call("POST", f"/containers/{container}/start")
        await wire.exec(container, "write", "/go", "x")
    assert seen == [3_000_004] * _CLIENTS
    await wire.remove(container)
    await _as_before(daemon, before)


async def test_client_that_stops_reading_holds_up_nobody_else(daemon: Daemon, wire: Wire) -> None:
    container = await wire.run("forever")
    before = _descriptors(daemon)
    _, stalled = await wire.exec(container, "produce", "1000000000")
    await stalled.receive_some(1)  # and nothing more
    for number in range(20):
        _, stream = await wire.exec(container, "print", str(number))
        assert await contents(stream) == f"{number}\n".encode()
    assert "/bin/program produce 1000000000" in await wire.processes(container)  # held back, as in Docker
    await stalled.aclose()
    await eventually(lambda: _only(wire, container, "/bin/program forever"))
    await _as_before(daemon, before)
    await wire.remove(container)


async def test_client_that_vanishes_ends_the_input_of_its_exec(daemon: Daemon, wire: Wire) -> None:
    container = await wire.run("forever")
    before = _descriptors(daemon)
    for _ in range(20):
        _, stream = await wire.exec(container, "echo", stdin=True)
        await stream.send_all(b"half a wo")
        stream.socket.close()
    await eventually(lambda: _only(wire, container, "/bin/program forever"))
    await _as_before(daemon, before)
    await wire.remove(container)


async def test_removal_ends_every_stream_of_the_container(daemon: Daemon, wire: Wire) -> None:
    container = await wire.run("forever")
    before = _descriptors(daemon)
    streams = [await wire.attach(container) for _ in range(10)]
    streams += [(await wire.exec(container, "forever"))[1] for _ in range(10)]
    await wire.remove(container)
    with trio.fail_after(20):
        for stream in streams:
            await contents(stream)
            await stream.aclose()
    await _as_before(daemon, before - 2)


async def test_shutdown_with_everything_open_ends_at_once(daemon: Daemon, wire: Wire) -> None:
    container = await wire.run("ticks", "5")
    streams = [await wire.attach(container) for _ in range(_CLIENTS)]
    streams += [(await wire.exec(container, "echo", stdin=True))[1] for _ in range(_CLIENTS)]
    _, stalled = await wire.exec(container, "produce", "1000000000")
    os.kill(daemon.pid, signal.SIGTERM)
    began = time.monotonic()
    code = await trio.to_thread.run_sync(daemon.wait)
    assert code == 0, daemon.log.read_text()[-4000:]
    assert time.monotonic() - began < 8  # it waited for none of them; the bench says how fast
    for stream in [*streams, stalled]:
        await stream.aclose()
    daemon.start()
    assert (await wire.call("GET", f"/containers/{container}/json"))["State"]["Running"]
    await eventually(lambda: _only(wire, container, "/bin/program ticks 5"))
    await wire.remove(container)


async def _only(wire: Wire, container: str, command: str) -> bool:
    return await wire.processes(container) == [command]
