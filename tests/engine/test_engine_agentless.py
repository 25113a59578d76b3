"""The label `sockerless.agent=off`: ECS runs the process, and what needs an agent says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.aws.shapes import definition_params, run_params
from sockerless_ecs.engine.values import AttachOptions
from sockerless_ecs.errors import InvalidParameter, Unavailable, Unimplemented
from sockerless_ecs.model.container import (
    Container,
    ContainerConfig,
    CreateRequest,
    Healthcheck,
    HostConfig,
    RestartPolicy,
    Ulimit,
    is_agentless,
)
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import LogOptions
from sockerless_ecs.model.task import ContainerSnapshot
from sockerless_ecs.model.taskdef import LAUNCH_VARIABLE, MAIN_CONTAINER
from sockerless_ecs.services.ledger import Live
from tests.services.world import IMAGE, Outside, World, daemon

OFF = {"sockerless.agent": "off"}


async def _create(world: World, *, host: HostConfig | None = None, **config: Any) -> Live:
    settings = {"image": "alpine", "cmd": ("sleep", "60"), "labels": OFF, **config}
    created = await world.containers.create(
        CreateRequest(name="web", config=ContainerConfig(**settings), host=host or HostConfig())
    )
    return world.ledger.find(created.id)


def _runs(world: World) -> None:
    """ECS says that the newest task's process runs."""
    main = ContainerSnapshot(name=MAIN_CONTAINER, last_status="RUNNING")
    world.ecs.change(world.ecs.arn, last_status="RUNNING", containers=(main,))


async def _started(world: World, **more: Any) -> Live:
    live = await _create(world, **more)
    await _start(world, live)
    return live


async def _start(world: World, live: Live) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        _runs(world)


@pytest.mark.parametrize(
    ("value", "off"), [("off", True), ("False", True), ("0", True), ("on", False), ("", False)]
)
def test_label_is_off_by_any_of_docker_s_words(value: str, off: bool) -> None:
    assert is_agentless({"sockerless.agent": value}) is off
    assert not is_agentless({})


async def test_label_that_is_neither_on_nor_off_is_refused(world: World) -> None:
    with pytest.raises(InvalidParameter, match='"maybe" is neither on nor off'):
        await _create(world, labels={"sockerless.agent": "maybe"})


async def test_definition_has_the_process_and_no_agent(world: World, autojump_clock: MockClock) -> None:
    limit = Ulimit(name="nofile", soft=10, hard=20)
    await _create(
        world,
        entrypoint=("/init",),
        cmd=("a", "b"),
        env=("X=1",),
        user="7",
        working_dir="/w",
        stop_timeout=30,
        host=HostConfig(ulimits=(limit,), cap_drop=("NET_RAW",), init=True),
    )
    [definition] = world.ecs.registered
    params = definition_params(definition, {})
    [container] = params["containerDefinitions"]
    assert (params["volumes"], container["name"], container["image"]) == ([], "main", definition.image)
    assert (container["entryPoint"], container["command"]) == (["/init"], ["a", "b"])
    assert {"name": "X", "value": "1"} in container["environment"]
    assert (container["user"], container["workingDirectory"], container["stopTimeout"]) == ("7", "/w", 30)
    assert container["ulimits"] == [{"name": "nofile", "softLimit": 10, "hardLimit": 20}]
    assert container["linuxParameters"] == {
        "initProcessEnabled": True,
        "capabilities": {"drop": ["NET_RAW"]},
    }
    assert "dependsOn" not in container


async def test_another_command_is_another_definition(world: World, autojump_clock: MockClock) -> None:
    await _create(world)
    created = await world.containers.create(
        CreateRequest(name="other", config=ContainerConfig(image="alpine", cmd=("other",), labels=OFF))
    )
    assert len({definition.hash for definition in world.ecs.registered}) == 2
    assert "task definition" in created.warnings[0]


async def test_container_runs_when_ecs_says_so_and_has_no_token(
    world: World, autojump_clock: MockClock
) -> None:
    live = await _started(world)
    assert (live.record.state, live.agent, world.agent.started) == (State.RUNNING, None, [])
    [override] = run_params(world.ecs.requests[0])["overrides"]["containerOverrides"]
    assert [variable["name"] for variable in override["environment"]] == [LAUNCH_VARIABLE]
    assert world.actions() == ["create", "start"]


@pytest.mark.parametrize(
    ("code", "reason", "becomes"),
    [(0, "", (State.EXITED, 0)), (7, "", (State.EXITED, 7)), (None, "Host died", (State.DEAD, 137))],
)
async def test_exit_code_is_what_ecs_says(
    world: World, autojump_clock: MockClock, code: int | None, reason: str, becomes: tuple[State, int]
) -> None:
    live = await _started(world)
    wait = await world.containers.wait(live.id)
    world.ecs.stops(world.ecs.arn, code=code, reason=reason)
    assert (await wait.outcome()).code == becomes[1]
    assert ((live.record.state, live.record.exit_code), live.record.task) == (becomes, None)
    assert reason in live.record.error


async def test_exit_is_known_before_the_task_has_stopped(world: World, autojump_clock: MockClock) -> None:
    live = await _started(world)
    main = ContainerSnapshot(name=MAIN_CONTAINER, last_status="STOPPED", exit_code=3)
    world.ecs.change(world.ecs.arn, last_status="DEPROVISIONING", containers=(main,))
    await world.until(live, State.EXITED)
    assert live.record.exit_code == 3


async def test_process_that_ends_before_it_was_seen_to_run_did_start(
    world: World, autojump_clock: MockClock
) -> None:
    live = await _create(world)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.containers.start, live.id)
        await world.idle()
        world.ecs.stops(world.ecs.arn, code=5)
    await world.until(live, State.EXITED)
    assert (live.record.exit_code, world.actions()) == (5, ["create", "start", "die"])


async def test_task_that_never_ran_is_a_failed_start(world: World, autojump_clock: MockClock) -> None:
    live = await _create(world)
    launch = world.launcher.begin(live)
    await world.idle()
    world.ecs.stops(world.ecs.arn, reason="CannotPullContainerError: no")
    with pytest.raises(Unavailable, match="CannotPullContainerError"):
        await launch.outcome()
    assert (live.record.state, live.record.task) == (State.CREATED, None)


@pytest.mark.parametrize("verb", ["stop", "kill", "rm"])
async def test_stop_and_kill_stop_the_task(world: World, autojump_clock: MockClock, verb: str) -> None:
    live = await _started(world)
    match verb:
        case "stop":
            await world.containers.stop(live.id)
        case "kill":
            await world.containers.kill(live.id)
        case _:
            await world.containers.remove(live.id, force=True)
    await trio.sleep(5)
    assert world.ecs.stopped[0] == world.ecs.arn
    assert "die" in world.actions()


async def test_what_needs_an_agent_names_the_label(world: World, autojump_clock: MockClock) -> None:
    live = await _started(world)
    verbs: list[Callable[[], Awaitable[object]]] = [
        lambda: world.containers.kill(live.id, "HUP"),
        lambda: world.containers.stop(live.id, signal="INT"),
        lambda: world.containers.pause(live.id),
        lambda: world.containers.unpause(live.id),
        lambda: world.containers.top(live.id),
        lambda: world.containers.usage(live.id),
        lambda: world.containers.stat_path(live.id, "/"),
        lambda: _entered(world, live),
    ]
    for verb in verbs:
        with pytest.raises(Unimplemented, match=r"the label sockerless\.agent=off"):
            await verb()
    assert live.record.state is State.RUNNING


async def _entered(world: World, live: Live) -> None:
    async with world.containers.attach(live.id, AttachOptions(stdout=True)):
        pass


async def test_policy_restarts_with_a_new_task(world: World, autojump_clock: MockClock) -> None:
    live = await _started(world, host=HostConfig(restart_policy=RestartPolicy(name="always")))
    world.ecs.stops(world.ecs.arn, code=1)
    await trio.sleep(5)
    assert live.record.status == "restarting"
    _runs(world)
    await world.until(live, State.RUNNING)
    assert (len(world.ecs.tasks), live.record.restart_count) == (2, 1)


async def test_next_daemon_goes_on(autojump_clock: MockClock) -> None:
    outside = Outside()
    async with daemon(outside) as world:
        live = await _started(world)
    async with daemon(outside) as world:
        world.reconciler.begin()
        again = world.ledger.find(live.id)
        await trio.sleep(5)
        assert again.record.state is State.RUNNING
        outside.ecs.stops(outside.ecs.arn, code=9)
        await world.until(again, State.EXITED)
        assert again.record.exit_code == 9


async def test_logs_are_the_stream_s_events(world: World, autojump_clock: MockClock) -> None:
    live = await _started(world)
    [run] = world.ledger.runs_of(live.id)
    world.cloud.write(run.log_stream, "one", "[stderr] as it is", "")
    world.ecs.stops(world.ecs.arn, code=0)
    await world.until(live, State.EXITED)
    world.ledger.runs[run.id] = replace(world.ledger.runs[run.id], finished_ns=1)  # long ago
    async with world.containers.logs(live.id, LogOptions(stdout=True, stderr=True)) as batches:
        lines = [line async for batch in batches for line in batch]
    assert [(line.number, line.data) for line in lines] == [
        (1, b"one\n"),
        (2, b"[stderr] as it is\n"),
        (3, b"\n"),
    ]


IMPOSSIBLE: dict[str, tuple[dict[str, Any], HostConfig]] = {
    "Tty": ({"tty": True}, HostConfig()),
    "OpenStdin": ({"open_stdin": True}, HostConfig()),
    "Hostname": ({"hostname": "x"}, HostConfig()),
    "Healthcheck": ({"healthcheck": Healthcheck(test=("CMD", "true"))}, HostConfig()),
    "StopSignal": ({"stop_signal": "INT"}, HostConfig()),
    "StopTimeout": ({"stop_timeout": 121}, HostConfig()),
    "HostConfig.GroupAdd": ({}, HostConfig(group_add=("x",))),
    "HostConfig.ExtraHosts": ({}, HostConfig(extra_hosts=("a:1.2.3.4",))),
    "HostConfig.SecurityOpt": ({}, HostConfig(security_opt=("no-new-privileges",))),
    "HostConfig.Ulimits": ({}, HostConfig(ulimits=(Ulimit(name="nproc", soft=1, hard=1),))),
}


@pytest.mark.parametrize("field", IMPOSSIBLE)
async def test_what_ecs_cannot_do_is_refused_by_name(world: World, field: str) -> None:
    config, host = IMPOSSIBLE[field]
    with pytest.raises(InvalidParameter, match=f"^{field} is not possible with the label"):
        await _create(world, host=host, **config)
    assert (await world.store.load()).containers == {}


async def test_image_of_s6_gets_a_hint(world: World) -> None:
    image = replace(IMAGE, config=replace(IMAGE.config, entrypoint=("/init",)))
    world.ledger.images[IMAGE.ref] = image
    created = await world.containers.create(CreateRequest(name=None, config=ContainerConfig(image="alpine")))
    assert [warning for warning in created.warnings if "sockerless.agent=off" in warning]
    record: Container = world.ledger.find(created.id).record
    assert not record.agentless
