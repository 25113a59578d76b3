"""Execs as Docker has them: checks, words, events, exit codes, and what is forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent import AgentLost, StartRefused
from sockerless_ecs.engine.values import TerminalSize
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.container import ContainerId
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.execs import KEPT_EXECS, KEPT_SECONDS
from sockerless_ecs.services.ledger import Live
from tests.services.fake_streams import frame
from tests.services.world import World

NOT_FOUND = StartRefused("not_found", 'exec: "nope": executable file not found in $PATH')
TOLD = (
    "OCI runtime exec failed: exec failed: unable to start container process: "
    'exec: "nope": executable file not found in $PATH: unknown'
)


def asked(*argv: str, **more: Any) -> Exec:
    given = {"attach_stdout": True, "attach_stderr": True, **more}
    return Exec(id="", container_id=ContainerId(""), argv=argv or ("true",), created_ns=0, **given)


async def made(world: World, live: Live, *argv: str, **more: Any) -> str:
    return await world.execs.create(live.id, asked(*argv, **more))


async def test_an_exec_has_its_output_its_code_and_its_events(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(name="web")
    exec_id = await made(world, live, "sh", "-c", "x")
    assert list(live.record.exec_ids) == [exec_id]
    async with world.execs.attached(exec_id) as streams:
        started = world.agent.execs[exec_id]
        assert (await world.execs.inspect(exec_id)).running
        started.pipes.output.extend(frame(b"out") + frame(b"err", 2))
        world.agent.ring()
        assert await streams.receive() == frame(b"out") + frame(b"err", 2)
        world.agent.end_exec(exec_id, 7)
        assert await streams.receive() == b""
        known = await world.execs.inspect(exec_id)
    assert (known.exit_code, known.pid, known.running) == (7, started.pid, False)
    assert not live.record.exec_ids
    assert world.actions()[-3:] == ["exec_create: sh -c x", "exec_start: sh -c x", "exec_die"]
    told = world.told()[-1].attributes
    assert (told["execID"], told["exitCode"], told["name"]) == (exec_id, "7", "web")
    assert (world.agent.open_streams, live.attached) == (0, set())


async def test_what_was_asked_for_reaches_the_agent(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(
        world, live, "a", "b", env=("X=1",), user="u:g", working_dir="/w", tty=True, attach_stdin=True
    )
    async with world.execs.attached(exec_id, tty=True, size=TerminalSize(rows=3, columns=4)) as streams:
        request = world.agent.execs[exec_id].request
        assert streams.tty
        await streams.send(b"typed")
        assert bytes(world.agent.execs[exec_id].pipes.typed) == b"typed"
    assert (request.id, request.run, request.argv) == (exec_id, live.record.run_id, ("a", "b"))
    assert (request.env, request.user, request.cwd) == (("X=1",), "u:g", "/w")
    assert (request.tty, request.stdin, request.rows, request.columns) == (True, True, 3, 4)
    assert not request.detach


async def test_code_is_asked_for_when_its_event_does_not_come(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    async with world.execs.attached(exec_id) as streams:
        world.agent.end_exec(exec_id, 5, told=False)
        assert await streams.receive() == b""
        assert (await world.execs.inspect(exec_id)).exit_code == 5
    assert world.actions()[-1] == "exec_die"


async def test_a_detached_exec_ends_by_its_event(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    await world.execs.start(exec_id)
    assert (await world.execs.inspect(exec_id)).running
    world.agent.end_exec(exec_id, 3)
    await world.idle()
    assert (await world.execs.inspect(exec_id)).exit_code == 3


async def test_an_exec_runs_once(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    await world.execs.start(exec_id)
    with pytest.raises(Conflict, match=f"Error: Exec command {exec_id} is already running"):
        await world.execs.start(exec_id)
    world.agent.end_exec(exec_id, 0)
    await world.idle()
    with pytest.raises(Conflict, match=f"Error: Exec command {exec_id} has already run"):
        async with world.execs.attached(exec_id):
            pass


@pytest.mark.parametrize(
    ("refusal", "code", "words"),
    [
        (NOT_FOUND, 127, TOLD),
        (StartRefused("not_executable", "exec: permission denied"), 126, "permission denied: unknown"),
        (StartRefused("bad_user", "unable to find user x"), 126, "^unable to find user x$"),
        (StartRefused("bad_cwd", "chdir to cwd: no such file or directory"), 127, "chdir to cwd"),
    ],
)
async def test_what_keeps_it_from_starting_is_told_in_dockers_words(
    world: World, autojump_clock: MockClock, refusal: StartRefused, code: int, words: str
) -> None:
    """Attached it is told on standard output, as Docker does; detached it is the answer."""
    live = await world.run()
    attached, detached = await made(world, live), await made(world, live)
    world.agent.faults["exec"].append(refusal)
    world.agent.faults["exec_detached"].append(refusal)
    async with world.execs.attached(attached) as streams:
        said = await streams.receive()
        assert await streams.receive() == b""
    with pytest.raises(InvalidParameter) as caught:
        await world.execs.start(detached)
    assert said == frame(f"{caught.value.message}\r\n".encode())
    assert words.strip("^$") in caught.value.message
    for exec_id in (attached, detached):
        known = await world.execs.inspect(exec_id)
        assert (known.exit_code, known.running, known.pid) == (code, False, 0)
    assert not live.record.exec_ids
    assert "exec_die" not in world.actions()


async def test_states_that_allow_no_exec(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(name="web")
    with pytest.raises(Conflict, match=f"container {live.id} is not running"):
        await made(world, live)
    with pytest.raises(NotFound, match="No such container: nope"):
        await world.execs.create("nope", asked())
    await world.containers.start(live.id)
    exec_id = await made(world, live)
    await world.containers.pause(live.id)
    with pytest.raises(Conflict, match="Container web is paused, unpause the container before exec"):
        await world.execs.create("web", asked())
    with pytest.raises(Conflict, match=f"Container {live.id} is paused, unpause the container before exec"):
        await world.execs.start(exec_id)
    await world.containers.unpause(live.id)
    await world.execs.start(exec_id)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"privileged": True}, "a privileged exec is not possible"),
        ({"detach_keys": "zz"}, r"Invalid escape keys \(zz\) provided"),
    ],
)
async def test_what_cannot_be_is_refused_at_create(
    world: World, autojump_clock: MockClock, more: dict[str, Any], words: str
) -> None:
    live = await world.run()
    with pytest.raises(InvalidParameter, match=words):
        await made(world, live, **more)
    assert not live.record.exec_ids


async def test_the_end_of_the_container_ends_its_execs(world: World, autojump_clock: MockClock) -> None:
    """What ran has a code, what had not been started is forgotten, as in Docker."""
    live = await world.run()
    running, waiting = await made(world, live), await made(world, live)
    await world.execs.start(running)
    world.agent.exit(0)
    world.agent.end_exec(running, 137)
    await world.ended(live)
    assert (await world.execs.inspect(running)).exit_code == 137
    with pytest.raises(NotFound, match=f"No such exec instance: {waiting}"):
        await world.execs.inspect(waiting)
    with pytest.raises(Conflict, match="is not running"):
        await world.execs.start(running)
    await world.containers.remove(live.id)
    with pytest.raises(NotFound, match="No such exec instance"):
        await world.execs.inspect(running)


async def test_execs_of_a_task_that_is_lost_were_killed(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    async with world.execs.attached(exec_id) as streams:
        world.ecs.stops(world.ecs.arn)
        assert await streams.receive() == b""
        assert live.record.state is State.DEAD
    assert (await world.execs.inspect(exec_id)).exit_code == 137
    assert "exec_die" in world.actions()


async def test_a_stream_that_is_cut_while_the_container_lives_is_told(
    world: World, autojump_clock: MockClock
) -> None:
    """What it has written meanwhile is gone: that is no end."""
    live = await world.run()
    exec_id = await made(world, live)
    async with world.execs.attached(exec_id) as streams:
        world.agent.cut()
        with pytest.raises(Unavailable, match="was cut: it goes on"):
            await streams.receive()
    assert (await world.execs.inspect(exec_id)).running


async def test_a_removed_container_ends_who_is_attached(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    async with world.execs.attached(exec_id) as streams, trio.open_nursery() as nursery:
        nursery.start_soon(world.remover.remove, live)
        assert await streams.receive() == b""
    assert world.agent.open_streams == 0


async def test_leaving_lets_the_process_go_on(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    async with world.execs.attached(exec_id):
        pass
    assert (await world.execs.inspect(exec_id)).running
    assert (world.agent.open_streams, live.attached) == (0, set())


@pytest.mark.parametrize("checkpoints", range(8))
async def test_client_that_vanishes_at_any_moment_leaves_nothing(
    world: World, autojump_clock: MockClock, checkpoints: int
) -> None:
    live = await world.run()
    exec_id = await made(world, live)

    async def come() -> None:
        async with world.execs.attached(exec_id) as streams:
            while await streams.receive():
                pass

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come)
        for _ in range(checkpoints):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert (world.agent.open_streams, live.attached) == (0, set())
    if exec_id in world.agent.execs:  # it did start: its end is known when it comes
        world.agent.end_exec(exec_id, 9)
        await world.idle()
        assert (await world.execs.inspect(exec_id)).exit_code == 9


async def test_agent_that_is_being_reached_again_is_waited_for(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    exec_id, late = await made(world, live), await made(world, live)
    world.agent.reachable = False
    world.agent.cut()
    await world.idle()
    assert live.agent is None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.execs.start, exec_id)
        await trio.sleep(3)
        world.agent.reachable = True
    assert (await world.execs.inspect(exec_id)).running
    world.agent.reachable = False
    world.agent.cut()
    await world.idle()
    with pytest.raises(Unavailable, match="does not answer now"):
        await world.execs.start(late)


async def test_a_start_whose_answer_is_lost_is_told(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live)
    world.agent.faults["exec"].append(AgentLost("cut"))
    with pytest.raises(AgentLost):
        async with world.execs.attached(exec_id):
            pass
    assert (await world.execs.inspect(exec_id)).exit_code == 126


async def test_detach_keys_leave_the_exec(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live, tty=True, attach_stdin=True, detach_keys="ctrl-e")
    async with world.execs.attached(exec_id, tty=True) as streams:
        await streams.send(b"ab\x05cd")
        assert await streams.receive() == b""
    assert bytes(world.agent.execs[exec_id].pipes.typed) == b"ab"
    assert world.actions()[-1] == "exec_detach"
    assert (await world.execs.inspect(exec_id)).running


async def test_only_what_is_attached_is_shown(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id = await made(world, live, attach_stdout=False)
    async with world.execs.attached(exec_id) as streams:
        world.agent.execs[exec_id].pipes.output.extend(frame(b"out") + frame(b"err", 2) + frame(b"out"))
        world.agent.end_exec(exec_id, 0)
        assert await streams.receive() == frame(b"err", 2)
        assert await streams.receive() == b""
    nothing = await made(world, live, attach_stdout=False, attach_stderr=False)
    async with world.execs.attached(nothing) as streams:
        assert await streams.receive() == b""
    assert (await world.execs.inspect(nothing)).running


async def test_resize_waits_for_the_start_and_knows_the_end(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id, never = await made(world, live, tty=True), await made(world, live, tty=True)
    size = TerminalSize(rows=5, columns=6)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.execs.resize, exec_id, size)
        await trio.sleep(1)
        await world.execs.start(exec_id)
    assert world.agent.execs[exec_id].size == (5, 6)
    with pytest.raises(SockerlessError, match="timeout waiting for exec session ready"):
        await world.execs.resize(never, size)
    world.agent.end_exec(exec_id, 0)
    await world.idle()
    with pytest.raises(NotFound, match="no such exec"):
        await world.execs.resize(exec_id, size)


async def test_what_ended_is_forgotten_after_a_while(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    exec_id, running = await made(world, live), await made(world, live)
    for one in (exec_id, running):
        await world.execs.start(one)
    world.agent.end_exec(exec_id, 0)
    await world.idle()
    await trio.sleep(KEPT_SECONDS - 10)
    assert (await world.execs.inspect(exec_id)).exit_code == 0
    await trio.sleep(20)
    with pytest.raises(NotFound, match=f"No such exec instance: {exec_id}"):
        await world.execs.inspect(exec_id)
    assert (await world.execs.inspect(running)).running


async def test_what_is_never_started_is_bounded(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    first = await made(world, live)
    for number in range(KEPT_EXECS + 1):
        world.ledger.execs.add(replace(asked(), id=str(number), container_id=live.id))
    with pytest.raises(NotFound, match=f"No such exec instance: {first}"):
        await world.execs.inspect(first)
    assert first not in live.record.exec_ids


async def test_revision_rises_when_what_is_shown_changes(world: World, autojump_clock: MockClock) -> None:
    seen = [world.ledger.revision]
    live = await world.run()
    seen.append(world.ledger.revision)
    exec_id = await made(world, live)
    seen.append(world.ledger.revision)
    await world.execs.start(exec_id)
    world.agent.end_exec(exec_id, 0)
    await world.idle()
    seen.append(world.ledger.revision)
    world.ledger.images.pop(next(iter(world.ledger.images)))
    seen.append(world.ledger.revision)
    await world.containers.remove(live.id, force=True)
    seen.append(world.ledger.revision)
    assert seen == sorted(set(seen))
