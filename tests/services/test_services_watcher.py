"""One loop of DescribeTasks for all who wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.errors import NotFound, Unavailable
from sockerless_ecs.model.container import TaskArn
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.services.watcher import TaskWatcher
from tests.services.fakes import FakeEcs


def pending(arn: str) -> TaskSnapshot:
    return TaskSnapshot(arn=arn, version=1, last_status="PENDING", desired_status="RUNNING")


def has_address(snapshot: TaskSnapshot) -> bool:
    return snapshot.address is not None


@pytest.fixture
def ecs() -> FakeEcs:
    return FakeEcs()


@pytest.fixture
async def watcher(
    autojump_clock: MockClock, nursery: trio.Nursery, ecs: FakeEcs
) -> AsyncIterator[TaskWatcher]:
    watcher = TaskWatcher(ecs.describe_tasks)
    await nursery.start(watcher.run)
    yield watcher
    nursery.cancel_scope.cancel()


async def place(watcher: TaskWatcher, ecs: FakeEcs, arn: str, seconds: float) -> float:
    """Wait for the address of a task that takes so long; how much later than that it was seen."""
    ecs.tasks[arn] = pending(arn)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def appear() -> None:
            await trio.sleep(seconds)
            ecs.change(arn, address="10.0.0.1")

        nursery.start_soon(appear)
        await watcher.wait_for(arn, has_address)
    return trio.current_time() - began - seconds


async def test_many_waiters_share_calls_of_at_most_a_hundred_tasks(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    arns = [f"arn:{number}" for number in range(250)]
    for arn in arns:
        ecs.tasks[arn] = replace(pending(arn), address="10.0.0.1")
    async with trio.open_nursery() as nursery:
        for arn in arns * 2:
            nursery.start_soon(watcher.wait_for, arn, has_address)
    assert [len(call) for call in ecs.described] == [100, 100, 50]
    assert sorted(arn for call in ecs.described for arn in call) == sorted(arns)


async def test_nothing_is_asked_when_nobody_waits(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    await trio.sleep(3600)
    assert ecs.described == []
    await place(watcher, ecs, "arn:1", 0)
    asked = len(ecs.described)
    await trio.sleep(3600)
    assert len(ecs.described) == asked


async def test_task_that_ecs_does_not_show_yet_is_waited_for(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.wait_for, "arn:1", has_address)
        await trio.sleep(50)
        ecs.tasks["arn:1"] = replace(pending("arn:1"), address="10.0.0.1")


async def test_task_that_stays_missing_is_not_found(autojump_clock: MockClock, watcher: TaskWatcher) -> None:
    began = trio.current_time()
    with pytest.raises(NotFound, match="ECS does not know the task arn:1 any more"):
        await watcher.wait_for("arn:1", has_address)
    assert 60 < trio.current_time() - began < 63


async def test_task_that_was_seen_may_be_missing_for_as_long_again(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.tasks["arn:1"] = pending("arn:1")
    began = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def vanish() -> None:
            await trio.sleep(100)
            del ecs.tasks["arn:1"]

        nursery.start_soon(vanish)
        with pytest.raises(NotFound):
            await watcher.wait_for("arn:1", has_address)
    assert trio.current_time() - began > 159


async def test_older_version_does_not_replace_a_newer_one(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    seen: list[int] = []

    def reached(snapshot: TaskSnapshot) -> bool:
        seen.append(snapshot.version)
        return snapshot.stopped

    ecs.tasks["arn:1"] = replace(pending("arn:1"), version=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.wait_for, "arn:1", reached)
        await trio.sleep(2)
        ecs.tasks["arn:1"] = replace(pending("arn:1"), version=4, last_status="STOPPED")
        await trio.sleep(2)
        ecs.tasks["arn:1"] = replace(pending("arn:1"), version=6, last_status="STOPPED")
    assert 4 not in seen
    assert seen[-1] == 6


async def test_describe_that_fails_is_tried_again(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.faults["describe_tasks"] += [Unavailable("throttled")] * 5
    late = await place(watcher, ecs, "arn:1", 0)
    assert len(ecs.described) == 6
    assert 4 < late < 7


async def test_one_failing_batch_delays_no_other(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.faults["describe_tasks"].append(Unavailable("throttled"))
    for number in range(150):
        ecs.tasks[f"arn:{number}"] = replace(pending(f"arn:{number}"), address="10.0.0.1")
    done: list[str] = []
    async with trio.open_nursery() as nursery:

        async def wait(arn: str) -> None:
            done.append((await watcher.wait_for(arn, has_address)).arn)

        for arn in ecs.tasks:
            nursery.start_soon(wait, arn)
        await trio.sleep(0.9)
        assert len(done) == 50
    assert len(done) == 150


async def test_waiter_that_leaves_is_forgotten(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.tasks["arn:1"] = pending("arn:1")
    with trio.move_on_after(5):
        await watcher.wait_for("arn:1", has_address)
    asked = len(ecs.described)
    await trio.sleep(60)
    assert len(ecs.described) == asked


async def test_waiter_that_leaves_takes_nothing_from_the_others(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.wait_for, "arn:1", has_address)
        with trio.move_on_after(1):
            await watcher.wait_for("arn:1", has_address)
        ecs.tasks["arn:1"] = replace(pending("arn:1"), address="10.0.0.1")


async def test_level_that_is_reached_already_answers_with_the_newest_snapshot(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.tasks["arn:1"] = replace(pending("arn:1"), address="10.0.0.1")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.wait_for, "arn:1", lambda snapshot: snapshot.stopped)
        await trio.sleep(2)
        asked = len(ecs.described)
        assert (await watcher.wait_for("arn:1", has_address)).address == "10.0.0.1"
        assert len(ecs.described) == asked
        nursery.cancel_scope.cancel()


async def test_place_that_is_ready_in_milliseconds_is_seen_in_milliseconds_once_that_is_known(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    for number in range(10):
        await place(watcher, ecs, f"arn:{number}", 0.02)
    assert await place(watcher, ecs, "arn:last", 0.02) <= 0.03


@pytest.mark.parametrize("learned", [0, 10])
async def test_place_that_takes_ten_seconds_costs_few_calls(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs, learned: int
) -> None:
    for number in range(learned):
        await place(watcher, ecs, f"arn:{number}", 10)
    ecs.described.clear()
    late = await place(watcher, ecs, "arn:last", 10)
    assert len(ecs.described) < (30 if learned else 45)
    assert late <= 1.05


async def test_how_long_a_task_lived_does_not_slow_the_next_one_down(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.tasks["arn:old"] = pending("arn:old")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watcher.wait_for, "arn:old", lambda snapshot: snapshot.stopped)
        await trio.sleep(7200)
        ecs.change("arn:old", last_status="STOPPED")
    assert await place(watcher, ecs, "arn:new", 0.1) < 0.1


async def test_snapshots_are_keyed_by_arn(
    autojump_clock: MockClock, watcher: TaskWatcher, ecs: FakeEcs
) -> None:
    ecs.tasks["arn:1"] = replace(pending("arn:1"), address="10.0.0.1")
    assert (await watcher.wait_for("arn:1", has_address)).arn == TaskArn("arn:1")
