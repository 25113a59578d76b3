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
from tests.services.world import World


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
    assert raised.value.message == f"container {live.id} is not running"
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


_STOP_FIRST = ": stop the container before removing or force remove"


@pytest.mark.parametrize("state", ["running", "starting", "paused"])
async def test_what_runs_or_starts_is_removed_only_by_force(
    world: World, autojump_clock: MockClock, state: str
) -> None:
    live = await world.create(name="web")
    launch = world.launcher.begin(live)
    if state != "starting":
        await launch.outcome()
    if state == "paused":
        await world.containers.pause(live.id)
    with pytest.raises(Conflict) as raised:
        await world.containers.remove("web")
    how = " and must be unpaused first" if state == "paused" else _STOP_FIRST
    assert raised.value.message == f'cannot remove container "/web": container is {state}{how}'
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
