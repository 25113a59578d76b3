"""A start that fails: whatever went wrong, what is left is what the docstrings say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from sockerless_ecs.agent import StartRefused
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    Misconfigured,
    SockerlessError,
    StoreUnusable,
    Unavailable,
)
from sockerless_ecs.model.container import ExitStatus
from sockerless_ecs.model.lifecycle import State
from tests.services.fake_agent import FakeAgent
from tests.services.world import World

Arrange = Callable[[World], None]


@dataclass(frozen=True)
class Failure:
    arrange: Arrange
    error: type[SockerlessError]
    message: str
    code: int
    tasks: int = 1
    """How many tasks it made, all of which are stopped."""


def fault(operation: str, error: Exception) -> Arrange:
    def arrange(world: World) -> None:
        world.ecs.faults[operation].append(error)

    return arrange


def refusal(kind: str) -> Arrange:
    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.faults["start"].append(StartRefused(kind, f"it is {kind}"))
        return agent

    def arrange(world: World) -> None:
        world.ecs.make_agent = make

    return arrange


def silent(world: World) -> None:
    def make() -> FakeAgent:
        agent = FakeAgent()
        agent.reachable = False
        world.jobs.start_soon(running, world)
        return agent

    world.ecs.make_agent = make


async def running(world: World) -> None:
    await trio.sleep(1)
    world.ecs.change(world.ecs.arn, last_status="RUNNING")


def stops_early(world: World) -> None:
    world.ecs.addressed = False
    world.jobs.start_soon(stop_soon, world)


def stops_with_an_address(world: World) -> None:
    silent(world)
    world.jobs.start_soon(stop_soon, world)


def never_known(world: World) -> None:
    world.ecs.addressed = False
    world.jobs.start_soon(forget_soon, world)


async def forget_soon(world: World) -> None:
    await trio.sleep(1)
    del world.ecs.tasks[world.ecs.arn]


async def stop_soon(world: World) -> None:
    await trio.sleep(5)
    world.ecs.stops(world.ecs.arn, reason="CannotPullContainerError: no such image", main="pull failed")


FAILURES = {
    "RunTask fails": Failure(
        fault("run_task", Unavailable("no capacity")), Unavailable, "no capacity", 128, tasks=0
    ),
    "RunTask is forbidden": Failure(
        fault("run_task", Misconfigured("AccessDenied")), Misconfigured, "AccessDenied", 128, tasks=0
    ),
    "RunTask's answer is lost": Failure(
        fault("run_task answer", Unavailable("timed out")), Unavailable, "timed out", 128
    ),
    "the task stops before it has an address": Failure(
        stops_early,
        Unavailable,
        "stopped before its agent answered: CannotPullContainerError: no such image; main: pull failed",
        128,
    ),
    "the task stops before its agent answers": Failure(
        stops_with_an_address, Unavailable, "CannotPullContainerError", 128
    ),
    "ECS loses the task": Failure(never_known, Unavailable, "the task was lost", 128, tasks=0),
    "the agent is silent": Failure(
        silent, Unavailable, r"check that a security group of the task \(sg-1\) admits TCP port 9111", 128
    ),
    "the command is not found": Failure(refusal("not_found"), InvalidParameter, "it is not_found", 127),
    "the command is not executable": Failure(
        refusal("not_executable"), InvalidParameter, "it is not_executable", 126
    ),
    "the command has a bad format": Failure(refusal("bad_format"), InvalidParameter, "it is bad_format", 126),
    "the user is unknown": Failure(refusal("bad_user"), SockerlessError, "^it is bad_user$", 128),
    "the set-up fails": Failure(refusal("setup"), InvalidParameter, "it is setup", 128),
    "the new task's agent is about to end": Failure(refusal("conflict"), Conflict, "it is conflict", 128),
    "the daemon has a bug": Failure(
        fault("run_task", ZeroDivisionError("oops")),
        SockerlessError,
        "failed inside the daemon.*oops",
        128,
        0,
    ),
}


@pytest.mark.parametrize("ran_before", [False, True], ids=["first start", "ran before"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_start_that_fails_says_why_and_leaves_nothing_in_aws(
    world: World, autojump_clock: MockClock, failure: Failure, ran_before: bool
) -> None:
    if ran_before:
        live = await world.run()
        world.agent.exit(3)
        await world.ended(live)
        world.agent.end()
        await world.idle()
        world.ecs.tasks.clear()
    else:
        live = await world.create()
    exits = live.moment.value.exits
    failure.arrange(world)
    with pytest.raises(failure.error, match=failure.message) as raised:
        await world.containers.start(live.id)
    record = live.record
    assert record.state is (State.EXITED if ran_before else State.CREATED)
    assert (record.exit_code, record.error, record.task) == (failure.code, raised.value.message, None)
    assert await world.stored(live) == record
    assert live.moment.value.exits == exits + 1
    assert (live.moment.value.status.code, live.moment.value.status.error) == (failure.code, record.error)
    assert world.actions()[-1] == ("die" if ran_before else "create")  # Docker tells nothing of it
    await trio.sleep(120)
    assert len(world.ecs.tasks) == failure.tasks
    assert all(task.stopped for task in world.ecs.tasks.values())
    assert (world.ledger.jobs, (await world.store.load()).cleanup_jobs) == ({}, {})
    assert live.agent is None
    assert all(agent.open_clients == 0 for agent in world.ecs.agents.values())


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
async def test_start_can_be_tried_again_after_any_failure(
    world: World, autojump_clock: MockClock, failure: Failure
) -> None:
    live = await world.create()
    failure.arrange(world)
    with pytest.raises(failure.error):
        await world.containers.start(live.id)
    world.ecs.make_agent, world.ecs.addressed = FakeAgent, True
    await world.containers.start(live.id)
    assert (live.record.state, live.record.error, live.record.exit_code) == (State.RUNNING, "", 0)


async def test_rm_takes_a_container_along_whose_start_failed(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(auto_remove=True)
    wait = await world.containers.wait(live.id, "removed")
    refusal("not_found")(world)
    with pytest.raises(InvalidParameter):
        await world.containers.start(live.id)
    assert await wait.outcome() == ExitStatus(code=127)  # the removal did not fail
    assert (await world.store.load()).containers == {}


def refuses(number: int) -> Callable[[World], None]:
    """The store refuses the commit of that number, counted from now."""

    def arrange(world: World) -> None:
        wrong = world.store.commits + number
        world.store.refuse = lambda _: world.store.commits == wrong

    return arrange


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_store_that_refuses_a_step_of_the_start_fails_it(
    world: World, autojump_clock: MockClock, number: int
) -> None:
    """The request, the task, and that the run was sent: what comes after has happened and is insisted on."""
    live = await world.create()
    refuses(number)(world)
    with pytest.raises(StoreUnusable, match="the disk is full"):
        await world.containers.start(live.id)
    assert (live.record.state, live.record.exit_code) == (State.CREATED, 128)
    assert await world.stored(live) == live.record
    await trio.sleep(60)
    assert all(task.stopped for task in world.ecs.tasks.values())
    assert len(world.ecs.tasks) == (0 if number == 1 else 1)
    assert not any(agent.started for agent in world.ecs.agents.values())


async def test_process_that_runs_is_stored_as_soon_as_the_store_takes_it(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    refuses(4)(world)
    await world.containers.start(live.id)
    assert live.record.state is State.RUNNING
    assert await world.stored(live) == live.record


async def test_store_that_goes_on_refusing_keeps_the_failure_until_it_is_safe(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.create()
    world.store.refuse = lambda _: True
    failed: list[SockerlessError] = []
    async with trio.open_nursery() as nursery:

        async def start() -> None:
            try:
                await world.containers.start(live.id)
            except SockerlessError as error:
                failed.append(error)

        nursery.start_soon(start)
        await trio.sleep(10)
        assert (failed, live.exit_pending) == ([], True)
        world.store.refuse = lambda _: False
    assert isinstance(failed[0], StoreUnusable)
    assert await world.stored(live) == live.record
