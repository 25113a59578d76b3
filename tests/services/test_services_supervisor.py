"""What an agent says, or its silence, becomes state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import LogOptions
from sockerless_ecs.store.contract import Delete, Put
from tests.services.fake_agent import FakeAgent
from tests.services.world import Outside, World, daemon


async def test_exit_is_safe_before_anybody_is_told(world: World, autojump_clock: MockClock) -> None:
    """Neither a wait nor an event nor the agent hears of it before the store has it."""
    live = await world.run()
    wait = await world.containers.wait(live.id, "next-exit")
    world.store.refuse = lambda _: True
    world.agent.exit(3)
    await trio.sleep(5)
    assert (wait.settled, world.actions(), world.agent.acked) == (False, ["create", "start"], 0)
    world.store.refuse = lambda _: False
    assert (await wait.outcome()).code == 3
    stored = await world.stored(live)
    assert stored is not None
    assert (stored.state, stored.exit_code) == (State.EXITED, 3)
    await world.ended(live)
    assert world.agent.acked == 3
    [run] = (await world.store.load()).runs.values()
    assert (run.exit_code, run.lines, run.finished_ns) == (3, 0, live.record.finished_ns)


async def test_out_of_memory_is_told(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.exit(137, oom=True)
    await world.until(live, State.EXITED)
    await world.ended(live)
    assert live.record.oom_killed
    assert world.actions() == ["create", "start", "oom", "die"]
    assert world.told()[-1].attributes["exitCode"] == "137"


async def test_connection_that_is_cut_is_made_again_and_nothing_happens_twice(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    for _ in range(5):
        world.agent.cut()
        await trio.sleep(1)
    assert live.record.state is State.RUNNING
    world.agent.exit(4)
    await world.ended(live)
    world.agent.cut()
    await trio.sleep(5)
    assert world.actions() == ["create", "start", "die"]
    assert (live.moment.value.exits, live.record.exit_code, world.agent.open_clients) == (1, 4, 1)


async def test_exit_during_a_silence_of_the_agent_has_its_true_code(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.reachable = False
    world.agent.cut()
    await trio.sleep(60)
    world.agent.exit(9)
    await trio.sleep(60)
    assert live.record.state is State.RUNNING
    world.agent.reachable = True
    await world.until(live, State.EXITED)
    assert live.record.exit_code == 9


@dataclass(frozen=True)
class Lost:
    """What ECS says of a task that is gone, and what it means."""

    code: int | None
    reason: str
    main: str
    becomes: tuple[State, int, bool]
    error: str = ""


OOM = "OutOfMemoryError: killed"


@pytest.mark.parametrize(
    "lost",
    [
        Lost(3, "Essential container exited", "", (State.EXITED, 3, False)),
        Lost(None, "Host died", "", (State.DEAD, 137, False), "the task was lost: Host died"),
        Lost(None, "", "", (State.DEAD, 137, False), "the task was lost: ECS no longer knows it"),
        Lost(137, "", OOM, (State.EXITED, 137, True)),
        Lost(None, "", OOM, (State.EXITED, 137, True), f"the task was lost: {OOM}"),
    ],
    ids=str,
)
async def test_task_that_is_lost_has_the_exit_that_ecs_knows(
    world: World, autojump_clock: MockClock, lost: Lost
) -> None:
    live = await world.run()
    wait = await world.containers.wait(live.id)
    world.ecs.stops(world.ecs.arn, code=lost.code, reason=lost.reason, main=lost.main)
    assert (await wait.outcome()).code == lost.becomes[1]
    record = live.record
    assert (record.state, record.exit_code, record.oom_killed) == lost.becomes
    assert (record.task, record.error) == (None, lost.error)
    assert await world.stored(live) == record
    await trio.sleep(5)
    assert world.agent.open_clients == 0


async def test_task_that_ecs_forgot_is_lost(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.reachable = False
    world.agent.cut()
    world.ecs.tasks.clear()
    await world.until(live, State.DEAD)
    assert (live.record.exit_code, live.record.error) == (
        137,
        "the task was lost: ECS no longer knows it",
    )


@pytest.mark.parametrize("how", ["exits", "is lost"])
async def test_rm_container_goes_once_it_has_ended(world: World, autojump_clock: MockClock, how: str) -> None:
    live = await world.run(auto_remove=True)
    removed = await world.containers.wait(live.id, "removed")
    if how == "exits":
        world.agent.print("bye")
        world.agent.exit(2)
    else:
        world.ecs.stops(world.ecs.arn, code=2)
    assert (await removed.outcome()).code == 2
    await trio.sleep(30)
    snapshot = await world.store.load()
    assert (snapshot.containers, snapshot.runs, snapshot.cleanup_jobs) == ({}, {}, {})
    assert world.actions() == ["create", "start", "die", "destroy"]
    assert world.agent.open_clients == 0


async def test_rm_container_goes_even_if_the_store_refuses_for_a_while(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(auto_remove=True)

    def removals(changes: tuple[Put | Delete, ...]) -> bool:
        return any(isinstance(change, Delete) and change.kind is Container for change in changes)

    world.store.refuse = removals
    world.agent.exit()
    await trio.sleep(20)
    assert world.ledger.get(live.id) is live
    world.store.refuse = lambda _: False
    await live.moment.wait_value(lambda moment: moment.removed)
    assert (await world.store.load()).containers == {}


async def test_removal_right_after_the_exit_is_not_undone_by_the_end_of_the_output(
    world: World, autojump_clock: MockClock, outside: Outside
) -> None:
    """A client that waits and removes is faster than the last line: the container does not come back."""
    live = await world.run()
    wait = await world.containers.wait(live.id)
    world.agent.print(*["line"] * 50)
    world.agent.exit()
    await wait.outcome()
    await world.containers.remove(live.id)
    await trio.sleep(30)
    snapshot = await world.store.load()
    assert (snapshot.containers, snapshot.runs) == ({}, {})
    assert world.ecs.stopped == [world.ecs.arn]


async def test_agent_that_ends_after_lingering_leaves_a_container_without_a_task(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.exit()
    await world.ended(live)
    world.agent.end()
    await world.idle()
    assert (live.record.task, live.agent, world.agent.open_clients) == (None, None, 0)
    assert await world.stored(live) == live.record
    await world.containers.start(live.id)
    assert (len(world.ecs.tasks), world.ecs.stopped) == (2, [])


async def test_agent_that_is_cut_off_before_its_output_ended_is_asked_for_the_rest(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.exit(drain=False)
    await world.until(live, State.EXITED)
    world.agent.cut()
    await trio.sleep(2)
    run_id = str(live.record.run_id)
    world.agent.print("last words", run=run_id)
    world.agent.drain(run_id)
    await world.ended(live)
    await trio.sleep(1)
    assert world.agent.acked == 3
    async with world.containers.logs(live.id, LogOptions()) as batches:
        assert [line.data for batch in [b async for b in batches] for line in batch] == [b"last words\n"]


async def test_new_start_does_not_get_the_old_agent_that_is_met_again_late(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    old = world.agent
    old.exit(1)
    await world.ended(live)
    old.reachable = False
    old.cut()
    await trio.sleep(1)
    world.ecs.hold["stop_task"] = trio.Event()
    await world.containers.start(live.id)
    new = world.agent
    assert new is not old
    old.reachable = True
    await trio.sleep(5)
    assert (old.open_clients, new.open_clients) == (0, 1)
    await world.containers.kill(live.id)
    assert (old.signals, new.signals) == ([], ["SIGKILL"])
    world.ecs.hold.pop("stop_task").set()
    await trio.sleep(5)
    assert len(world.ecs.stopped) == 1


async def test_follower_has_a_moment_for_the_end_of_the_output_before_the_task_goes(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run(auto_remove=True)
    got: list[bytes] = []

    async def follow() -> None:
        async with world.containers.logs(live.id, LogOptions(follow=True)) as batches:
            async for batch in batches:
                got.extend(line.data for line in batch)
                await trio.sleep(0.2)

    world.agent.chunk = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(follow)
        await world.idle()
        world.agent.print(*map(str, range(10)))
        world.agent.exit()
    assert got == [f"{number}\n".encode() for number in range(10)]
    await live.moment.wait_value(lambda moment: moment.removed)


PHASES = ["requested", "placed", "told", "running", "exited", "drained"]


def arrange(outside: Outside, phase: str) -> None:
    """Let a start come no further than that."""
    match phase:
        case "requested":
            outside.ecs.hold["run_task"] = trio.Event()
        case "placed":
            outside.ecs.addressed = False
        case "told":
            agent = FakeAgent()
            agent.hold = trio.Event()
            outside.ecs.make_agent = lambda: agent


def go_on(outside: Outside, phase: str) -> None:
    """What happens while no daemon is there."""
    match phase:
        case "requested":
            outside.ecs.hold.clear()
        case "placed":
            outside.ecs.change(outside.ecs.arn, address="127.0.0.9")
        case "exited":
            outside.ecs.agent.drain(next(iter(outside.ecs.agent.runs)))
        case _:
            outside.ecs.agent.hold.set()
            outside.ecs.agent.exit(7)


@pytest.mark.parametrize("auto_remove", [False, True])
@pytest.mark.parametrize("phase", PHASES)
async def test_next_daemon_goes_on_from_any_phase(
    autojump_clock: MockClock, phase: str, auto_remove: bool
) -> None:
    """The process ends while nobody looks: its true exit code is known all the same."""
    outside = Outside()
    arrange(outside, phase)
    async with daemon(outside) as world:
        live = await world.create(auto_remove=auto_remove)
        world.launcher.begin(live)
        await trio.sleep(2)
        assert live.record.state is (State.RUNNING if phase in PHASES[3:] else State.STARTING)
        if phase == "exited":
            world.agent.exit(7, drain=False)
            await trio.sleep(1)
    go_on(outside, phase)
    async with daemon(outside) as world:
        again = world.ledger.find(live.id)
        removed = await world.containers.wait(live.id, "removed")
        world.reconciler.begin()
        await world.reconciler.settle()
        if phase in ("requested", "placed"):
            await world.until(again, State.RUNNING)
            world.agent.exit(7)
        if auto_remove:
            assert (await removed.outcome()).code == 7
            assert (await outside.store.load()).containers == {}
        else:
            await world.ended(again)
            assert (again.record.state, again.record.exit_code) == (State.EXITED, 7)
            [run] = world.ledger.runs_of(again.id)
            assert (run.exit_code, run.lines) == (7, 0)
    assert len(outside.ecs.tasks) == len(outside.ecs.agent.started) == 1


async def test_rm_container_whose_end_was_stored_is_removed_by_the_next_daemon(
    autojump_clock: MockClock,
) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run(auto_remove=True)
        ended = replace(live.record, state=State.EXITED, task=None)
    await outside.store.commit(Put(ended))
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
        assert list(world.ledger) == []
    assert (await outside.store.load()).containers == {}


async def test_run_of_an_agent_that_knows_no_run_of_ours_harms_nothing(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.tell("drained", "f" * 32, lines=3)
    world.agent.tell("exited", "f" * 32, code=3)
    await trio.sleep(1)
    assert live.record.state is State.RUNNING
    assert live.record.task is not None
    assert live.record.task.event_seq == 3


async def test_call_that_the_agent_answers_oddly_is_repeated(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.faults["ack"].append(Unimplemented("agent: of another version"))
    world.agent.exit()
    await world.drained(live)
    await trio.sleep(5)
    assert world.agent.acked == 3
