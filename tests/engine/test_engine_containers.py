"""The verbs, over an agent that obeys, is deaf or is gone."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent import AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    NotModified,
    StoreUnusable,
    Unavailable,
)
from sockerless_ecs.model.container import ContainerConfig, CreateRequest
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDERR, LogLine, LogOptions
from tests.services.world import World


async def read(world: World, ref: str, **options: object) -> list[LogLine]:
    async with world.containers.logs(ref, LogOptions(**options)) as batches:  # type: ignore[arg-type]
        return [line async for batch in batches for line in batch]


def text(lines: list[LogLine]) -> str:
    return b"".join(line.data for line in lines).decode().replace("\n", " ").strip()


async def test_stop_sends_the_stop_signal_and_waits(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(name="web")
    await world.containers.stop("web")
    assert (world.agent.signals, live.record.state, live.record.exit_code) == (
        ["SIGTERM"],
        State.EXITED,
        143,
    )
    assert live.record.stopped_by_user
    assert world.actions() == ["create", "start", "kill", "die", "stop"]
    assert world.told()[2].attributes["signal"] == "15"
    with pytest.raises(NotModified, match="container web is not running"):
        await world.containers.stop("web")


@pytest.mark.parametrize(("grace", "expected"), [(None, 10), (3, 3), (0, 0), (3.5, 3.5)])
async def test_process_that_ignores_the_signal_is_killed_after_the_grace(
    world: World, autojump_clock: MockClock, grace: float | None, expected: float
) -> None:
    live = await world.run()
    world.agent.dies_of = ("SIGKILL",)
    began = trio.current_time()
    await world.containers.stop(live.id, grace)
    assert trio.current_time() - began == pytest.approx(expected)
    assert world.agent.signals == ["SIGTERM", "SIGKILL"]
    assert (live.record.exit_code, world.actions()[2:]) == (137, ["kill", "kill", "die", "stop"])


async def test_container_s_own_stop_signal_and_timeout_count(world: World, autojump_clock: MockClock) -> None:
    config = ContainerConfig(image="alpine", cmd=("x",), stop_signal="INT", stop_timeout=2)
    await world.containers.create(CreateRequest(name="web", config=config))
    await world.containers.start("web")
    began = trio.current_time()
    await world.containers.stop("web")
    assert world.agent.signals == ["SIGINT", "SIGKILL"]
    assert trio.current_time() - began == pytest.approx(2)


async def test_negative_grace_waits_for_ever(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.dies_of = ("SIGKILL",)
    with trio.move_on_after(600) as patience:
        await world.containers.stop(live.id, -1)
    assert patience.cancelled_caught
    assert world.agent.signals == ["SIGTERM"]


async def test_process_that_survives_sigkill_loses_its_task(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.dies_of = ()
    await world.containers.stop(live.id, 1)
    assert world.ecs.stopped == [world.ecs.arn]
    assert live.record.exit_code == 137


@pytest.mark.parametrize("error", [AgentLost("cut"), AgentUnreachable("gone"), WrongAgent("another's")])
async def test_stop_of_a_container_whose_agent_is_lost_stops_the_task(
    world: World, autojump_clock: MockClock, error: Exception
) -> None:
    live = await world.run()
    world.agent.faults["signal"].append(error)
    await world.containers.stop(live.id)
    assert (world.ecs.stopped, live.record.state) == ([world.ecs.arn], State.EXITED)


async def test_signal_that_does_not_end_a_container_never_stops_its_task(
    world: World, autojump_clock: MockClock
) -> None:
    """An agent that does not answer for a moment is no reason to end what was only to be told something."""
    live = await world.run()
    world.agent.reachable = False
    world.agent.cut()
    await trio.sleep(1)
    with pytest.raises(Unavailable, match="SIGHUP was not sent"):
        await world.containers.kill(live.id, "HUP")
    assert (world.ecs.stopped, live.record.state) == ([], State.RUNNING)
    await world.containers.kill(live.id)
    assert world.ecs.stopped == [world.ecs.arn]


async def test_kill_sends_any_signal_and_waits_only_for_sigkill(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(name="web")
    await world.containers.kill("web", "10")
    assert live.record.state is State.RUNNING
    await world.containers.kill("web")
    assert (world.agent.signals, live.record.exit_code) == (["SIGUSR1", "SIGKILL"], 137)
    with pytest.raises(Conflict) as raised:
        await world.containers.kill("web")
    assert raised.value.message == f"Cannot kill container: web: container {live.id} is not running"
    with pytest.raises(InvalidParameter, match="Invalid signal: NOPE"):
        await world.containers.kill("web", "NOPE")


async def test_signal_that_comes_just_after_the_end_is_fine(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.faults["signal"].append(Conflict("agent: it does not live"))
    world.agent.exit(1)
    await world.containers.kill(live.id)
    assert live.record.exit_code == 1


async def test_verbs_of_a_container_that_starts_wait_for_the_start(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    world.launcher.begin(live)
    await world.containers.stop(live.id)
    assert (live.record.state, live.record.exit_code) == (State.EXITED, 143)


async def test_start_of_what_runs_is_not_modified(world: World, autojump_clock: MockClock) -> None:
    await world.run(name="web")
    with pytest.raises(NotModified, match="container web is already running"):
        await world.containers.start("web")


async def test_start_right_after_an_exit_waits_until_that_is_told(
    world: World, autojump_clock: MockClock
) -> None:
    """An old exit does not answer who waits for the new one."""
    live = await world.run()
    world.store.refuse = lambda _: True
    world.agent.exit(1)
    await world.idle()
    assert live.exit_pending
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        assert live.record.state is State.EXITED
        world.store.refuse = lambda _: False
    wait = await world.containers.wait(live.id)
    assert (live.record.state, live.moment.value.exits, wait.settled) == (State.RUNNING, 1, False)
    world.agent.exit(2)
    assert (await wait.outcome()).code == 2


async def test_restart_keeps_the_task_and_makes_a_new_run(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    await world.containers.restart(live.id)
    assert (live.record.state, len(world.ecs.tasks)) == (State.RUNNING, 1)
    assert [run.number for run in world.ledger.runs_of(live.id)] == [1, 2]
    assert world.actions()[-3:] == ["stop", "start", "restart"]


async def test_restart_starts_what_does_not_run(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    await world.containers.restart(live.id)
    assert live.record.state is State.RUNNING


async def test_wait_for_what_is_not_running_answers_at_once_with_the_last_exit(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    assert (await (await world.containers.wait(live.id)).outcome()).code == 0
    await world.containers.start(live.id)
    world.agent.exit(6)
    await world.until(live, State.EXITED)
    await world.ended(live)
    wait = await world.containers.wait(live.id, "not-running")
    assert wait.settled
    assert (await wait.outcome()).code == 6


async def test_next_exit_is_not_an_old_one(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.exit(1)
    await world.ended(live)
    wait = await world.containers.wait(live.id, "next-exit")
    assert not wait.settled
    await world.containers.start(live.id)
    world.agent.exit(2)
    assert (await wait.outcome()).code == 2


async def test_wait_that_was_registered_before_the_start_sees_the_exit(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    wait = await world.containers.wait(live.id, "next-exit")
    await world.containers.start(live.id)
    world.agent.exit(3)
    await world.ended(live)
    await world.containers.start(live.id)
    assert (await wait.outcome()).code == 3


async def test_waits_end_with_the_container(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    waits = [await world.containers.wait(live.id, kind) for kind in ("next-exit", "removed")]
    assert not any(wait.settled for wait in waits)
    await world.containers.remove(live.id)
    assert [(await wait.outcome()).code for wait in waits] == [0, 0]
    with pytest.raises(NotFound):
        await world.containers.wait(live.id)


async def test_unknown_condition_is_refused(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    with pytest.raises(InvalidParameter, match='invalid condition: "nope"'):
        await world.containers.wait(live.id, "nope")


@pytest.mark.parametrize("state", ["running", "starting", "paused"])
async def test_what_runs_or_starts_is_removed_only_by_force(
    world: World, autojump_clock: MockClock, state: str
) -> None:
    live = await world.create(name="web")
    launch = world.launcher.begin(live)
    if state != "starting":
        await launch.outcome()
    if state == "paused":
        live.become(state=State.PAUSED)
    with pytest.raises(Conflict) as raised:
        await world.containers.remove("web")
    assert raised.value.message == (
        f"cannot remove container 'web': container is {state}: "
        "stop the container before removing or force remove"
    )
    await world.containers.remove("web", force=True)
    await trio.sleep(5)
    assert list(world.ledger) == []
    assert all(task.stopped for task in world.ecs.tasks.values())
    assert (world.actions()[-1], (await world.store.load()).cleanup_jobs) == ("destroy", {})


@pytest.mark.parametrize("deaf", [True, False])
async def test_forced_removal_does_not_need_the_process_to_die(
    world: World, autojump_clock: MockClock, deaf: bool
) -> None:
    live = await world.run()
    world.agent.dies_of = ()
    if not deaf:
        world.agent.faults["signal"].append(StoreUnusable("anything"))
    began = trio.current_time()
    await world.containers.remove(live.id, force=True)
    assert trio.current_time() - began < 11
    await trio.sleep(5)
    assert world.ecs.stopped == [world.ecs.arn]


async def test_removal_does_not_wait_for_aws(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.ecs.hold["stop_task"] = trio.Event()
    await world.containers.remove(live.id, force=True)
    assert len((await world.store.load()).cleanup_jobs) == 1
    world.ecs.hold.pop("stop_task").set()
    await world.idle()
    assert (await world.store.load()).cleanup_jobs == {}


async def test_removing_twice_at_once_removes_once(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(lambda: world.containers.remove(live.id, force=True))
    assert world.actions().count("destroy") == 1


async def test_tail_counts_over_several_runs(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    for run in range(3):
        if run:
            await world.containers.start(live.id)
        world.agent.print(*(f"{run}{line}" for line in range(3)))
        world.agent.exit()
        await world.ended(live)
    for tail, expected in {
        None: "00 01 02 10 11 12 20 21 22",
        0: "",
        2: "21 22",
        3: "20 21 22",
        4: "12 20 21 22",
        8: "01 02 10 11 12 20 21 22",
        100: "00 01 02 10 11 12 20 21 22",
    }.items():
        assert text(await read(world, live.id, tail=tail)) == expected


@pytest.mark.parametrize("source", ["agent", "archive"])
async def test_tail_of_a_running_container_counts_what_there_is(
    world: World, autojump_clock: MockClock, source: str
) -> None:
    live = await world.run()
    world.agent.print("1", "2", "3")
    [run] = world.ledger.runs_of(live.id)
    if source == "archive":
        world.cloud.copy(run.log_stream, run.id, world.agent.runs[run.id].lines, end=False)
        world.agent.faults["logs"].append(AgentLost("cut"))
    assert text(await read(world, live.id, tail=2)) == "2 3"


async def test_follower_of_a_container_that_has_not_started_waits_for_its_first_line(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True))

        nursery.start_soon(follow)
        await trio.sleep(5)
        await world.containers.start(live.id)
        world.agent.print("first")
        await trio.sleep(5)
        world.agent.print("last")
        world.agent.exit()
    assert text(got) == "first last"


async def test_follower_ends_when_the_start_fails_or_the_container_goes(
    world: World, autojump_clock: MockClock
) -> None:
    lives = [await world.create(), await world.create()]
    world.ecs.faults["run_task"].append(Unavailable("no capacity"))
    async with trio.open_nursery() as nursery:
        for live in lives:
            nursery.start_soon(lambda ref: read(world, ref, follow=True), live.id)
        await world.idle()
        with pytest.raises(Unavailable):
            await world.containers.start(lives[0].id)
        await world.containers.remove(lives[1].id)


async def test_follower_comes_for_one_run_only(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True))

        nursery.start_soon(follow)
        await world.idle()
        world.agent.print("one")
        await world.containers.restart(live.id)
        world.agent.print("two")
        await world.idle()
    assert text(got) == "one"


async def test_streams_and_times_are_chosen(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.print("a", "b")
    world.agent.print("err", stream=STDERR)
    world.agent.print("c")
    times = [line.time_ns for line in await read(world, live.id)]
    assert text(await read(world, live.id, stderr=False)) == "a b c"
    assert text(await read(world, live.id, stdout=False)) == "err"
    assert text(await read(world, live.id, since_ns=times[1])) == "b err c"
    assert text(await read(world, live.id, until_ns=times[1])) == "a b"
    assert text(await read(world, live.id, since_ns=times[1], until_ns=times[2], stdout=False)) == "err"
    with pytest.raises(InvalidParameter, match="you must choose at least one stream"):
        await read(world, live.id, stdout=False, stderr=False)
    with pytest.raises(NotFound):
        await read(world, "nobody")


async def test_who_asks_right_after_the_exit_gets_the_last_line_too(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.exit(drain=False)
    await world.until(live, State.EXITED)
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def ask() -> None:
            got.extend(await read(world, live.id))

        nursery.start_soon(ask)
        await trio.sleep(2)
        world.agent.print("late", run=str(live.record.run_id))
        world.agent.drain(str(live.record.run_id))
    assert text(got) == "late"


async def test_run_that_the_agent_has_forgotten_comes_from_the_archive(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.print("one", "two")
    world.agent.exit()
    await world.ended(live)
    [run] = world.ledger.runs_of(live.id)
    world.cloud.copy(run.log_stream, run.id, world.agent.runs.pop(run.id).lines)
    world.tails.forget(run.id)
    assert text(await read(world, live.id)) == "one two"


async def test_follower_while_the_agent_is_away_reads_the_archive_without_haste(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    [run] = world.ledger.runs_of(live.id)
    world.cloud.copy(run.log_stream, run.id, [], end=False)
    world.agent.reachable = False
    world.agent.cut()
    await trio.sleep(1)
    got: list[LogLine] = []
    async with trio.open_nursery() as nursery:

        async def follow() -> None:
            got.extend(await read(world, live.id, follow=True))

        nursery.start_soon(follow)
        await trio.sleep(30)
        assert world.cloud.reads < 150
        world.cloud.write(run.log_stream, "written meanwhile")
        await trio.sleep(2)
        world.agent.runs[run.id].lines.append(LogLine(1, 1, 1, b"written meanwhile\n"))
        world.agent.reachable = True
        await trio.sleep(2)
        world.agent.print("then")
        world.agent.exit()
    assert text(got) == "written meanwhile then"
