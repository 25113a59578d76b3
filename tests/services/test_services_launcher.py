"""Starts in flight: who joins them, what lingers, and a death or a removal at every moment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sockerless_ecs.agent import AgentLost, AgentUnreachable, StartRefused, WrongAgent
from sockerless_ecs.aws import TokenReused
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    StoreUnusable,
    Unavailable,
)
from sockerless_ecs.model.container import TaskArn
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.launch import Launch
from sockerless_ecs.store.contract import Delete
from tests.services.fake_agent import FakeAgent
from tests.services.world import Outside, World, daemon


def refusing() -> FakeAgent:
    agent = FakeAgent()
    agent.faults["start"].append(StartRefused("not_found", "no such command"))
    return agent


def refuses(number: int) -> Callable[[World], None]:
    """The store refuses the commit of that number, counted from now."""

    def arrange(world: World) -> None:
        wrong = world.store.commits + number
        world.store.refuse = lambda _: world.store.commits == wrong

    return arrange


async def test_second_start_joins_the_first(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(world.containers.start, live.id)
    assert len(world.ecs.requests) == len(world.agent.started) == 1


async def test_every_start_that_waits_learns_why_it_failed(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    world.ecs.make_agent = refusing
    failures = 0

    async def start() -> None:
        nonlocal failures
        with pytest.raises(InvalidParameter):
            await world.containers.start(live.id)
        failures += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(start)
    assert failures == 3


async def test_client_that_leaves_does_not_stop_the_start(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.containers.start(live.id)
    await world.until(live, State.RUNNING)
    assert len(world.ecs.tasks) == 1


async def test_token_that_was_spent_on_another_request_leads_to_its_task(
    world: World, autojump_clock: MockClock
) -> None:
    """ECS names the task that the client token made: it is adopted, and no second one is made."""
    live = await world.create()
    made = TaskArn(f"arn:aws:ecs:eu-west-1:1:task/c/{1:032}")
    world.ecs.faults["run_task answer"].append(TokenReused("changed parameters", task_arns=(made,)))
    await world.containers.start(live.id)
    assert live.record.task is not None
    assert live.record.task.arn == made == world.ecs.arn
    assert len(world.ecs.requests) == 1


async def test_definition_that_somebody_deregistered_is_registered_again(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    old = live.record.task_definition_arn
    world.ecs.definitions.clear()
    world.ecs.faults["run_task"].append(NotFound("no such definition"))
    await world.containers.start(live.id)
    assert live.record.task_definition_arn != old
    assert world.ecs.requests[-1].definition_arn == live.record.task_definition_arn
    assert len(world.ecs.requests) == 1


async def test_answer_to_start_that_is_lost_starts_nothing_twice(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()

    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.faults["answer"] += [AgentLost("cut"), AgentLost("cut again")]
        return agent

    world.ecs.make_agent = make
    await world.containers.start(live.id)
    assert len(world.agent.started) == 1
    assert live.record.task is not None
    assert live.record.task.run_sent
    assert world.agent.open_clients == 1
    world.agent.exit(4)
    await world.until(live, State.EXITED)
    assert live.record.exit_code == 4


@pytest.mark.parametrize("error", [AgentLost("cut"), AgentUnreachable("gone"), WrongAgent("another's")])
@pytest.mark.parametrize("call", ["names", "start"])
async def test_agent_that_is_lost_while_it_is_told_is_met_again(
    world: World, autojump_clock: MockClock, call: str, error: Exception
) -> None:
    live = await world.create()

    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.faults[call].append(error)
        return agent

    world.ecs.make_agent = make
    await world.containers.start(live.id)
    assert live.record.state is State.RUNNING
    assert len(world.ecs.tasks) == 1


@pytest.mark.parametrize("auto_remove", [False, True])
async def test_process_that_ends_before_start_has_answered_did_start(
    world: World, autojump_clock: MockClock, auto_remove: bool
) -> None:
    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.exits_at_once, agent.hold = 7, trio.Event()
        return agent

    world.ecs.make_agent = make
    live = await world.create(auto_remove=auto_remove)
    wait = await world.containers.wait(live.id, "next-exit")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        assert (await wait.outcome()).code == 7
        world.agent.hold.set()
    assert (live.record.state, live.record.exit_code, live.record.error) == (State.EXITED, 7, "")
    assert live.record.started_ns <= live.record.finished_ns
    await trio.sleep(2)
    assert world.actions() == ["create", "start", "die"] + ["destroy"] * auto_remove


async def test_exit_that_was_told_settles_a_start_whose_answer_was_lost(
    world: World, autojump_clock: MockClock
) -> None:
    """Even when the task went along with it."""

    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.exits_at_once, agent.hold = 0, trio.Event()
        agent.faults["answer"].append(AgentLost("cut"))
        return agent

    world.ecs.make_agent = make
    live = await world.create()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        await world.ended(live)
        world.agent.end()
        await world.idle()
        world.agent.hold.set()
    assert (live.record.state, live.record.task) == (State.EXITED, None)
    assert len(world.ecs.tasks) == 1


async def test_lingering_task_is_used_again(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.exit(1)
    await world.ended(live)
    await world.containers.start(live.id)
    assert len(world.ecs.tasks) == 1
    assert [run.number for run in world.ledger.runs_of(live.id)] == [1, 2]
    assert live.record.state is State.RUNNING
    world.agent.exit(2)
    await world.until(live, State.EXITED)
    assert live.record.exit_code == 2


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("names", AgentLost("cut")),
        ("names", AgentUnreachable("gone")),
        ("names", WrongAgent("its address is another's")),
        ("start", AgentLost("cut")),
        ("start", StartRefused("conflict", "it is about to end")),
    ],
)
async def test_lingering_task_that_cannot_be_used_is_given_back(
    world: World, autojump_clock: MockClock, call: str, error: Exception
) -> None:
    live = await world.run()
    world.agent.exit(1)
    await world.ended(live)
    old, old_agent = world.ecs.arn, world.agent
    old_agent.faults[call].append(error)
    await world.containers.start(live.id)
    await trio.sleep(5)
    assert len(world.ecs.tasks) == 2
    assert world.ecs.stopped == [old]
    assert (live.record.state, old_agent.open_clients, world.agent.open_clients) == (State.RUNNING, 0, 1)
    world.agent.exit(9)
    await world.until(live, State.EXITED)
    assert live.record.exit_code == 9


async def test_task_that_is_given_back_is_stopped_even_when_the_store_refuses(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.exit(1)
    await world.drained(live)
    world.agent.faults["names"].append(AgentLost("cut"))
    refuses(2)(world)
    with pytest.raises(StoreUnusable):
        await world.containers.start(live.id)
    await trio.sleep(60)
    assert all(task.stopped for task in world.ecs.tasks.values())


async def test_connection_that_is_cut_during_the_start_does_not_leave_the_run_unwatched(
    world: World, autojump_clock: MockClock
) -> None:
    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.hold = trio.Event()
        return agent

    world.ecs.make_agent = make
    live = await world.create()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await trio.sleep(1)
        world.agent.cut()
        await trio.sleep(1)
        world.agent.hold.set()
    world.agent.exit(6)
    with trio.fail_after(10):
        await world.until(live, State.EXITED)
    assert live.record.exit_code == 6


async def test_drain_refuses_new_starts(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    world.launcher.draining = True
    with pytest.raises(Unavailable, match="shutting down and starts nothing new"):
        await world.containers.start(live.id)
    assert live.record.state is State.CREATED


async def test_drain_leaves_the_start_as_it_was_stored(world: World, autojump_clock: MockClock) -> None:
    live = await world.create()
    world.ecs.addressed = False
    launch = world.launcher.begin(live)
    await trio.sleep(5)
    stored = await world.stored(live)
    world.jobs.cancel_scope.cancel()
    with pytest.raises(Unavailable, match="the next one goes on with this start"):
        await launch.outcome()
    assert live.record.state is State.STARTING
    assert await world.stored(live) == stored
    assert (world.ecs.stopped, world.ledger.jobs) == ([], {})


async def test_container_that_is_gone_or_going_is_not_started(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create(name="web")
    world.store.hold = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.remove, "web")
        await world.idle()
        with pytest.raises(Conflict, match="marked for removal and cannot be started"):
            await world.containers.start("web")
        world.store.hold.set()
    world.store.hold = None
    with pytest.raises(NotFound, match=f"No such container: {live.id}"):
        world.launcher.begin(live)
    assert (await world.store.load()).containers == {}


async def test_removal_that_the_store_refuses_leaves_the_container_as_it_was(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    world.store.refuse = lambda changes: any(isinstance(change, Delete) for change in changes)
    with pytest.raises(StoreUnusable):
        await world.containers.remove(live.id)
    await world.containers.start(live.id)
    assert live.record.state is State.RUNNING


async def pass_moments(count: int) -> None:
    """Everything that can run runs that often; in between the watcher has seen the address."""
    for number in range(count):
        await trio.lowlevel.checkpoint()
        if number == 20:
            await trio.sleep(0.1)


@pytest.mark.parametrize("moments", range(80))
async def test_forced_removal_at_any_moment_of_a_start_leaves_nothing(
    autojump_clock: MockClock, moments: int
) -> None:
    """Not a task, a record, a name or a connection."""
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.create(name="web")
        async with trio.open_nursery() as nursery:

            async def start() -> None:
                with suppress(Unavailable, Conflict, NotFound):  # removed while it was starting, or before
                    await world.containers.start(live.id)

            nursery.start_soon(start)
            await pass_moments(moments)
            await world.containers.remove("web", force=True)
        await trio.sleep(30)
        assert list(world.ledger) == []
        await world.create(name="web")
        snapshot = await outside.store.load()
        assert (len(snapshot.containers), snapshot.runs, snapshot.cleanup_jobs) == (1, {}, {})
    assert all(task.stopped for task in outside.ecs.tasks.values())
    assert all(agent.open_clients == 0 for agent in outside.ecs.agents.values())


@pytest.mark.parametrize("moments", range(80))
async def test_daemon_that_dies_at_any_moment_of_a_start_is_succeeded_by_one_that_goes_on(
    autojump_clock: MockClock, moments: int
) -> None:
    """One task, one process."""
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.create(name="web")
        world.launcher.begin(live)
        await pass_moments(moments)
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
        live = world.ledger.find("web")
        if live.record.state is State.CREATED:  # it died before anything was stored
            assert not outside.ecs.tasks
            return
        if launch := world.launcher.in_flight(live):
            await launch.outcome()
        assert live.record.state is State.RUNNING
        assert len(outside.ecs.tasks) == len(world.agent.started) == 1
        world.agent.exit(5)
        await world.until(live, State.EXITED)
        assert live.record.exit_code == 5


async def test_launch_that_settled_answers_at_once() -> None:
    launch = Launch(ran_before=False)
    launch.settle()
    await launch.outcome()
    launch.settle(Conflict("no"))
    with pytest.raises(Conflict):
        await launch.outcome()


async def test_task_has_its_run_and_its_log_stream_in_the_store(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    [run] = (await world.store.load()).runs.values()
    assert run.task_arn == TaskArn(world.ecs.arn)
    assert run.log_stream == f"sockerless/main/{world.ecs.arn.rsplit('/', 1)[-1]}"
    assert run.started_ns == live.record.started_ns > 0
    stored = await world.stored(live)
    assert stored is not None
    assert stored.task is not None
    assert (stored.state, stored.run_id, stored.task.arn) == (State.RUNNING, run.id, run.task_arn)
