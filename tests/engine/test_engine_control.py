"""Pausing, health, updating and the events of every verb, as a real dockerd has them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.agent import AgentLost
from sockerless_ecs.errors import Conflict, InvalidParameter, SockerlessError, StoreUnusable, Unavailable
from sockerless_ecs.model.container import (
    ContainerConfig,
    ContainerUpdate,
    CreateRequest,
    Healthcheck,
    RestartPolicy,
)
from sockerless_ecs.model.health import HealthStatus
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import Live
from tests.services.world import Outside, World, daemon

CHECK = Healthcheck(test=("CMD", "true"))


async def test_pause_freezes_and_is_stored(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(name="web")
    await world.containers.pause("web")
    assert (live.record.state, world.agent.paused) == (State.PAUSED, True)
    stored = await world.stored(live)
    assert stored is not None
    assert stored.state is State.PAUSED
    await world.containers.unpause("web")
    assert (live.record.state, world.agent.paused) == (State.RUNNING, False)
    assert world.actions() == ["create", "start", "pause", "unpause"]


async def test_wrong_state_is_told_in_docker_s_words(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(name="web", restart_policy=RestartPolicy(name="always"))
    with pytest.raises(Conflict, match=f"^Container {live.id} is not running$"):
        await world.containers.pause("web")
    with pytest.raises(SockerlessError, match=f"^Container {live.id} is not paused$"):
        await world.containers.unpause("web")
    await world.containers.start("web")
    await world.containers.pause("web")
    with pytest.raises(Conflict, match=f"^Container {live.id} is already paused$"):
        await world.containers.pause("web")
    with pytest.raises(Conflict, match="cannot start a paused container, try unpause instead"):
        await world.containers.start("web")
    await world.containers.unpause("web")
    world.agent.exit(1)
    await world.until(live, State.RESTARTING)
    with pytest.raises(Conflict, match=f"^Container {live.id} is restarting, wait until"):
        await world.containers.pause("web")


async def test_pause_whose_answer_was_lost_can_be_asked_for_again(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.paused = True
    await world.containers.pause(live.id)
    assert live.record.state is State.PAUSED
    world.agent.paused = False
    await world.containers.unpause(live.id)
    assert world.actions() == ["create", "start", "pause", "unpause"]


async def test_agent_that_does_not_answer_pauses_nothing(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    world.agent.faults["pause"].append(AgentLost("cut"))
    with pytest.raises(Unavailable):
        await world.containers.pause(live.id)
    world.agent.reachable = False
    world.agent.cut()
    await trio.sleep(1)
    with pytest.raises(Unavailable, match="was not paused"):
        await world.containers.pause(live.id)
    assert live.record.state is State.RUNNING


async def test_paused_container_is_taken_up_by_the_next_daemon(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await world.run()
        await world.containers.pause(live.id)
    async with daemon(outside) as world:
        world.reconciler.begin()
        await world.reconciler.settle()
        again = world.ledger.find(live.id)
        await trio.sleep(1)
        assert again.record.state is State.PAUSED
        await world.containers.stop(live.id)
        assert again.record.exit_code == 143


async def test_exit_while_it_is_paused_is_an_exit(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    await world.containers.pause(live.id)
    world.agent.exit(137, oom=True)
    await world.until(live, State.EXITED)


SEQUENCES = {
    "stop": ["kill", "die", "stop"],
    "stop deaf": ["kill", "kill", "die", "stop"],
    "stop paused": ["pause", "kill", "unpause", "die", "stop"],
    "kill": ["kill", "die"],
    "kill paused": ["pause", "kill", "die"],
    "hang-up paused": ["pause", "kill", "unpause"],
    "restart": ["kill", "die", "stop", "start", "restart"],
    "restart paused": ["pause", "kill", "unpause", "die", "stop", "start", "restart"],
    "remove": ["kill", "die", "destroy"],
    "remove paused": ["pause", "kill", "die", "destroy"],
    "exit": ["die"],
    "rename": ["rename"],
}


@pytest.mark.parametrize(("verb", "expected"), SEQUENCES.items(), ids=SEQUENCES)
async def test_events_of(world: World, autojump_clock: MockClock, verb: str, expected: list[str]) -> None:
    live = await world.run()
    before = len(world.actions())
    if verb.endswith("paused"):
        await world.containers.pause(live.id)
    if verb.endswith("deaf"):
        world.agent.dies_of = ("SIGKILL",)
    await _do(world, live, verb.partition(" ")[0])
    await trio.sleep(1)
    assert world.actions()[before:] == expected
    assert {event.attributes["image"] for event in world.told()} == {"alpine"}


async def _do(world: World, live: Live, verb: str) -> None:
    match verb:
        case "stop":
            await world.containers.stop(live.id, 1)
        case "kill":
            await world.containers.kill(live.id)
        case "hang-up":
            await world.containers.kill(live.id, "HUP")
        case "restart":
            await world.containers.restart(live.id, 1)
        case "remove":
            await world.containers.remove(live.id, force=True)
        case "rename":
            await world.containers.rename(live.id, "other")
        case _:
            world.agent.exit(0)


async def test_signal_that_is_given_takes_the_place_of_the_stop_signal(
    world: World, autojump_clock: MockClock
) -> None:
    live = await world.run()
    world.agent.dies_of = ("SIGINT", "SIGKILL")
    await world.containers.stop(live.id, signal="INT")
    assert world.agent.signals == ["SIGINT"]
    await world.containers.restart(live.id, signal="2")
    assert (world.agent.signals, live.record.state) == (["SIGINT"], State.RUNNING)
    await world.containers.restart(live.id, signal="2")
    assert world.agent.signals == ["SIGINT", "SIGINT"]
    for verb in (world.containers.stop, world.containers.restart):
        with pytest.raises(InvalidParameter, match="Invalid signal: NOPE"):
            await verb(live.id, signal="NOPE")
    assert live.record.state is State.RUNNING


@pytest.mark.parametrize("verb", ["stop", "restart", "remove"])
async def test_client_that_goes_away_does_not_stop_what_it_asked_for(
    world: World, autojump_clock: MockClock, verb: str
) -> None:
    live = await world.run()
    world.agent.dies_of = ("SIGKILL",) if verb != "remove" else ()
    with trio.move_on_after(0.5):
        await _do(world, live, verb)
    await trio.sleep(60)
    gone = world.ledger.get(live.id) is None
    assert gone if verb == "remove" else live.moment.value.exits == 1
    assert live.record.state is (State.EXITED if verb == "stop" else State.RUNNING)


async def _checked(world: World) -> Live:
    config = ContainerConfig(image="alpine", cmd=("x",), healthcheck=CHECK)
    created = await world.containers.create(CreateRequest(name="web", config=config))
    await world.containers.start("web")
    return world.ledger.find(created.id)


def _status(live: Live) -> str:
    assert live.record.health is not None
    return live.record.health.status.value


async def test_health_is_what_the_agent_says_and_changes_are_told(
    world: World, autojump_clock: MockClock
) -> None:
    live = await _checked(world)
    check = world.agent.started[0].health
    assert check is not None
    assert (check.test, check.interval, check.retries) == (("CMD", "true"), 30 * 10**9, 3)
    assert _status(live) == "starting"
    commits = world.store.commits
    world.agent.probe("starting")
    world.agent.probe("starting", 1)
    world.agent.probe("healthy", 1, 0)
    world.agent.probe("healthy", 1, 0, 0)
    world.agent.probe("unhealthy", 0, 0, 1, 1, 1)
    await world.idle()
    assert world.actions()[2:] == ["health_status: healthy", "health_status: unhealthy"]
    assert live.record.health is not None
    assert (live.record.health.failing_streak, len(live.record.health.log)) == (3, 5)
    assert world.store.commits == commits
    listed = await world.containers.list({"health": ["unhealthy"]}, include_stopped=False)
    assert [container.id for container in listed] == [live.id]
    assert await world.containers.list({"health": ["none"]}, include_stopped=True) == []


async def test_health_after_the_end_is_unhealthy_and_begins_anew_with_its_old_log(
    world: World, autojump_clock: MockClock
) -> None:
    live = await _checked(world)
    world.agent.probe("healthy", 0)
    await world.idle()
    await world.containers.stop("web")
    assert (_status(live), world.actions()[-1]) == ("unhealthy", "stop")
    await world.containers.start("web")
    assert live.record.health is not None
    assert (live.record.health.status, len(live.record.health.log)) == (HealthStatus.STARTING, 1)


async def test_health_of_a_paused_container_is_unhealthy_until_it_is_probed_again(
    world: World, autojump_clock: MockClock
) -> None:
    live = await _checked(world)
    world.agent.probe("healthy", 0)
    await world.idle()
    await world.containers.pause("web")
    assert _status(live) == "unhealthy"
    await world.containers.unpause("web")
    world.agent.probe("healthy", 0)
    await world.idle()
    assert world.actions()[2:] == [
        "health_status: healthy",
        "pause",
        "unpause",
        "health_status: healthy",
    ]


async def test_health_is_restored_from_the_agent_by_the_next_daemon(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await _checked(world)
        await world.idle()
    outside.ecs.agent.probe("healthy", 0)
    async with daemon(outside) as world:
        world.reconciler.begin()
        await trio.sleep(1)
        assert _status(world.ledger.find(live.id)) == "healthy"


@pytest.mark.parametrize("test", [("NONE",), (), ("WHAT", "true")])
async def test_container_without_a_check_has_no_health(
    world: World, autojump_clock: MockClock, test: tuple[str, ...]
) -> None:
    config = ContainerConfig(image="alpine", cmd=("x",), healthcheck=Healthcheck(test=test))
    await world.containers.create(CreateRequest(name="web", config=config))
    await world.containers.start("web")
    assert (world.agent.started[0].health, world.ledger.find("web").record.health) == (None, None)


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (Healthcheck(interval_ns=5), "Interval in Healthcheck cannot be less than 1ms"),
        (Healthcheck(timeout_ns=-1), "Timeout in Healthcheck cannot be less than 1ms"),
        (Healthcheck(start_period_ns=1), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (Healthcheck(retries=-1), "Retries in Healthcheck cannot be negative"),
    ],
)
async def test_nonsense_in_a_health_check_is_refused(world: World, check: Healthcheck, says: str) -> None:
    config = ContainerConfig(image="alpine", cmd=("x",), healthcheck=check)
    with pytest.raises(InvalidParameter, match=says):
        await world.containers.create(CreateRequest(name=None, config=config))


async def test_restart_policy_can_be_changed_at_any_time(world: World, autojump_clock: MockClock) -> None:
    live = await world.run()
    await world.containers.update(
        live.id, ContainerUpdate(restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=1))
    )
    assert world.actions()[-1] == "update"
    stored = await world.stored(live)
    assert stored is not None
    assert stored.host.restart_policy.name == "on-failure"
    world.agent.exit(1)
    await world.until(live, State.RESTARTING)


async def test_update_that_is_refused_changes_nothing(world: World, autojump_clock: MockClock) -> None:
    live = await world.run(auto_remove=True)
    before = live.record
    always = RestartPolicy(name="always")
    with pytest.raises(
        Conflict, match=f"^Cannot update container {live.id}: Restart policy cannot be updated"
    ):
        await world.containers.update(live.id, ContainerUpdate(restart_policy=always))
    with pytest.raises(InvalidParameter, match="unknown policy 'x'"):
        await world.containers.update(live.id, ContainerUpdate(restart_policy=RestartPolicy(name="x")))
    with pytest.raises(Conflict, match="the size of a Fargate task is fixed"):
        await world.containers.update(live.id, ContainerUpdate(memory_bytes=2 << 30))
    with pytest.raises(InvalidParameter, match="no Fargate task has"):
        await world.containers.update(live.id, ContainerUpdate(nano_cpus=10**12))
    world.store.refuse = lambda _: True
    with pytest.raises(StoreUnusable):
        await world.containers.update(live.id, ContainerUpdate(restart_policy=RestartPolicy()))
    assert (live.record, "update" in world.actions()) == (before, False)


async def test_size_can_be_changed_before_there_is_a_task(world: World, autojump_clock: MockClock) -> None:
    live = await world.create(labels={"sockerless.cpu": "1"})
    warnings = await world.containers.update(
        live.id, ContainerUpdate(memory_bytes=4 << 30, nano_cpus=2 * 10**9)
    )
    assert warnings == ("NanoCpus has no effect: the label sockerless.cpu decides",)
    await world.containers.start(live.id)
    assert (world.ecs.requests[0].cpu_units, world.ecs.requests[0].memory_mib) == (1024, 4096)


async def test_prune_takes_what_is_down_and_tells(world: World, autojump_clock: MockClock) -> None:
    up = await world.run(restart_policy=RestartPolicy(name="always"))
    world.agent.exit(1)
    await world.until(up, State.RESTARTING)
    down = await world.create()
    assert await world.containers.prune({}) == [down.id]
    assert (world.actions()[-1], world.told()[-1].attributes) == ("prune", {"reclaimed": "0"})
    listed = await world.containers.list({}, include_stopped=False)
    assert [container.id for container in listed] == [up.id]
