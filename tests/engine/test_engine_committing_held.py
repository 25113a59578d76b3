"""A container stands still while it is read, and goes on whatever happens."""

from __future__ import annotations

import pytest
import trio

from sockerless_ecs.agent import AgentLost
from sockerless_ecs.errors import (
    SockerlessError,
    StoreUnusable,
    Unavailable,
)
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.lifecycle import Event, State
from sockerless_ecs.store.contract import Put
from tests.cancelling import CancelAt
from tests.engine.commits import BASE, PACKED, Commits, Meanwhile
from tests.services.world import Outside, daemon


async def test_running_container_stands_still_while_it_is_read_and_then_goes_on(commits: Commits) -> None:
    live = await commits.run()
    await commits.commit(live)
    assert commits.disk(live).paused == [True]
    assert commits.told() == ["pause", "unpause", "commit"]
    assert (live.record.state, commits.world.agent.paused) == (State.RUNNING, False)
    await commits.commit(live, tag="2", pause=False)
    assert commits.disk(live).paused == [True, False]
    assert commits.told() == ["pause", "unpause", "commit", "commit"]


async def test_container_that_was_paused_stays_so(commits: Commits) -> None:
    live = await commits.run()
    await commits.world.containers.pause(live.id)
    await commits.commit(live)
    assert commits.disk(live).paused == [True]
    assert commits.told() == ["pause", "commit"]
    assert (live.record.state, commits.world.agent.paused) == (State.PAUSED, True)


async def test_process_that_ends_while_it_is_read_is_no_failure(commits: Commits) -> None:
    live = await commits.run()

    async def end() -> None:
        commits.world.agent.exit(3)
        await commits.world.until(live, State.EXITED)

    commits.disk(live).while_packing = Meanwhile(end)
    await commits.commit(live)
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]
    assert commits.told() == ["pause", "die", "commit"]
    assert live.record.exit_code == 3


async def test_of_two_commits_the_last_one_lets_it_go_on(commits: Commits) -> None:
    live = await commits.run()
    reading, first_done = trio.Event(), trio.Event()

    async def second() -> None:
        await reading.wait()
        await commits.commit(live, tag="2")
        first_done.set()

    async def while_first_packs() -> None:
        commits.disk(live).while_packing = None
        reading.set()
        await first_done.wait()
        assert commits.world.agent.paused, "the other one is not done"

    commits.disk(live).while_packing = Meanwhile(while_first_packs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second)
        await commits.commit(live)
    assert commits.told() == ["pause", "commit", "unpause", "commit"]
    assert (live.record.state, live.record.held, commits.world.agent.paused) == (State.RUNNING, False, False)


@pytest.mark.parametrize("known", [True, False])
async def test_container_that_a_dead_daemon_held_goes_on_with_the_next(known: bool) -> None:
    """Also where it died after the agent had stopped the processes, and before it could write that down."""
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run()
        await outside.store.commit(Put(live.become(held=True)))
        await world.containers.pause(live.id)
        if not known:
            await outside.store.commit(Put(live.become(Event.UNPAUSE)))
    async with daemon(outside) as world:
        assert world.agent.paused
        world.reconciler.begin()
        await world.containers.release_held()
        record = (await outside.store.load()).containers[live.id]
        assert (record.state, record.held, world.agent.paused) == (State.RUNNING, False, False)
        with pytest.raises(SockerlessError, match="is not paused"):
            await world.containers.unpause(live.id)


@pytest.mark.parametrize("call", ["pause", "changes", "pack"])
async def test_agent_that_fails_makes_no_image_and_the_container_goes_on(commits: Commits, call: str) -> None:
    live = await commits.run()
    commits.world.agent.faults[call] += [Unavailable("no")]
    with pytest.raises(Unavailable, match="no"):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_layer_that_is_cut_short_makes_no_image(commits: Commits) -> None:
    live = await commits.run()
    commits.disk(live).tars["layer"] = [PACKED[:1000], AgentLost("cut")]
    with pytest.raises(AgentLost):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_ecr_that_goes_away_in_the_middle_is_not_the_client_s_fault(commits: Commits) -> None:
    live = await commits.run()

    async def end() -> None:
        commits.loads.registry.close()
        await trio.lowlevel.checkpoint()

    commits.disk(live).while_packing = Meanwhile(end)
    with pytest.raises(Unavailable):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_store_that_refuses_keeps_no_image_in_memory_either(commits: Commits) -> None:
    live = await commits.run()
    commits.world.store.refuse = lambda changes: any(
        isinstance(change, Put) and isinstance(change.record, Image) for change in changes
    )
    with pytest.raises(StoreUnusable):
        await commits.commit(live)
    assert commits.goes_on(live)


async def test_agent_that_does_not_let_it_go_on_is_no_failure_of_the_commit(commits: Commits) -> None:
    """The image is whole, and the container is shown as it is: paused, for somebody to try again."""
    live = await commits.run()
    commits.world.agent.faults["unpause"] += [Unavailable("no")]
    await commits.commit(live)
    assert (live.record.state, commits.world.agent.paused) == (State.PAUSED, True)
    await commits.world.containers.unpause(live.id)
    assert commits.world.agent.paused is False


async def test_commit_that_is_cancelled_at_any_step_leaves_the_container_running(commits: Commits) -> None:
    """And makes no image, or a whole one."""
    live = await commits.run()
    step, made = 0, False
    while not made:
        step += 1
        with trio.CancelScope() as scope, CancelAt(scope, step):
            await commits.commit(live)
        made = not commits.nothing_made()
        assert made or commits.goes_on(live), step
    assert step > 20
    assert commits.loads.files("made:1") == [*BASE.layers, PACKED]
