"""Attach and exec start on the internal API: by upgrade as the frontend does it, and as messages."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection

from sockerless_ecs.engine.values import AttachOptions, TerminalSize
from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.event import EngineEvent
from tests.http.conftest import Served
from tests.http.fake_backend import FakeBackend
from tests.http.hijacked import frames, hijack
from tests.http.wire import Wire, web_socket

V1 = "/internal/v1"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"


async def told(socket: WebSocketConnection) -> dict[str, Any]:
    """The next message, its data as bytes."""
    with trio.fail_after(5):
        message: dict[str, Any] = json.loads(await socket.get_message())
    if "data" in message:
        message["data"] = base64.b64decode(message["data"])
    return message


async def tell(socket: WebSocketConnection, kind: str, data: bytes | None = None, **more: object) -> None:
    words = {} if data is None else {"data": base64.b64encode(data).decode()}
    await socket.send_message(json.dumps({"type": kind, "id": "ignored", **words, **more}))


async def create_exec(wire: Wire, *argv: str, **more: object) -> str:
    answer = await wire.ask("POST", f"{V1}/containers/c/exec", {"Cmd": list(argv), **more})
    assert answer.status == 201
    return str(answer.json["Id"])


async def test_attach_without_a_query_is_everything(served: Served) -> None:
    await served.backend.container()
    async with hijack(served, f"{V1}/containers/c/attach") as (head, wire):
        assert (head.status, head.headers["content-type"]) == (101, MULTIPLEXED)
        assert served.backend.containers.attach_options == [
            AttachOptions(stream=True, stdin=True, stdout=True, stderr=True)
        ]
        await served.backend.containers.start("c")
        served.backend.containers.write("c", b"hi\n")
        served.backend.containers.exit("c", 0)
        assert frames(await wire.ended()) == [(1, b"hi\n")]
    async with hijack(served, f"{V1}/containers/c/attach?logs=1&stdout=1") as (_, wire):
        assert await wire.ended() == b""
    assert served.backend.containers.attach_options[1] == AttachOptions(stream=False, logs=True, stdout=True)


async def test_an_exec_runs_by_upgrade_and_its_code_is_known_when_the_connection_ends(
    served: Served, wire: Wire, backend: FakeBackend
) -> None:
    await backend.running()
    exec_id = await create_exec(wire, "sh")
    async with hijack(served, f"{V1}/exec/{exec_id}/start", {"Detach": False, "Tty": False}) as (head, held):
        assert (head.status, head.headers["content-type"]) == (101, MULTIPLEXED)
        shown = (await wire.ask("GET", f"{V1}/exec/{exec_id}")).json
        assert (shown["Running"], shown["ExitCode"]) == (True, None)
        backend.execs.streams[exec_id].say(b"out")
        backend.execs.end(exec_id, 7)
        assert frames(await held.ended()) == [(1, b"out")]
    assert (await wire.ask("GET", f"{V1}/exec/{exec_id}")).json["ExitCode"] == 7
    detached = await create_exec(wire, "true")
    answer = await wire.ask("POST", f"{V1}/exec/{detached}/start", {"Detach": True, "Tty": False})
    assert (answer.status, answer.body) == (200, b"")


async def test_attach_as_messages(served: Served, backend: FakeBackend) -> None:
    container_id = await backend.running(tty=True)
    async with web_socket(served.address, f"{V1}/containers/c/attach/ws") as socket:
        await tell(socket, "attach")
        await tell(socket, "resize", width=100, height=30)
        await tell(socket, "stdin", b"typed\xff")
        await tell(socket, "close_stdin")
        (streams,) = backend.containers.attached
        with trio.fail_after(5):
            await streams.eof.wait()
        assert streams.sent == b"typed\xff"
        assert backend.containers.sizes == [TerminalSize(rows=30, columns=100)]
        backend.containers.write("c", b"\xffout")
        assert await told(socket) == {"type": "stdout", "id": container_id, "data": b"\xffout"}
        await tell(socket, "signal", signal="INT")
        assert await told(socket) == {"type": "exit", "id": container_id, "code": 137}
        assert backend.containers.calls == [("kill", container_id, "INT")]
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_both_streams_are_told_apart_in_messages(served: Served, backend: FakeBackend) -> None:
    await backend.running()
    async with web_socket(served.address, f"{V1}/containers/c/attach/ws") as socket:
        with trio.fail_after(5):
            while not backend.containers.attached:
                await trio.lowlevel.checkpoint()
        backend.containers.write("c", b"out")
        backend.containers.write("c", b"err", 2)
        assert [
            (message["type"], message["data"]) for message in (await told(socket), await told(socket))
        ] == [
            ("stdout", b"out"),
            ("stderr", b"err"),
        ]


async def test_a_message_that_makes_no_sense_is_answered_and_the_session_goes_on(
    served: Served, backend: FakeBackend
) -> None:
    container_id = await backend.running()
    async with web_socket(served.address, f"{V1}/containers/c/attach/ws") as socket:
        for raw, said in (
            ("{", "invalid JSON"),
            ("[]", "expected object"),
            ('{"type":"dance"}', "'dance' is no message of a client"),
            ('{"type":"stdin","data":"*"}', "base64"),
            ('{"type":"signal","signal":"NOPE"}', "Invalid signal"),
        ):
            await socket.send_message(raw)
            answer = await told(socket)
            assert (answer["type"], answer["id"]) == ("error", container_id)
            assert said in answer["message"]
        backend.containers.exit("c", 0)
        assert await told(socket) == {"type": "exit", "id": container_id, "code": 0}


async def test_health_is_told_to_who_is_attached(served: Served, backend: FakeBackend) -> None:
    container_id = await backend.running(healthcheck=Healthcheck(test=("CMD", "true")))
    async with web_socket(served.address, f"{V1}/containers/c/attach/ws") as socket:
        with trio.fail_after(5):
            while not backend.system.listeners:
                await trio.lowlevel.checkpoint()
        for action in ("exec_create: x", "health_status: healthy"):
            event = EngineEvent(
                type="container", action=action, actor_id=container_id, time_ns=1, attributes={}
            )
            for listener in backend.system.listeners:
                listener.send_nowait(event)
        assert await told(socket) == {"type": "health", "id": container_id, "status": "healthy"}
        backend.containers.exit("c", 0)
        assert (await told(socket))["type"] == "exit"


async def test_an_exec_as_messages(served: Served, wire: Wire, backend: FakeBackend) -> None:
    await backend.running()
    exec_id = await create_exec(wire, "cat", Tty=True)
    async with web_socket(served.address, f"{V1}/exec/{exec_id}/start/ws?h=24&w=80") as socket:
        await tell(socket, "exec")
        await tell(socket, "stdin", b"echo")
        assert await told(socket) == {"type": "stdout", "id": exec_id, "data": b"echo"}
        await tell(socket, "resize", width=100, height=30)
        await tell(socket, "signal", signal="INT")
        assert "cannot be signalled" in (await told(socket))["message"]
        backend.execs.end(exec_id, 7)
        assert await told(socket) == {"type": "exit", "id": exec_id, "code": 7}
    assert backend.execs.sizes == [
        (exec_id, TerminalSize(rows=24, columns=80)),
        (exec_id, TerminalSize(rows=30, columns=100)),
    ]
