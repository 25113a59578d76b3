"""What every store promises, tried on each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import trio

from sockerless_ecs.model.cleanup import KnownDefinition
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.volume import Volume
from sockerless_ecs.store import Delete, Put, Record, Snapshot, Store, open_store
from sockerless_ecs.store.contract import KINDS
from tests.store.records import CONTAINER, EVERY_KIND, RUN, VOLUME, filled, in_snapshot


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    where: Path | Literal["memory"] = "memory" if request.param == "memory" else tmp_path / "state.db"
    store = await open_store(where)
    yield store
    await store.aclose()


async def test_new_store_is_empty(store: Store) -> None:
    assert await store.load() == Snapshot()


@pytest.mark.parametrize(("table", "key", "record"), EVERY_KIND, ids=[table for table, _, _ in EVERY_KIND])
async def test_every_field_of_every_kind_comes_back(
    store: Store, table: str, key: str, record: Record
) -> None:
    await store.commit(Put(record))
    assert await store.get(type(record), key) == record
    if KINDS[type(record)].resident:
        assert getattr(await store.load(), table) == {key: record}


@pytest.mark.parametrize(("table", "key", "record"), EVERY_KIND, ids=[table for table, _, _ in EVERY_KIND])
async def test_deleted_record_of_every_kind_is_gone(
    store: Store, table: str, key: str, record: Record
) -> None:
    await store.commit(Put(record))
    await store.commit(Delete(type(record), key))
    assert await store.get(type(record), key) is None
    if KINDS[type(record)].resident:
        assert getattr(await store.load(), table) == {}


async def test_kinds_do_not_mix(store: Store) -> None:
    await store.commit(*(Put(record) for _, _, record in EVERY_KIND))
    snapshot = await store.load()
    assert in_snapshot(snapshot) == filled()


async def test_put_replaces_the_whole_record(store: Store) -> None:
    await store.commit(Put(CONTAINER))
    bare = replace(CONTAINER, task=None, run_id=None)
    await store.commit(Put(bare))
    assert await store.get(Container, CONTAINER.id) == bare


async def test_changes_of_one_commit_apply_in_order(store: Store) -> None:
    await store.commit(Put(VOLUME), Delete(Volume, VOLUME.name), Put(replace(VOLUME, created_ns=99)))
    found = await store.get(Volume, VOLUME.name)
    assert found is not None
    assert found.created_ns == 99


async def test_deleting_what_is_not_there_is_no_error(store: Store) -> None:
    await store.commit(Delete(Container, "0" * 64))


async def test_commit_without_changes_is_no_error(store: Store) -> None:
    await store.commit()


async def test_record_that_was_never_put_is_none(store: Store) -> None:
    assert await store.get(Container, "0" * 64) is None


async def test_commit_happens_although_its_caller_was_cancelled(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.commit(Put(CONTAINER))
    assert await store.get(Container, CONTAINER.id) == CONTAINER


async def test_commits_take_effect_in_the_order_of_their_calls(store: Store) -> None:
    async def commit(number: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with trio.CancelScope(shield=True):
            task_status.started()
            await store.commit(Put(replace(VOLUME, created_ns=number)))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            await nursery.start(commit, number)
    found = await store.get(Volume, VOLUME.name)
    assert found is not None
    assert found.created_ns == 49


async def test_a_thousand_commits_at_once_all_arrive(store: Store) -> None:
    async with trio.open_nursery() as nursery:
        for number in range(1000):
            nursery.start_soon(store.commit, Put(KnownDefinition(hash=f"{number:032x}", arn=str(number))))
    definitions = (await store.load()).definitions
    assert {key: record.arn for key, record in definitions.items()} == {
        f"{number:032x}": str(number) for number in range(1000)
    }


async def test_snapshot_does_not_change_with_the_store(store: Store) -> None:
    await store.commit(Put(RUN))
    before = await store.load()
    await store.commit(Delete(type(RUN), RUN.id))
    assert before.runs == {RUN.id: RUN}


async def test_closed_store_refuses_every_call(store: Store) -> None:
    await store.aclose()
    await store.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await store.commit(Put(RUN))
    with pytest.raises(trio.ClosedResourceError):
        await store.load()
    with pytest.raises(trio.ClosedResourceError):
        await store.get(Container, CONTAINER.id)
