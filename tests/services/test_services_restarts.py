"""Restart policies, as Docker's restart manager has them, over an agent and a cloud that fail."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent import StartRefused
from sockerless_ecs.errors import InvalidParameter, NotModified, SockerlessError, Unavailable
from sockerless_ecs.model.container import RestartPolicy
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.restart import check_policy, next_pause
from sockerless_ecs.services.ledger import Live
from tests.services.world import Outside, World, daemon

ALWAYS = RestartPolicy(name="always")
UNLESS_STOPPED = RestartPolicy(name="unless-stopped")
TWICE = RestartPolicy(name="on-failure", maximum_retry_count=2)


async def _down(world: World, live: Live, code: int) -> None:
    """The process ends, and that is known."""
    exits = live.moment.value.exits
    world.agent.exit(code)
    await live.moment.wait_value(lambda moment: moment.exits > exits)


async def test_process_that_ends_is_restarted_in_its_task_after_a_pause(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(restart_policy=ALWAYS)
    wait = await world.containers.wait(live.id, "next-exit")
    await _down(world, live, 3)
    record = live.record
    assert (record.state, record.exit_code, record.restart_count) == (State.RESTARTING, 3, 1)
    assert (record.active, record.status, (await wait.outcome()).code) == (True, "restarting", 3)
    began = trio.current_time()
    await world.until(live, State.RUNNING)
    assert trio.current_time() - began == pytest.approx(0.1)
    assert len(world.ecs.tasks) == 1
    assert [run.number for run in world.ledger.runs_of(live.id)] == [1, 2]
    assert world.actions() == ["create", "start", "die", "start"]
    assert world.told()[2].attributes["execDuration"] == "0"


def test_pauses_double_up_to_a_minute_and_begin_anew_after_a_run_that_lasted() -> None:
    pauses = [0.1]
    while len(pauses) < 12:
        pauses.append(next_pause(pauses[-1], 9.9))
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-2:] == [60, 60]
    assert next_pause(60, 10) == 0.1


@pytest.mark.parametrize(
    ("policy", "codes", "restarts"),
    [
        (RestartPolicy(), [1], 0),
        (ALWAYS, [0, 0, 0], 3),
        (UNLESS_STOPPED, [0, 1], 2),
        (RestartPolicy(name="on-failure"), [1, 2, 3, 0], 3),
        (TWICE, [1, 1, 1], 2),
    ],
    ids=str,
)
async def test_policy_decides_by_the_exit_code_and_the_count(
    world: World, autojump_clock: MockClock, policy: RestartPolicy, codes: list[int], restarts: int
) -> None:
    live = await world.run(restart_policy=policy)
    for code in codes:
        await _down(world, live, code)
        await trio.sleep(5)
    assert live.record.restart_count == restarts
    assert live.record.state is (State.RUNNING if restarts == len(codes) else State.EXITED)


async def test_start_by_a_person_counts_from_nothing(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(restart_policy=TWICE)
    for _ in range(3):
        await _down(world, live, 1)
        await trio.sleep(5)
    await world.containers.start(live.id)
    assert live.record.restart_count == 0
    await _down(world, live, 1)
    assert live.record.state is State.RESTARTING


async def test_stop_while_it_waits_to_be_restarted_leaves_it_down(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(restart_policy=ALWAYS)
    await _down(world, live, 3)
    with pytest.raises(NotModified):
        await world.containers.start(live.id)
    wait = await world.containers.wait(live.id)
    assert not wait.settled
    await world.containers.stop(live.id)
    assert (live.record.state, live.record.exit_code, (await wait.outcome()).code) == (State.EXITED, 3, 3)
    await trio.sleep(120)
    assert (live.record.state, world.actions()) == (State.EXITED, ["create", "start", "die", "stop"])
    stored = await world.stored(live)
    assert stored is not None
    assert (stored.state, stored.stopped_by_user) == (State.EXITED, True)


@pytest.mark.parametrize("signal", ["KILL", "USR1"])
async def test_kill_while_it_waits_to_be_restarted_is_silent(
    world: World, autojump_clock: MockClock, signal: str
) -> None:
    live = await world.run(restart_policy=ALWAYS)
    await _down(world, live, 3)
    await world.containers.kill(live.id, signal)
    await trio.sleep(120)
    assert (live.record.state, world.actions()) == (State.EXITED, ["create", "start", "die"])


async def test_restart_while_it_waits_to_be_restarted_starts_at_once(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(restart_policy=ALWAYS)
    for _ in range(8):
        await _down(world, live, 3)
        if live.record.restart_count < 8:
            await world.until(live, State.RUNNING)
    began = trio.current_time()
    await world.containers.restart(live.id)
    assert trio.current_time() - began < 0.1
    assert (live.record.state, live.record.restart_count) == (State.RUNNING, 0)
    assert world.actions()[-3:] == ["stop", "start", "restart"]


async def test_removal_while_it_waits_to_be_restarted_needs_force(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(name="web", restart_policy=ALWAYS)
    await _down(world, live, 3)
    with pytest.raises(SockerlessError, match='cannot remove container "/web": container is restarting: '):
        await world.containers.remove("web")
    await world.containers.remove("web", force=True)
    await trio.sleep(120)
    assert world.actions() == ["create", "start", "die", "destroy"]
    assert (await world.store.load()).containers == {}


@pytest.mark.parametrize(
    ("policy", "stop_signal", "again"),
    [
        (ALWAYS, "TERM", True),
        (ALWAYS, "", False),
        (UNLESS_STOPPED, "TERM", False),
        (UNLESS_STOPPED, "", False),
    ],
)
async def test_another_signal_calls_restarts_off_unless_a_stop_signal_is_configured(
    world: World, autojump_clock: MockClock, policy: RestartPolicy, stop_signal: str, again: bool
) -> None:
    """Docker's own rule: without a stop signal of the container's own, any signal is meant to end it."""
    live = await world.create(restart_policy=policy)
    live.become(config=replace(live.record.config, stop_signal=stop_signal))
    await world.containers.start(live.id)
    await world.containers.kill(live.id, "USR1")
    await _down(world, live, 4)
    assert (live.record.state is State.RESTARTING) is again


async def test_restart_whose_program_is_gone_ends_with_the_last_exit_code(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(restart_policy=ALWAYS)
    world.agent.faults["start"].append(StartRefused("not_found", 'exec: "x": executable file not found'))
    await _down(world, live, 3)
    await trio.sleep(120)
    record = live.record
    assert (record.state, record.exit_code, record.restart_count) == (State.EXITED, 3, 1)
    assert "executable file not found" in record.error
    assert live.moment.value.exits == 2


async def test_restart_goes_on_trying_while_aws_is_out(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(restart_policy=ALWAYS)
    world.ecs.faults["run_task"].extend([Unavailable("throttled")] * 4)
    world.ecs.stops(world.ecs.arn, code=None, reason="Host died")
    await live.moment.wait_value(lambda moment: moment.exits == 1)
    assert (live.record.exit_code, live.record.task, live.record.status) == (137, None, "restarting")
    await world.until(live, State.RUNNING)
    assert (len(world.ecs.tasks), live.record.restart_count, live.record.error) == (2, 1, "")
    assert live.moment.value.exits == 1


async def test_stop_during_an_outage_ends_the_trying(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(restart_policy=ALWAYS)
    world.ecs.faults["run_task"].extend([Unavailable("throttled")] * 1000)
    world.ecs.stops(world.ecs.arn, code=None)
    await trio.sleep(30)
    assert live.record.active
    await world.containers.stop(live.id)
    await trio.sleep(600)
    assert live.record.state is State.EXITED


async def test_restart_that_a_daemon_left_is_done_by_the_next(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run(restart_policy=UNLESS_STOPPED)
        await _down(world, live, 1)
    async with daemon(outside) as world:
        again = world.ledger.find(live.id)
        assert again.record.state is State.RESTARTING
        world.reconciler.begin()
        await world.reconciler.settle()
        await world.until(again, State.RUNNING)
        assert again.record.restart_count == 1


@pytest.mark.parametrize(
    ("policy", "stopped", "up"),
    [
        (ALWAYS, True, True),
        (ALWAYS, False, True),
        (UNLESS_STOPPED, True, False),
        (RestartPolicy(name="on-failure"), True, False),
        (RestartPolicy(), True, False),
    ],
)
async def test_daemon_that_begins_starts_what_docker_would(
    autojump_clock: MockClock, policy: RestartPolicy, stopped: bool, up: bool
) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run(restart_policy=policy)
        never = await world.create(restart_policy=policy)
        if stopped:
            await world.containers.stop(live.id)
            await world.ended(live)
        else:
            await _down(world, live, 0)
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
        await trio.sleep(60)
        assert world.ledger.find(live.id).record.state is (State.RUNNING if up else State.EXITED)
        assert world.ledger.find(never.id).record.state is State.CREATED


async def test_exit_while_no_daemon_looked_is_followed_by_a_restart(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run(restart_policy=TWICE)
    outside.ecs.agent.exit(9)
    async with daemon(outside) as world:
        again = world.ledger.find(live.id)
        world.reconciler.begin()
        await world.reconciler.settle()
        await again.moment.wait_value(lambda moment: moment.starts == 1)
        assert (again.record.state, again.record.restart_count) == (State.RUNNING, 1)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (RestartPolicy(name="x"), "unknown policy 'x'"),
        (RestartPolicy(name="always", maximum_retry_count=1), "can only be used with 'on-failure'"),
        (RestartPolicy(name="on-failure", maximum_retry_count=-1), "cannot be negative"),
    ],
)
def test_policy_that_docker_does_not_know_is_refused(policy: RestartPolicy, says: str) -> None:
    with pytest.raises(InvalidParameter, match=says):
        check_policy(policy)


async def test_removal_at_the_end_and_a_policy_exclude_each_other(
    world: World, autojump_clock: MockClock
) -> None:
    with pytest.raises(InvalidParameter, match="can't create 'AutoRemove' container with restart policy"):
        await world.create(auto_remove=True, restart_policy=ALWAYS)


async def test_container_that_is_to_be_removed_at_its_end_survives_a_restart(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(auto_remove=True)
    await world.containers.restart(live.id)
    await trio.sleep(10)
    assert live.record.state is State.RUNNING
    assert world.actions() == ["create", "start", "kill", "die", "stop", "start", "restart"]
    world.agent.exit(0)
    await live.moment.wait_value(lambda moment: moment.removed)
