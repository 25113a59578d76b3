"""What a launch asks for: of ECS a place, of the agent a process; and the definitions behind it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from sockerless_ecs.errors import InvalidParameter, StoreUnusable, Unavailable
from sockerless_ecs.model.cleanup import KnownDefinition
from sockerless_ecs.model.container import Container, RunId
from sockerless_ecs.services.requests import names, new_task, start_request
from tests.services.world import PLACE, World
from tests.store.records import CONTAINER

RUN = RunId("r" * 32)


def labelled(labels: dict[str, str], *, auto_remove: bool = False) -> Container:
    return replace(
        CONTAINER,
        config=replace(CONTAINER.config, labels=labels),
        host=replace(CONTAINER.host, auto_remove=auto_remove, memory_bytes=0),
    )


def test_every_task_has_secrets_of_its_own() -> None:
    one, two = (new_task(labelled({}), PLACE) for _ in range(2))
    assert one.agent_token != two.agent_token
    assert one.request.client_token != two.request.client_token
    assert one.request.environment == {
        "SOCKERLESS_AGENT_TOKEN": one.agent_token,
        "SOCKERLESS_LAUNCH": one.request.client_token,
    }
    assert one.request.tags == {
        "team": "x",
        "sockerless.container": CONTAINER.id,
        "sockerless.name": "web",
    }
    assert (one.arn, one.run_sent) == (None, False)


def test_neither_command_nor_environment_is_in_what_aws_sees() -> None:
    config = replace(labelled({}).config, cmd=("secret-word",), env=("PASSWORD=secret-value",))
    seen = repr(new_task(replace(labelled({}), config=config), PLACE))
    assert "secret-" not in seen


def test_process_is_what_the_container_says() -> None:
    request = start_request(CONTAINER, RUN, PLACE)
    assert (request.run, request.argv, request.cwd, request.user) == (
        RUN,
        ("sh", "-c", "exit 7"),
        "/w",
        "1000:1000",
    )
    assert request.env == (*CONTAINER.config.env, "HOSTNAME=h")
    assert (request.no_new_privs, request.stop_signal, request.groups) == (True, "SIGINT", ("7",))


def test_hostname_of_one_s_own_in_the_environment_stays() -> None:
    own = replace(CONTAINER, config=replace(CONTAINER.config, env=("HOSTNAME=mine",)))
    assert start_request(own, RUN, PLACE).env == ("HOSTNAME=mine",)


@pytest.mark.parametrize(
    ("labels", "auto_remove", "seconds"),
    [
        ({}, False, 30),
        ({}, True, 0),
        ({"sockerless.linger": "7"}, True, 7),
        ({"sockerless.linger": "0"}, False, 0),
        ({"sockerless.linger": "soon"}, False, 30),
        ({"sockerless.linger": "-1"}, False, 30),
    ],
)
def test_how_long_a_task_lingers(labels: dict[str, str], auto_remove: bool, seconds: int) -> None:
    record = labelled(labels, auto_remove=auto_remove)
    assert start_request(record, RUN, PLACE).linger_seconds == seconds


def test_names_are_the_host_name_and_the_extra_hosts() -> None:
    host = replace(CONTAINER.host, extra_hosts=("db:10.0.0.1", "six:2001:db8::1"))
    found = names(replace(CONTAINER, host=host), "10.0.0.7")
    assert (found.hostname, found.address) == ("h", "10.0.0.7")
    assert found.extra_hosts == (("db", "10.0.0.1"), ("six", "2001:db8::1"))


async def test_architecture_that_fargate_lacks_is_refused(world: World) -> None:
    with pytest.raises(InvalidParameter, match="not riscv64"):
        await world.definitions.ensure("i", "riscv64")


async def test_definition_that_could_not_be_stored_is_found_in_ecs_the_next_time(world: World) -> None:
    world.store.refuse = lambda _: True
    with pytest.raises(StoreUnusable):
        await world.definitions.ensure("i", "amd64")
    world.store.refuse = lambda _: False
    arn = await world.definitions.ensure("i", "amd64")
    assert len(world.ecs.registered) == 1
    [known] = (await world.store.load()).definitions.values()
    assert known == KnownDefinition(hash=world.ecs.registered[0].hash, arn=arn)


async def test_who_waits_for_a_registration_that_fails_tries_for_itself(world: World) -> None:
    world.ecs.faults["register_task_definition"].append(Unavailable("throttled"))
    failures = 0

    async def ensure() -> None:
        nonlocal failures
        try:
            await world.definitions.ensure("i", "arm64")
        except Unavailable:
            failures += 1

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ensure)
    assert (failures, len(world.ecs.registered)) == (1, 1)


async def test_renewed_definition_is_forgotten_everywhere(world: World) -> None:
    arn = await world.definitions.ensure("i", "amd64")
    await world.definitions.renew(arn)
    assert (world.ledger.definitions, (await world.store.load()).definitions) == ({}, {})
