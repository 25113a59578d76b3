"""The daemon's memory of every record."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, StoreUnusable
from sockerless_ecs.model.cleanup import CleanupJob
from sockerless_ecs.model.container import Container, ContainerId, ExitStatus, Run, RunId, TaskArn
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.services.ledger import Ledger
from sockerless_ecs.store.contract import Delete, Put, Snapshot
from tests.services.fakes import FlakyStore
from tests.store.records import CONTAINER, JOB, RUN


def record(digits: str, name: str) -> Container:
    return replace(CONTAINER, id=ContainerId(digits.ljust(64, "0")), name=name)


def run(container: Container, number: int) -> Run:
    return replace(RUN, id=RunId(f"{number:032}"), container_id=container.id, number=number)


A, B = record("aa1", "web"), record("aa2", "db")


@pytest.fixture
def store() -> FlakyStore:
    return FlakyStore()


@pytest.fixture
def ledger(store: FlakyStore) -> Ledger:
    return Ledger(store, Snapshot(containers={A.id: A, B.id: B}, runs={run(A, 1).id: run(A, 1)}))


@pytest.mark.parametrize("ref", [A.id, "web", "/web", "aa1", A.id[:12], "/aa1"])
def test_container_is_found_by_id_name_and_prefix(ledger: Ledger, ref: str) -> None:
    assert ledger.find(ref).record == A


@pytest.mark.parametrize("ref", ["", "/", "nothing", A.id + "0", "we"])
def test_what_names_no_container_is_not_found(ledger: Ledger, ref: str) -> None:
    with pytest.raises(NotFound) as raised:
        ledger.find(ref)
    assert raised.value.message == f"No such container: {ref}"


def test_ambiguous_prefix_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InvalidParameter, match="multiple IDs found with provided prefix: aa"):
        ledger.find("aa")


def test_name_goes_before_a_prefix(ledger: Ledger) -> None:
    named = record("bb", "aa1")
    ledger.reserve("aa1", named.id)
    live = ledger.add(named)
    assert ledger.find("aa1") is live


def test_name_that_is_only_reserved_finds_nothing(ledger: Ledger) -> None:
    ledger.reserve("soon", ContainerId("c" * 64))
    with pytest.raises(NotFound):
        ledger.find("soon")


def test_reserved_name_conflicts_in_docker_s_words_until_it_is_released(ledger: Ledger) -> None:
    mine, other = ContainerId("c" * 64), ContainerId("d" * 64)
    ledger.reserve("cache", mine)
    with pytest.raises(Conflict) as raised:
        ledger.reserve("cache", other)
    assert raised.value.message == (
        f'Conflict. The container name "/cache" is already in use by container "{mine}". '
        "You have to remove (or rename) that container to be able to reuse that name."
    )
    ledger.release("cache", other)
    with pytest.raises(Conflict):
        ledger.reserve("cache", other)
    ledger.release("cache", mine)
    ledger.reserve("cache", other)


def test_forgotten_container_gives_its_name_back_and_takes_its_runs_along(ledger: Ledger) -> None:
    live = ledger.find("web")
    ledger.forget(live)
    assert ledger.get(A.id) is None
    assert not ledger.runs
    ledger.reserve("web", ContainerId("c" * 64))


def test_runs_come_oldest_first(ledger: Ledger) -> None:
    for number in (3, 2):
        ledger.runs[run(A, number).id] = run(A, number)
    ledger.runs[RunId("b" * 32)] = run(B, 1)
    assert [found.number for found in ledger.runs_of(A.id)] == [1, 2, 3]


def test_containers_may_change_while_somebody_iterates(ledger: Ledger) -> None:
    for live in ledger:
        ledger.forget(live)
    assert list(ledger) == []


async def test_insisting_tries_until_the_store_takes_it(
    autojump_clock: MockClock, ledger: Ledger, store: FlakyStore
) -> None:
    store.refuse = lambda _: store.commits <= 5
    await ledger.insist(Put(JOB), Put(A))
    assert (await store.get(CleanupJob, JOB.id), await store.get(Container, A.id)) == (JOB, A)
    assert trio.current_time() == pytest.approx(5)
    store.refuse = lambda _: True
    with pytest.raises(StoreUnusable):
        await ledger.save(Delete(CleanupJob, JOB.id))


async def test_late_try_does_not_undo_what_was_stored_meanwhile(
    autojump_clock: MockClock, ledger: Ledger, store: FlakyStore
) -> None:
    live = ledger.find("web")
    ledger.runs[RUN.id] = replace(RUN, container_id=A.id)
    store.refuse = lambda _: store.commits == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ledger.insist, Put(live.record), Put(ledger.runs[RUN.id]))
        await trio.sleep(0.5)
        ledger.runs[RUN.id] = replace(RUN, container_id=A.id, exit_code=3)
        await ledger.save(Put(live.become(exit_code=3)), Put(ledger.runs[RUN.id]))
    stored = await store.get(Container, A.id), await store.get(Run, RUN.id)
    assert [found and found.exit_code for found in stored] == [3, 3]


@pytest.mark.parametrize("moment", ["while it is removed", "after it was removed"])
async def test_what_is_removed_is_not_stored_again(ledger: Ledger, store: FlakyStore, moment: str) -> None:
    live = ledger.find("web")
    if moment == "while it is removed":
        live.leaving = True
    else:
        ledger.forget(live)
    await ledger.save(Put(live.record), Put(run(A, 2)), Put(JOB))
    snapshot = await store.load()
    assert (snapshot.containers, snapshot.runs) == ({}, {})
    assert snapshot.cleanup_jobs == {JOB.id: JOB}


async def test_container_that_is_being_created_is_stored(ledger: Ledger, store: FlakyStore) -> None:
    new = record("c", "new")
    ledger.reserve("new", new.id)
    await ledger.save(Put(new))
    assert await store.get(Container, new.id) == new


async def test_exit_is_pending_until_it_is_told(ledger: Ledger) -> None:
    live = ledger.find("web")
    assert live.moment.value.status == ExitStatus(code=A.exit_code)
    live.become(Event.EXITED, exit_code=5)
    assert (live.exit_pending, live.moment.value.exits) == (True, 0)
    live.announce_exit(ExitStatus(code=5))
    assert (live.exit_pending, live.moment.value.exits, live.moment.value.status.code) == (False, 1, 5)
    live.become(Event.BEGIN, task=None)
    assert live.record.state is State.STARTING
    with pytest.raises(Conflict, match="a container that is starting cannot exited"):
        live.become(Event.EXITED)


def test_ledger_knows_what_the_store_held(store: FlakyStore) -> None:
    ledger = Ledger(store, Snapshot(cleanup_jobs={JOB.id: JOB}))
    assert ledger.jobs == {JOB.id: JOB}
    assert TaskArn("x") not in ledger.definitions
