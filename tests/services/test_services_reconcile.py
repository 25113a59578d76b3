"""Starts whose RunTask is in doubt after a restart."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.container import Container, ContainerId, Run
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import now_ns
from sockerless_ecs.store.contract import Put
from tests.services.world import Outside, World, daemon


async def doubtful(outside: Outside, **changes: Any) -> ContainerId:
    """A container whose RunTask was asked while its answer never reached the store."""
    async with daemon(outside) as world:
        live = await world.create(name="web")
        world.launcher.begin(live)
        await trio.sleep(1)
        record, run_id = live.record, live.record.run_id
        assert record.task is not None
        world.agent.runs.clear()
        world.agent.events.clear()
        world.agent.started.clear()
    task = replace(record.task, arn=None, agent_address=None, event_seq=0, run_sent=False, **changes)
    lost = replace(record, state=State.STARTING, task=task, started_ns=0)
    await outside.store.commit(Put(lost))
    assert run_id is not None
    return record.id


async def take_up(world: World, container_id: ContainerId) -> None:
    world.reconciler.begin()
    await world.reconciler.settle()
    live = world.ledger.find(container_id)
    if launch := world.launcher.in_flight(live):
        await launch.outcome()
    assert live.record.state is State.RUNNING


async def test_task_that_exists_is_adopted(autojump_clock: MockClock) -> None:
    outside = Outside()
    container_id = await doubtful(outside)
    async with daemon(outside) as world:
        await take_up(world, container_id)
        assert len(outside.ecs.requests) == len(outside.ecs.tasks) == 1
        [run] = world.ledger.runs_of(container_id)
        assert run.task_arn == outside.ecs.arn


async def test_young_request_that_made_nothing_is_repeated_to_the_letter(autojump_clock: MockClock) -> None:
    outside = Outside()
    container_id = await doubtful(outside)
    outside.ecs.tasks.clear()
    async with daemon(outside) as world:
        await take_up(world, container_id)
    first, second = outside.ecs.requests
    assert first == second


async def test_old_request_is_not_repeated_but_made_anew(autojump_clock: MockClock) -> None:
    """Its token may have been forgotten: the same one could launch a second task."""
    outside = Outside()
    container_id = await doubtful(outside, requested_ns=now_ns() - 3600 * 10**9)
    outside.ecs.tasks.clear()
    async with daemon(outside) as world:
        await take_up(world, container_id)
    first, second = outside.ecs.requests
    assert first.client_token != second.client_token


async def test_list_that_fails_is_asked_for_until_it_is_there(autojump_clock: MockClock) -> None:
    outside = Outside()
    container_id = await doubtful(outside)
    outside.ecs.faults["list_tasks"] += [Unavailable("throttled")] * 3
    async with daemon(outside, janitor=False) as world:
        await take_up(world, container_id)
        assert len(outside.ecs.tasks) == 1


async def test_start_that_is_still_matched_is_joined(autojump_clock: MockClock) -> None:
    outside = Outside()
    container_id = await doubtful(outside)
    outside.ecs.hold["list_tasks"] = trio.Event()
    async with daemon(outside) as world:
        world.reconciler.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.reconciler.settle)
            nursery.start_soon(world.containers.start, container_id)
            await world.idle()
            outside.ecs.hold.pop("list_tasks").set()
        assert len(world.agent.started) == 1


async def test_start_that_is_still_matched_can_be_removed_and_leaves_nothing(
    autojump_clock: MockClock,
) -> None:
    outside = Outside()
    container_id = await doubtful(outside)
    outside.ecs.hold["list_tasks"] = trio.Event()
    async with daemon(outside) as world:
        world.reconciler.begin()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.reconciler.settle)
            await world.idle()
            nursery.start_soon(partial(world.containers.remove, container_id, force=True))
            await world.idle()
            outside.ecs.hold.pop("list_tasks").set()
        await trio.sleep(5)
        assert list(world.ledger) == []
    assert all(task.stopped for task in outside.ecs.tasks.values())
    snapshot = await outside.store.load()
    assert (snapshot.containers, snapshot.runs) == ({}, {})


async def test_store_that_refuses_an_adoption_ends_no_daemon(autojump_clock: MockClock) -> None:
    outside = Outside()
    container_id = await doubtful(outside)
    async with daemon(outside) as world:
        wrong = outside.store.commits + 1

        def adoption(changes: object) -> bool:
            return outside.store.commits == wrong

        outside.store.refuse = adoption
        await take_up(world, container_id)
        stored = await outside.store.get(Container, container_id)
        assert stored is not None
        assert stored.task is not None
        assert stored.task.arn == outside.ecs.arn
        assert world.ledger.runs_of(container_id)


@pytest.mark.parametrize("state", [State.CREATED, State.EXITED, State.DEAD])
async def test_what_has_no_task_stays_as_it_was(autojump_clock: MockClock, state: State) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.create()
        record = replace(live.record, state=state)
    await outside.store.commit(Put(record))
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
        await trio.sleep(5)
        assert world.ledger.find(record.id).record == record
    assert await outside.store.get(Container, record.id) == record


async def test_failed_start_that_was_to_be_removed_is_cleared(autojump_clock: MockClock) -> None:
    """The daemon died between the failure and the removal that `--rm` promised."""
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.create(auto_remove=True)
        record = replace(live.record, error="no capacity")
    await outside.store.commit(Put(record))
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
    assert await outside.store.get(Container, record.id) is None


async def test_run_survives_only_with_its_container(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run()
        run_id = live.record.run_id
        assert run_id is not None
        await world.containers.remove(live.id, force=True)
        assert await outside.store.get(Run, run_id) is None
