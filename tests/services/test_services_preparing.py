"""A place without a process: shared, joined by a start, and never left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from sockerless_ecs.agent import AgentLost
from sockerless_ecs.errors import NotFound, SockerlessError, Unavailable
from sockerless_ecs.model.container import new_run_id
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.store.contract import Put
from tests.services.fake_agent import FakeAgent
from tests.services.world import Outside, World, daemon


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    return Outside(uploads=tmp_path / "uploads")


@pytest.fixture
async def world(outside: Outside) -> AsyncIterator[World]:
    """On the real clock: one that jumps takes a thread for idleness."""
    async with daemon(outside) as running:
        yield running


async def eventually(reached: Callable[[], bool]) -> None:
    with trio.fail_after(5):
        while not reached():  # noqa: ASYNC110 - a level, looked at
            await trio.sleep(0.005)


async def all_stopped(world: World) -> None:
    """Nothing is left in AWS."""
    await eventually(lambda: all(task.stopped for task in world.ecs.tasks.values()))


async def test_prepared_container_has_a_task_and_no_process(world: World) -> None:
    live = await world.create()
    agent = await world.launcher.prepare(live)
    assert agent is live.agent
    assert live.record.state is State.CREATED
    stored = await world.stored(live)
    assert stored is not None
    assert stored.task is not None
    assert stored.task.arn == world.ecs.arn
    assert world.agent.started == []
    assert world.ledger.runs_of(live.id) == []


async def test_preparation_is_shared(world: World) -> None:
    live = await world.create()
    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(world.launcher.prepare, live)
    await world.launcher.prepare(live)
    assert len(world.ecs.requests) == 1


async def test_start_uses_the_task_that_was_prepared(world: World) -> None:
    live = await world.create()
    await world.launcher.prepare(live)
    await world.containers.start(live.id)
    assert len(world.ecs.requests) == len(world.agent.started) == 1
    assert live.record.state is State.RUNNING
    (run,) = world.ledger.runs_of(live.id)
    assert run.task_arn == world.ecs.arn
    world.agent.exit(3)
    await world.until(live, State.EXITED)
    assert live.record.exit_code == 3


@pytest.mark.parametrize("moment", ["run_task", "run_task answer", "describe_tasks"])
async def test_start_that_comes_meanwhile_joins_the_preparation(world: World, moment: str) -> None:
    live = await world.create()
    world.ecs.addressed = moment != "describe_tasks"
    world.ecs.hold[moment] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.launcher.prepare, live)
        await world.idle()
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        if world.ecs.tasks:
            world.ecs.change(world.ecs.arn, address="127.0.0.1")
        world.ecs.hold.pop(moment).set()
    assert len(world.ecs.requests) == len(world.agent.started) == 1
    assert live.record.state is State.RUNNING
    assert len(world.ledger.runs_of(live.id)) == 1


async def test_client_that_leaves_does_not_stop_the_preparation(world: World) -> None:
    live = await world.create()
    with trio.CancelScope() as scope:
        scope.cancel()
        await world.launcher.prepare(live)
    await world.launcher.prepare(live)
    assert len(world.ecs.requests) == 1


def no_capacity(world: World) -> None:
    world.ecs.faults["run_task"].append(Unavailable("no capacity"))


def lost_answer(world: World) -> None:
    world.ecs.faults["run_task answer"].append(Unavailable("the answer was lost"))


def full_disk(world: World) -> None:
    wrong = world.store.commits + 2
    world.store.refuse = lambda _: world.store.commits == wrong


def bug(world: World) -> None:
    world.ecs.faults["run_task"].append(ZeroDivisionError())


@pytest.mark.parametrize("arrange", [no_capacity, lost_answer, full_disk, bug])
async def test_preparation_that_fails_says_why_and_leaves_nothing(
    world: World, arrange: Callable[[World], None]
) -> None:
    live = await world.create()
    arrange(world)
    with pytest.raises(SockerlessError):
        await world.launcher.prepare(live)
    assert live.record.state is State.CREATED
    assert live.record.task is None
    assert live.record.error == ""
    assert live.agent is None
    assert await world.stored(live) == live.record
    await all_stopped(world)
    await world.launcher.prepare(live)
    await world.containers.start(live.id)


async def test_start_that_has_joined_a_preparation_fails_with_it(world: World) -> None:
    live = await world.create()
    world.ecs.hold["run_task"] = trio.Event()
    no_capacity(world)
    errors: list[SockerlessError] = []

    async def learn(what: Callable[[], object]) -> None:
        try:
            await what()  # type: ignore[misc]
        except SockerlessError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(learn, lambda: world.launcher.prepare(live))
        await world.idle()
        nursery.start_soon(learn, lambda: world.containers.start(live.id))
        await world.idle()
        world.ecs.hold.pop("run_task").set()
    assert [str(error) for error in errors] == ["no capacity"] * 2
    assert live.record.state is State.CREATED
    assert live.record.error == "no capacity"


@pytest.mark.parametrize("auto_remove", [False, True])
async def test_prepared_task_that_nobody_used_ends_and_the_next_is_a_new_one(
    world: World, auto_remove: bool
) -> None:
    live = await world.create(auto_remove=auto_remove)
    await world.launcher.prepare(live)
    await world.idle()
    world.agent.end()
    await eventually(lambda: live.record.task is None)
    assert world.ledger.get(live.id) is live
    assert live.record.state is State.CREATED
    await world.idle()
    assert await world.stored(live) == live.record
    await world.launcher.prepare(live)
    assert len(world.ecs.requests) == 2
    await world.containers.start(live.id)
    assert len(world.agent.started) == 1


async def test_agent_that_is_lost_gives_way_to_another(world: World) -> None:
    live = await world.create()
    lost = await world.launcher.prepare(live)
    first = world.ecs.arn
    again = await world.launcher.prepare(live, lost=lost)
    assert again is not lost
    assert len(world.ecs.requests) == 2
    await eventually(lambda: world.ecs.tasks[first].stopped)


async def test_start_after_the_prepared_agent_went_makes_a_new_task(world: World) -> None:
    live = await world.create()
    await world.launcher.prepare(live)
    world.agent.faults["names"].append(AgentLost("cut"))
    await world.containers.start(live.id)
    assert len(world.ecs.requests) == 2
    assert live.record.state is State.RUNNING


@pytest.mark.parametrize("moment", ["run_task", "run_task answer", "describe_tasks", "connect", "prepared"])
async def test_removal_while_preparing_leaves_nothing(world: World, moment: str) -> None:
    live = await world.create()
    world.ecs.addressed = moment != "describe_tasks"
    if moment == "connect":

        def silent() -> FakeAgent:
            agent = FakeAgent()
            agent.reachable = False
            return agent

        world.ecs.make_agent = silent
    elif moment == "prepared":
        await world.launcher.prepare(live)
    else:
        world.ecs.hold[moment] = trio.Event()
    failures: list[SockerlessError] = []

    async def prepare() -> None:
        try:
            await world.launcher.prepare(live)
        except SockerlessError as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(prepare)
        await trio.testing.wait_all_tasks_blocked(0.01)
        nursery.start_soon(world.containers.remove, live.id)
        await world.idle()
        if moment in world.ecs.hold:
            world.ecs.hold.pop(moment).set()
    assert len(failures) == (moment != "prepared")
    assert world.ledger.get(live.id) is None
    assert await world.stored(live) is None
    await all_stopped(world)
    with pytest.raises(NotFound):
        await world.launcher.prepare(live)


async def test_removal_behind_the_back_of_a_preparation_leaves_nothing(world: World) -> None:
    """A prune, or the removal that `--rm` promised."""
    live = await world.create()
    world.ecs.hold["run_task answer"] = trio.Event()
    async with trio.open_nursery() as nursery:

        async def prepare() -> None:
            with pytest.raises(SockerlessError):
                await world.launcher.prepare(live)

        nursery.start_soon(prepare)
        await world.idle()
        await world.remover.remove(live)
        world.ecs.hold.pop("run_task answer").set()
    await all_stopped(world)
    assert await world.stored(live) is None


async def test_nothing_is_prepared_while_the_daemon_drains(world: World) -> None:
    live = await world.create()
    world.launcher.draining = True
    with pytest.raises(Unavailable, match="shutting down"):
        await world.launcher.prepare(live)
    assert world.ecs.requests == []


async def test_drain_tells_who_waits_and_the_next_daemon_goes_on(outside: Outside) -> None:
    outside.ecs.addressed = False
    async with daemon(outside) as world:
        live = await world.create()
        async with trio.open_nursery() as nursery:

            async def prepare() -> None:
                with pytest.raises(Unavailable, match="shutting down"):
                    await world.launcher.prepare(live)

            nursery.start_soon(prepare)
            await world.idle()
            world.jobs.cancel_scope.cancel()
    outside.ecs.change(outside.ecs.arn, address="127.0.0.1")
    async with daemon(outside) as world:
        world.reconciler.begin()
        again = world.ledger.find(live.id)
        await world.launcher.prepare(again)
        await world.containers.start(again.id)
        assert len(world.ecs.requests) == len(world.agent.started) == 1


async def test_task_that_was_prepared_serves_the_start_after_a_crash(outside: Outside) -> None:
    async with daemon(outside) as world:
        live = await world.create()
        await world.launcher.prepare(live)
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.containers.start(live.id)
        assert len(world.ecs.requests) == len(world.agent.started) == 1


async def test_task_that_ended_meanwhile_is_cleared_after_a_crash(outside: Outside) -> None:
    async with daemon(outside) as world:
        live = await world.create()
        await world.launcher.prepare(live)
    outside.ecs.stops(outside.ecs.arn)
    async with daemon(outside) as world:
        world.reconciler.begin()
        again = world.ledger.find(live.id)
        await eventually(lambda: again.record.task is None)
        assert again.record.state is State.CREATED
        await world.containers.start(live.id)
        assert len(world.ecs.requests) == 2


async def test_run_task_whose_answer_a_crash_took_is_cleaned_up(outside: Outside) -> None:
    outside.ecs.hold["run_task answer"] = trio.Event()
    async with daemon(outside) as world:
        live = await world.create()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.launcher.prepare, live)
            await world.idle()
            asked = live.record
            outside.ecs.hold.pop("run_task answer").set()
    await outside.store.commit(Put(asked))
    async with daemon(outside) as world:
        again = world.ledger.find(live.id)
        assert again.record.task is not None
        assert again.record.task.arn is None
        world.reconciler.begin()
        await world.reconciler.settle()
        assert world.ledger.find(live.id).record.task is None
        assert await world.stored(again) == again.record
        await all_stopped(world)


async def test_crash_between_a_preparation_and_the_start_that_joined_it_loses_no_run(
    outside: Outside,
) -> None:
    """The store has the task and the new state, and no run yet."""
    async with daemon(outside) as world:
        live = await world.create()
        await world.launcher.prepare(live)
        live.become(Event.BEGIN, run_id=new_run_id())
        await world.ledger.save(Put(live.record))
    async with daemon(outside) as world:
        world.reconciler.begin()
        again = world.ledger.find(live.id)
        await world.until(again, State.RUNNING)
        assert len(world.ledger.runs_of(live.id)) == 1
