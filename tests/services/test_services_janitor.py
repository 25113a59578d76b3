"""Clean-up jobs and the sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.errors import NotFound, Unavailable
from sockerless_ecs.model.cleanup import CleanupJob, CleanupKind
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.task import TaskSnapshot
from sockerless_ecs.services.janitor import clean_up_job, new_job
from sockerless_ecs.store.contract import Put
from tests.services.world import STARTED_BY, Outside, World, daemon
from tests.store.records import TASK


def snapshot(arn: str, launch: str, started_by: str = STARTED_BY) -> TaskSnapshot:
    return TaskSnapshot(
        arn=arn,
        version=1,
        last_status="RUNNING",
        desired_status="RUNNING",
        started_by=started_by,
        launch=launch,
    )


async def test_job_is_tried_until_it_is_done_less_and_less_often(
    world: World, autojump_clock: MockClock
) -> None:
    job = new_job(CleanupKind.STOP_TASK, "arn:1", "why")
    world.ecs.faults["stop_task"] += [Unavailable("throttled")] * 10
    await world.ledger.save(Put(job))
    world.janitor.add(job)
    began = trio.current_time()
    while world.ledger.jobs:  # noqa: ASYNC110 - a table tells nobody, and the clock jumps
        await trio.sleep(0.5)
    assert world.ecs.stopped == ["arn:1"]
    assert 0.5 + 1 + 2 + 4 + 8 + 16 + 32 + 60 + 60 + 60 <= trio.current_time() - began < 250
    assert (await world.store.load()).cleanup_jobs == {}


async def test_jobs_do_not_wait_for_each_other(world: World, autojump_clock: MockClock) -> None:
    world.ecs.faults["stop_task"].append(Unavailable("throttled"))
    for arn in ("arn:1", "arn:2"):
        world.janitor.add(new_job(CleanupKind.STOP_TASK, arn, "why"))
    await world.idle()
    assert len(world.ecs.stopped) == 1


async def test_job_from_before_is_taken_up(autojump_clock: MockClock) -> None:
    outside = Outside()
    await outside.store.commit(Put(new_job(CleanupKind.STOP_TASK, "arn:1", "why")))
    async with daemon(outside) as world:
        await world.idle()
        assert (outside.ecs.stopped, world.ledger.jobs) == (["arn:1"], {})
    assert (await outside.store.load()).cleanup_jobs == {}


async def test_store_that_refuses_to_forget_a_job_stops_nobody(
    world: World, autojump_clock: MockClock
) -> None:
    job = new_job(CleanupKind.STOP_TASK, "arn:1", "why")
    await world.ledger.save(Put(job))
    world.store.refuse = lambda _: True
    world.janitor.add(job)
    await trio.sleep(10)
    world.store.refuse = lambda _: False
    await trio.sleep(2)
    assert await world.store.get(CleanupJob, job.id) is None


async def test_task_of_a_lost_answer_is_found_by_its_launch(world: World, autojump_clock: MockClock) -> None:
    world.ecs.tasks |= {"arn:1": snapshot("arn:1", "mine"), "arn:2": snapshot("arn:2", "other")}
    world.janitor.add(new_job(CleanupKind.FIND_TASK, "mine", "why"))
    await world.idle()
    assert world.ecs.stopped == ["arn:1"]
    assert world.ledger.jobs == {}


async def test_orphans_are_stopped_and_nothing_else(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    mine = world.ecs.arn
    world.ecs.tasks |= {
        "arn:orphan": snapshot("arn:orphan", "lost"),
        "arn:other": snapshot("arn:other", "theirs", started_by="somebody-else"),
        "arn:gone": replace(snapshot("arn:gone", "old"), last_status="STOPPED"),
    }
    await trio.sleep(700)
    assert world.ecs.stopped == ["arn:orphan"]
    assert live.record.state is State.RUNNING
    assert not world.ecs.tasks[mine].stopped


async def test_task_that_is_being_launched_is_no_orphan(world: World, autojump_clock: MockClock) -> None:
    """It exists, but its ARN has not reached us yet."""
    live = await world.create()
    world.ecs.hold["run_task answer"] = trio.Event()
    world.launcher.begin(live)
    await trio.sleep(700)
    assert live.record.task is not None
    assert live.record.task.arn is None
    assert (len(world.ecs.tasks), world.ecs.stopped) == (1, [])
    world.ecs.hold.pop("run_task answer").set()
    await world.until(live, State.RUNNING)


@pytest.mark.parametrize("error", [Unavailable("throttled"), NotFound("no such cluster")])
async def test_sweep_that_fails_is_made_again(
    world: World, autojump_clock: MockClock, error: Exception
) -> None:
    world.ecs.faults["list_tasks"].append(error)
    world.ecs.tasks["arn:orphan"] = snapshot("arn:orphan", "lost")
    await trio.sleep(700)
    await trio.sleep(700)
    assert world.ecs.stopped == ["arn:orphan"]


async def test_tasks_are_described_by_the_hundred(world: World, autojump_clock: MockClock) -> None:
    await world.idle()
    world.ecs.described.clear()
    for number in range(250):
        world.ecs.tasks[f"arn:{number}"] = snapshot(f"arn:{number}", str(number))
    assert len(await world.janitor.owned()) == 250
    assert [len(call) for call in world.ecs.described] == [100, 100, 50]


def test_job_for_a_task_depends_on_whether_its_arn_is_known() -> None:
    assert clean_up_job(None, "why") is None
    known, unknown = clean_up_job(TASK, "why"), clean_up_job(replace(TASK, arn=None), "w" * 1000)
    assert known is not None
    assert (known.kind, known.target) == (CleanupKind.STOP_TASK, TASK.arn)
    assert unknown is not None
    assert (unknown.kind, unknown.target) == (CleanupKind.FIND_TASK, TASK.request.client_token)
    assert len(unknown.reason) == 255
