"""Attaching as Docker has it: what is refused, what is shown, keys, the end of input, sizes, processes."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent.sights import ProcessInfo
from sockerless_ecs.engine.contract import Streams
from sockerless_ecs.engine.ps import process_table
from sockerless_ecs.engine.streams import Sieve
from sockerless_ecs.engine.values import AttachOptions, TerminalSize
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound
from sockerless_ecs.model.log import STDERR
from tests.services.fake_streams import FakePipes, frame
from tests.services.world import World

BOTH = AttachOptions(stdout=True, stderr=True)
TYPING = AttachOptions(stdin=True, stdout=True, stderr=True)
SIZE = TerminalSize(rows=24, columns=80)


def pipes(world: World) -> FakePipes:
    return world.agent.runs[world.agent.live].pipes


async def all_of(streams: Streams) -> bytes:
    data = b""
    while piece := await streams.receive():
        data += piece
    return data


async def test_attach_before_the_start_loses_nothing(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(name="web")
    async with world.containers.attach("web", BOTH) as streams:
        await world.containers.start("web")
        world.agent.print("a")
        world.agent.print("b", stream=STDERR)
        world.agent.exit(0)
        assert await all_of(streams) == frame(b"a\n") + frame(b"b\n", STDERR)
    await world.ended(live)
    assert world.actions() == ["create", "attach", "start", "die"]


async def test_attach_after_an_exit_is_to_the_next_run(world: World, autojump_clock: MockClock) -> None:
    """And what was written before comes first, if it is wanted."""
    live = await world.run()
    world.agent.print("one")
    world.agent.exit(0)
    await world.ended(live)
    wanted = AttachOptions(stdout=True, logs=True)
    async with (
        world.containers.attach(live.id, BOTH) as next_only,
        world.containers.attach(live.id, wanted) as both,
    ):
        await world.containers.start(live.id)
        world.agent.print("two")
        world.agent.exit(0)
        assert await all_of(next_only) == frame(b"two\n")
        assert await all_of(both) == frame(b"one\n") + frame(b"two\n")


async def test_a_process_that_runs_is_attached_to_from_now_on(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.print("before")
    wanted = AttachOptions(stdout=True, logs=True)
    async with (
        world.containers.attach(live.id, BOTH) as now,
        world.containers.attach(live.id, wanted) as begin,
    ):
        world.agent.print("after")
        world.agent.exit(0)
        assert await all_of(now) == frame(b"after\n")
        assert await all_of(begin) == frame(b"before\n") + frame(b"after\n")


@pytest.mark.parametrize("logs", [True, False])
async def test_without_stream_it_ends_by_itself(world: World, autojump_clock: MockClock, logs: bool) -> None:
    live = await world.run()
    world.agent.print("a")
    world.agent.print("b", stream=STDERR)
    wanted = AttachOptions(stream=False, logs=logs, stderr=True)
    async with world.containers.attach(live.id, wanted) as streams:
        assert await all_of(streams) == (frame(b"b\n", STDERR) if logs else b"")
    assert live.record.state.alive


async def test_who_wants_no_stream_gets_the_end(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    async with world.containers.attach(live.id, AttachOptions()) as streams:
        assert await streams.receive() == b""


async def test_states_in_which_nobody_attaches(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(name="web")
    await world.containers.pause("web")
    with pytest.raises(Conflict, match="container web is paused, unpause the container before attach"):
        async with world.containers.attach("web", BOTH):
            pass
    with pytest.raises(NotFound, match="No such container: nope"):
        async with world.containers.attach("nope", BOTH):
            pass
    with pytest.raises(InvalidParameter, match=r"Invalid detach keys \(zz\) provided"):
        async with world.containers.attach("web", AttachOptions(detach_keys="zz")):
            pass
    assert live.attached == set()


async def test_a_restart_that_is_to_come_is_waited_for_by_nobody(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(name="web")
    live.become(state=type(live.record.state).RESTARTING)
    with pytest.raises(Conflict, match="container web is restarting, wait until the container is running"):
        async with world.containers.attach("web", BOTH):
            pass


async def test_the_end_of_input_is_the_processs_where_it_is_read_once(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(config={"open_stdin": True, "stdin_once": True})
    async with world.containers.attach(live.id, TYPING) as streams:
        await streams.send(b"script")
        await streams.send_eof()
        assert (bytes(pipes(world).typed), pipes(world).input_ends) == (b"script", 1)
        world.agent.print("done")
        world.agent.exit(0)
        assert await all_of(streams) == frame(b"done\n")


@pytest.mark.parametrize("config", [{}, {"tty": True}, {"tty": True, "stdin_once": True}])
async def test_elsewhere_the_end_of_input_ends_the_session_as_in_docker(
    world: World, autojump_clock: MockClock, config: dict[str, bool]
) -> None:
    live = await world.run(config={"open_stdin": True, **config})
    async with world.containers.attach(live.id, TYPING) as streams:
        await streams.send(b"x")
        await streams.send_eof()
        assert await streams.receive() == b""
    assert bytes(pipes(world).typed) == b"x"
    assert live.record.state.alive


async def test_input_that_nobody_asked_for_or_can_take_is_dropped(
    world: World, autojump_clock: MockClock
) -> None:
    without = await world.run()
    async with world.containers.attach(without.id, TYPING) as streams:
        await streams.send(b"x")
        await streams.send_eof()
        world.agent.print("goes on")
        assert await streams.receive() == frame(b"goes on\n")
    assert pipes(world).typed == b""


async def test_detach_keys_leave_a_terminal(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(config={"open_stdin": True, "tty": True})
    async with world.containers.attach(live.id, TYPING) as streams, trio.open_nursery() as nursery:
        assert streams.tty
        world.agent.write(b"raw")
        assert await streams.receive() == b"raw"
        nursery.start_soon(_ends, streams)
        await world.idle()
        await streams.send(b"ls\x10")
        await streams.send(b"\x11rm")
    assert bytes(pipes(world).typed) == b"ls"
    assert world.actions()[-2:] == ["attach", "detach"]
    assert (world.agent.open_streams, live.record.state.alive) == (0, True)


async def _ends(streams: Streams) -> None:
    assert await streams.receive() == b""


async def test_keys_are_but_bytes_without_a_terminal(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(config={"open_stdin": True})
    async with world.containers.attach(live.id, TYPING) as streams:
        await streams.send(b"\x10\x11")
    assert bytes(pipes(world).typed) == b"\x10\x11"
    assert "detach" not in world.actions()


async def test_fifty_clients_see_the_same(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    got: list[bytes] = []

    async def watch() -> None:
        async with world.containers.attach(live.id, BOTH) as streams:
            got.append(await all_of(streams))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(watch)
        await world.idle()
        await world.containers.start(live.id)
        world.agent.print("x")
        world.agent.exit(0)
    assert got == [frame(b"x\n")] * 50
    assert (world.agent.open_streams, live.attached) == (0, set())


async def test_a_size_is_for_a_terminal_that_runs(world: World, autojump_clock: MockClock) -> None:
    """Without a terminal there is nothing to do, and Docker says nothing."""
    live = await world.create(config={"tty": True})
    with pytest.raises(Conflict, match=f"container {live.id} is not running"):
        await world.containers.resize(live.id, SIZE)
    await world.containers.start(live.id)
    await world.containers.resize(live.id, SIZE)
    assert world.agent.runs[world.agent.live].size == (24, 80)
    told = world.told()[-1]
    assert (told.action, told.attributes["height"], told.attributes["width"]) == ("resize", "24", "80")
    plain = await world.run()
    await world.containers.resize(plain.id, SIZE)
    assert world.agent.runs[world.agent.live].size == (0, 0)


async def test_what_does_not_run_has_no_processes_and_uses_nothing(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    with pytest.raises(Conflict, match=f"container {live.id} is not running"):
        await world.containers.top(live.id)
    assert await world.containers.usage(live.id) is None


@pytest.mark.parametrize("size", [1, 3, 8, 100])
def test_sieve_lets_one_stream_through_wherever_it_is_cut(size: int) -> None:
    data = frame(b"out") + frame(b"err", STDERR) + frame(b"") + frame(b"more") + frame(b"e", STDERR)
    sieve = Sieve(stdout=False, stderr=True)
    got = b"".join(sieve.pass_on(data[at : at + size]) for at in range(0, len(data), size))
    assert got == frame(b"err", STDERR) + frame(b"e", STDERR)


DAY_NS = 86_400_000_000_000
PROCESS = ProcessInfo(
    pid=7,
    ppid=1,
    uid=0,
    user="root",
    gid=0,
    state="S",
    nice=0,
    cpu_percent=12.34,
    vsz_kib=2000,
    rss_kib=1024,
    tty="?",
    start_ns=DAY_NS + 60_000_000_000,
    cpu_ns=3_723_000_000_000,
    command="sh",
    arguments="sh -c x",
)


@pytest.mark.parametrize(
    ("arguments", "titles", "row"),
    [
        ("", "UID PID PPID C STIME TTY TIME CMD", "root|7|1|12|00:01|?|01:02:03|sh -c x"),
        ("-ef", "UID PID PPID C STIME TTY TIME CMD", "root|7|1|12|00:01|?|01:02:03|sh -c x"),
        *[
            (
                arguments,
                "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND",
                "root|7|12.3|50.0|2000|1024|?|S|00:01|62:03|sh -c x",
            )
            for arguments in ("aux", "-aux", "axu", "auxww")
        ],
        ("-o pid,cmd", "PID CMD", "7|sh -c x"),
        ("-eo pid,comm,args,etime", "PID COMMAND COMMAND ELAPSED", "7|sh|sh -c x|59:00"),
        ("axo pid,ppid,user,uid,gid,ni", "PID PPID USER UID GID NI", "7|1|root|0|0|0"),
        ("-e -o pid -opcpu,pmem", "PID %CPU %MEM", "7|12.3|50.0"),
        ("-e", "PID TTY TIME CMD", "7|?|01:02:03|sh"),
    ],
)
def test_ps_shows_what_dockers_does(arguments: str, titles: str, row: str) -> None:
    table = process_table([PROCESS], arguments, now_ns=DAY_NS + 3_600_000_000_000, memory_kib=2048)
    assert (table.titles, table.rows) == (tuple(titles.split()), (tuple(row.split("|")),))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("-o cmd", "Couldn't find PID field in ps output"),
        ("-o pid,nosuch", 'unknown user-defined format specifier "nosuch"'),
        ("--bogus", "unknown gnu long option"),
        ("-efl", "unsupported option 'l'"),
        ("-o", "Couldn't find PID field"),
        ("pid", "unsupported option 'p'"),
    ],
)
def test_ps_arguments_that_are_not_known_are_refused(arguments: str, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        process_table([PROCESS], arguments, now_ns=0, memory_kib=0)


def test_days_are_shown_as_ps_shows_them() -> None:
    table = process_table([PROCESS], "-o pid,stime,etime", now_ns=4 * DAY_NS, memory_kib=0)
    assert table.rows == (("7", "Jan02", "2-23:59:00"),)
