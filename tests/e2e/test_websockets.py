"""The specification's WebSocket forms of wait and follow, against the real daemon."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import trio
import trio.testing
from trio_websocket import ConnectionClosed, open_websocket_url

from tests.e2e.world import Api, Daemon, eventually


async def test_wait_is_one_message(api: Api, daemon: Daemon) -> None:
    container = await api.create("sh", "-c", "exit 6")
    url = f"ws://127.0.0.1:{daemon.port}/internal/v1/containers/{container}/wait?condition=next-exit"
    async with open_websocket_url(url) as socket:
        await trio.testing.wait_all_tasks_blocked(0.1)
        await api.start(container)
        message = await socket.get_message()
    assert json.loads(message) == {"StatusCode": 6, "Error": None}
    await api.remove(container)


async def test_followed_log_is_messages_until_the_end(api: Api, daemon: Daemon) -> None:
    container = await api.create("sh", "-c", "echo out; echo err >&2; sleep 0.2; echo end")
    query = "stdout=1&stderr=1&follow=1"
    url = f"ws://127.0.0.1:{daemon.port}/internal/v1/containers/{container}/logs/stream?{query}"
    got: list[tuple[str, bytes]] = []
    async with open_websocket_url(url) as socket:
        await api.start(container)
        try:
            while True:
                message = json.loads(await socket.get_message())
                got.append((message["type"], base64.b64decode(message.get("data", ""))))
        except ConnectionClosed:
            pass
    assert b"".join(data for kind, data in got if kind == "stdout") == b"out\nend\n"
    assert b"".join(data for kind, data in got if kind == "stderr") == b"err\n"
    await api.remove(container)


async def test_client_that_vanishes_while_it_waits_leaves_nothing(api: Api, daemon: Daemon) -> None:
    """A hundred waits and follows are dropped: the daemon's descriptors are what they were."""
    container = await api.run("sleep", "100")
    descriptors = Path(f"/proc/{daemon.pid}/fd")
    before = _count(descriptors)
    async with trio.open_nursery() as nursery:
        for kind in ("wait", "logs/stream"):
            for _ in range(50):
                nursery.start_soon(_vanish, daemon, container, kind)
    await eventually(lambda: _count(descriptors) <= before + 5)
    await api.remove(container, force=1)


async def _vanish(daemon: Daemon, container: str, kind: str) -> None:
    stream = await trio.open_tcp_stream("127.0.0.1", daemon.port)
    query = "?stdout=1&follow=1" if kind != "wait" else ""
    await stream.send_all(
        (
            f"GET /internal/v1/containers/{container}/{kind}{query} HTTP/1.1\r\nHost: daemon\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ).encode()
    )
    assert b"101" in await stream.receive_some(100)
    await trio.aclose_forcefully(stream)


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())
