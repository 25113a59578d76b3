"""Attach and exec start on the Docker API: connections that are taken over."""

from __future__ import annotations

import pytest
import trio
from trio_websocket import ConnectionClosed

from sockerless_ecs.engine.values import AttachOptions, TerminalSize
from sockerless_ecs.errors import Unavailable
from tests.http.conftest import Served
from tests.http.fake_backend.execs import MISSING
from tests.http.hijacked import UPGRADE, frames, half_close, hijack
from tests.http.wire import Wire, web_socket

MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
RAW = "application/vnd.docker.raw-stream"
ATTACH = "/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1"


async def until_attached(engine: Served) -> None:
    """The fake has the connection's streams."""
    with trio.fail_after(5):
        while not engine.backend.containers.attached:
            await trio.lowlevel.checkpoint()


async def create_exec(wire: Wire, *argv: str, **more: object) -> str:
    answer = await wire.ask(
        "POST", "/containers/c/exec", {"Cmd": list(argv), "AttachStdin": True, "AttachStdout": True, **more}
    )
    assert answer.status == 201
    return str(answer.json["Id"])


@pytest.mark.parametrize(
    ("prefix", "headers", "tty", "answered"),
    [
        ("", UPGRADE, False, (101, MULTIPLEXED)),
        ("/v1.42", UPGRADE, False, (101, MULTIPLEXED)),
        ("/v1.41", UPGRADE, False, (101, RAW)),
        ("", UPGRADE, True, (101, RAW)),
        ("", ("X-None: 1",), False, (200, RAW)),
        ("", ("X-None: 1",), True, (200, RAW)),
    ],
)
async def test_a_stream_is_named_as_its_client_knows_it(
    engine: Served, prefix: str, headers: tuple[str, ...], tty: bool, answered: tuple[int, str]
) -> None:
    await engine.backend.running(tty=tty)
    async with hijack(engine, prefix + ATTACH, b"", *headers) as (head, _):
        assert (head.status, head.headers["content-type"]) == answered
    async with await engine.wire() as wire:
        exec_id = await create_exec(wire, "cat", Tty=tty)
    start = {"Detach": False, "Tty": tty}
    async with hijack(engine, f"{prefix}/exec/{exec_id}/start", start, *headers) as (head, _):
        assert (head.status, head.headers["content-type"]) == answered


async def test_attach_before_start_answers_at_once_and_carries_all_output(engine: Served) -> None:
    await engine.backend.container()
    async with hijack(engine, ATTACH) as (head, wire):
        assert head.status == 101
        await engine.backend.containers.start("c")
        engine.backend.containers.write("c", b"out\n")
        engine.backend.containers.write("c", b"err\n", 2)
        engine.backend.containers.exit("c", 0)
        assert frames(await wire.ended()) == [(1, b"out\n"), (2, b"err\n")]
    assert engine.backend.containers.attached[0].left.is_set()


async def test_attach_options_reach_the_engine(engine: Served, docker: Wire) -> None:
    await engine.backend.running()
    target = "/containers/c/attach?logs=1&stdout=true&detachKeys=ctrl-a"
    async with hijack(engine, target) as (head, wire):
        assert head.status == 101
        assert await wire.ended() == b""  # no stream was asked for
    assert engine.backend.containers.attach_options == [
        AttachOptions(stream=False, logs=True, stdin=False, stdout=True, stderr=False, detach_keys="ctrl-a")
    ]
    refused = await docker.ask("POST", "/containers/c/attach?stream=1&detachKeys=nonsense")
    assert (refused.status, refused.message) == (400, "Invalid detach keys (nonsense) provided")


async def test_a_half_close_ends_the_input_and_output_goes_on(engine: Served) -> None:
    await engine.backend.running()
    async with hijack(engine, ATTACH) as (_, wire):
        await wire.stream.send_all(b"typed\n")
        await half_close(wire)
        (streams,) = engine.backend.containers.attached
        with trio.fail_after(5):
            await streams.eof.wait()
        assert streams.sent == b"typed\n"
        assert not streams.left.is_set()
        engine.backend.containers.write("c", b"still here\n")
        engine.backend.containers.exit("c", 0)
        assert frames(await wire.ended()) == [(1, b"still here\n")]


async def test_without_stdin_what_is_typed_is_dropped_and_a_half_close_means_nothing(engine: Served) -> None:
    await engine.backend.running()
    async with hijack(engine, "/containers/c/attach?stream=1&stdout=1") as (_, wire):
        await wire.stream.send_all(b"typed\n")
        await half_close(wire)
        engine.backend.containers.write("c", b"x")
        engine.backend.containers.exit("c", 0)
        assert frames(await wire.ended()) == [(1, b"x")]
    (streams,) = engine.backend.containers.attached
    assert (bytes(streams.sent), streams.eof.is_set()) == (b"", False)


async def test_a_client_that_vanishes_ends_its_input_and_its_session(engine: Served) -> None:
    await engine.backend.running()
    async with hijack(engine, ATTACH) as (_, wire):
        (streams,) = engine.backend.containers.attached
        await wire.stream.send_all(b"last words")
        await trio.aclose_forcefully(wire.stream)
        with trio.fail_after(5):
            await streams.eof.wait()
            while not streams.left.is_set():
                engine.backend.containers.write("c", b"x" * 1000)
                await trio.lowlevel.checkpoint()
    assert streams.sent == b"last words"
    assert engine.backend.containers.find("c").state.alive


async def test_a_client_that_vanishes_while_its_process_does_not_read_is_let_go(engine: Served) -> None:
    await engine.backend.running()
    async with hijack(engine, ATTACH) as (_, wire):
        (streams,) = engine.backend.containers.attached
        streams.reads = False
        await wire.stream.send_all(b"x" * 10)
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(wire.stream)
        with trio.fail_after(5):
            while not streams.left.is_set():
                engine.backend.containers.write("c", b"x" * 1000)
                await trio.lowlevel.checkpoint()
    assert not streams.eof.is_set()


async def test_a_client_that_does_not_read_holds_the_process_back(engine: Served) -> None:
    await engine.backend.running()
    async with hijack(engine, ATTACH):
        (streams,) = engine.backend.containers.attached
        for _ in range(1000):
            streams.say(b"x" * 100_000)
        await trio.testing.wait_all_tasks_blocked(0.2)
        assert streams.taken < 200  # what fits into the kernel's buffers


async def test_a_process_that_does_not_read_holds_the_client_back(engine: Served) -> None:
    await engine.backend.running()
    async with hijack(engine, ATTACH) as (_, wire):
        engine.backend.containers.attached[0].reads = False
        with trio.move_on_after(0.5) as scope:
            while True:
                await wire.stream.send_all(b"x" * (1 << 20))
        assert scope.cancelled_caught


async def test_megabytes_pass_both_ways_unchanged(engine: Served, docker: Wire) -> None:
    await engine.backend.running()
    exec_id = await create_exec(docker, "cat", Tty=True)
    data = bytes(range(256)) * 4096 * 8
    async with hijack(engine, f"/exec/{exec_id}/start", {"Tty": True}) as (head, wire):
        assert head.status == 101
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wire.stream.send_all, data)
            echoed = await wire.take(len(data))
        await half_close(wire)
        assert await wire.ended() == b""
    assert echoed == data
    shown = (await docker.ask("GET", f"/exec/{exec_id}/json")).json
    assert (shown["ExitCode"], shown["Running"]) == (0, False)


async def test_an_agent_that_is_lost_ends_the_connection_with_the_reason(
    engine: Served, docker: Wire
) -> None:
    await engine.backend.running()
    async with hijack(engine, ATTACH) as (_, wire):
        (streams,) = engine.backend.containers.attached
        streams.failure = Unavailable("the agent is gone")
        streams.say(b"x")
        assert frames(await wire.ended()) == [(1, b"x"), (3, b"the agent is gone")]
    assert streams.left.is_set()


async def test_a_detached_exec_is_a_200_without_a_body(engine: Served, docker: Wire) -> None:
    await engine.backend.running()
    exec_id = await create_exec(docker, "true")
    answer = await docker.ask("POST", f"/exec/{exec_id}/start", {"Detach": True})
    assert (answer.status, answer.body) == (200, b"")
    shown = (await docker.ask("GET", f"/exec/{exec_id}/json")).json
    assert shown == {
        "ID": exec_id,
        "ContainerID": engine.backend.containers.find("c").id,
        "Running": False,
        "ExitCode": 0,
        "Pid": 7,
        "OpenStdin": True,
        "OpenStdout": True,
        "OpenStderr": False,
        "CanRemove": False,
        "DetachKeys": "",
        "ProcessConfig": {
            "tty": False,
            "entrypoint": "true",
            "arguments": [],
            "privileged": False,
            "user": "",
            "env": [],
            "workingDir": "",
        },
    }


@pytest.mark.parametrize(
    ("prefix", "body", "size"),
    [
        ("", {"Tty": True, "ConsoleSize": [24, 80]}, TerminalSize(rows=24, columns=80)),
        ("", {"Tty": False, "ConsoleSize": [24, 80]}, None),
        ("/v1.41", {"Tty": True, "ConsoleSize": [24, 80]}, None),
        ("", {"Tty": True, "ConsoleSize": None}, None),
    ],
)
async def test_a_console_has_its_size_from_the_first_byte(
    engine: Served, docker: Wire, prefix: str, body: dict[str, object], size: TerminalSize | None
) -> None:
    await engine.backend.running()
    exec_id = await create_exec(docker, "true", Tty=True)
    async with hijack(engine, f"{prefix}/exec/{exec_id}/start", body) as (head, wire):
        assert head.status == 101
        await wire.ended()
    assert engine.backend.execs.sizes == [(exec_id, size)]


async def test_a_hijack_that_cannot_be_is_an_ordinary_answer_on_a_usable_connection(
    engine: Served, docker: Wire
) -> None:
    await engine.backend.running()
    exec_id = await create_exec(docker, "true")
    async with hijack(engine, f"/exec/{exec_id}/start", {}) as (_, wire):
        await wire.ended()
    again = await docker.ask("POST", f"/exec/{exec_id}/start", {}, *UPGRADE)
    assert (again.status, again.message) == (409, f"Error: Exec command {exec_id} has already run")
    unknown = await docker.ask("POST", "/exec/nope/start", {}, *UPGRADE)
    assert (unknown.status, unknown.message) == (404, "No such exec instance: nope")
    nowhere = await docker.ask("POST", "/containers/nope/attach?stream=1", b"", *UPGRADE)
    assert (nowhere.status, nowhere.message) == (404, "No such container: nope")
    await engine.backend.containers.pause("c")
    paused = await docker.ask("POST", ATTACH, b"", *UPGRADE)
    assert (paused.status, "is paused" in paused.message) == (409, True)
    assert (await docker.ask("GET", "/containers/c/json")).status == 200


async def test_a_command_that_is_not_there_is_told_in_the_stream_and_by_the_exit_code(
    engine: Served, docker: Wire
) -> None:
    """A docker command that gets no 101 shows nobody the message."""
    await engine.backend.running()
    exec_id = await create_exec(docker, "missing")
    async with hijack(engine, f"/exec/{exec_id}/start", {}) as (head, wire):
        assert head.status == 101
        ((stream, said),) = frames(await wire.ended())
        assert (stream, said) == (1, f"{MISSING}\r\n".encode())
    assert (await docker.ask("GET", f"/exec/{exec_id}/json")).json["ExitCode"] == 127
    detached = await create_exec(docker, "missing")
    answer = await docker.ask("POST", f"/exec/{detached}/start", {"Detach": True})
    assert (answer.status, answer.message) == (400, MISSING)


async def test_attach_ws_carries_plain_bytes_both_ways(engine: Served) -> None:
    await engine.backend.container()
    target = "/containers/c/attach/ws?stream=1&stdin=1&stdout=1&stderr=1"
    async with web_socket(engine.address, target) as socket:
        await until_attached(engine)
        await engine.backend.containers.start("c")
        engine.backend.containers.write("c", b"out\xff\n")
        assert await socket.get_message() == b"out\xff\n"
        engine.backend.containers.write("c", b"err\n", 2)
        assert await socket.get_message() == b"err\n"
        await socket.send_message(b"typed\xff")
        await socket.send_message("text")
        (streams,) = engine.backend.containers.attached
        with trio.fail_after(5):
            while len(streams.sent) < 10:
                await trio.lowlevel.checkpoint()
        assert streams.sent == b"typed\xfftext"
        engine.backend.containers.exit("c", 0)
        with pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_attach_ws_of_old_clients_carries_text_and_every_stream(engine: Served) -> None:
    await engine.backend.running()
    async with web_socket(engine.address, "/v1.27/containers/c/attach/ws?stream=1") as socket:
        await until_attached(engine)
        assert engine.backend.containers.attach_options == [
            AttachOptions(stream=True, stdin=True, stdout=True, stderr=True)
        ]
        engine.backend.containers.write("c", b"err\n", 2)
        assert await socket.get_message() == "err\n"


async def test_attach_ws_leaves_out_what_was_not_asked_for(engine: Served) -> None:
    await engine.backend.running()
    async with web_socket(engine.address, "/containers/c/attach/ws?stream=1&stdout=1") as socket:
        await until_attached(engine)
        engine.backend.containers.write("c", b"err\n", 2)
        engine.backend.containers.write("c", b"out\n")
        assert await socket.get_message() == b"out\n"
    with trio.fail_after(5):
        await engine.backend.containers.attached[0].left.wait()
