"""Which secret Fargate pulls with, and what to check when it could not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from sockerless_ecs.errors import Unavailable
from sockerless_ecs.model.beginnings import Beginnings
from sockerless_ecs.model.image import Image, ImageRef
from sockerless_ecs.model.reference import parse
from sockerless_ecs.model.task import ContainerSnapshot
from sockerless_ecs.model.taskdef import INIT_CONTAINER
from sockerless_ecs.services.pull_secrets import PullSecrets
from tests.services.world import IMAGE, Outside, World, daemon

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret"
HUB, TEAM, TOOL = f"{ARN}:hub-abcdef", f"{ARN}:team-abcdef", f"{ARN}:tool-abcdef"
ECR = "registry.example"
PULL = "CannotPullContainerError: pull access denied."
AUTH = "ResourceInitializationError: unable to pull secrets or registry auth"


def secrets(*, keeps_logins: bool = False) -> PullSecrets:
    named = {"docker.io": HUB, "ghcr.io/team": TEAM, "ghcr.io/team/tool/": TOOL, ECR: HUB}
    return PullSecrets(named, keeps_logins=keeps_logins, is_ecr=lambda registry: registry == ECR)


def image(name: str, *, repository: str = "", credentials_arn: str = "") -> Image:
    ref = ImageRef(f"{name}:1")
    return replace(IMAGE, ref=ref, repository=repository, credentials_arn=credentials_arn)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("docker.io/library/alpine", HUB),
        ("docker.io/me/app", HUB),
        ("ghcr.io/team/app", TEAM),
        ("ghcr.io/team/tool", TOOL),
        ("ghcr.io/team/tool/part", TOOL),
        ("ghcr.io/team/toolbox", TEAM),
        ("ghcr.io/teams/app", ""),
        ("quay.io/x/y", ""),
        (f"{ECR}/loaded", ""),
    ],
)
def test_longest_beginning_decides_and_ecr_needs_none(name: str, secret: str) -> None:
    assert secrets().of(image(name)) == secret


def test_where_an_image_really_is_counts_not_its_name() -> None:
    assert secrets().of(image("quay.io/x/y", repository="ghcr.io/team/mirror")) == TEAM
    assert secrets().of(image("docker.io/library/alpine", repository=f"{ECR}/hub/alpine")) == ""


def test_secret_that_was_kept_gives_way_to_the_configured_one() -> None:
    kept = f"{ARN}:sockerless/i/r/1-abcdef"
    assert secrets().of(image("quay.io/x/y", credentials_arn=kept)) == kept
    assert secrets().of(image("ghcr.io/team/app", credentials_arn=kept)) == TEAM


@pytest.mark.parametrize(
    ("name", "keeps"), [("quay.io/x/y", True), ("ghcr.io/team/app", False), (f"{ECR}/loaded", False)]
)
def test_logins_are_kept_where_no_other_way_in_is_known(name: str, *, keeps: bool) -> None:
    assert secrets(keeps_logins=True).keeps(parse(name)) is keeps
    assert not secrets().keeps(parse(name))


def test_no_beginning_fits_when_there_is_none() -> None:
    assert Beginnings({}).longest("docker.io/library/alpine") is None


KEPT_OR_NAMED = (
    r"pull access denied\. If docker\.io wants a login for this image: name a secret that has one in "
    r"images\.secrets, or set images\.keep_credentials and pull it with that login$"
)
ADVICE: dict[str, tuple[dict[str, Any], str]] = {
    "no secret": ({}, KEPT_OR_NAMED),
    "logins are kept": ({"keeps_logins": True}, r"images\.secrets, or pull it with that login$"),
    "a secret": (
        {"named_secrets": {"docker.io": HUB}},
        rf"Check that the secret {HUB} has a username and password that docker\.io takes, and that ",
    ),
    "ECR": (
        {"pulling": {"sources": {"docker.io": ECR}}},
        rf"Check that the execution role may pull from {ECR}$",
    ),
}


@pytest.mark.parametrize(("settings", "advice"), ADVICE.values(), ids=ADVICE.keys())
@pytest.mark.parametrize("label", ["on", "off"])
@pytest.mark.parametrize("reason", [PULL, f"{AUTH}: pull access denied"])
async def test_start_that_fails_at_the_image_says_what_to_check(
    autojump_clock: MockClock, settings: dict[str, Any], advice: str, label: str, reason: str
) -> None:
    async with daemon(Outside(**settings)) as world:
        async with world.images.pull("alpine", None) as progress:
            _ = [line async for line in progress]
        live = await world.create(labels={"sockerless.agent": label})
        world.ecs.addressed = False
        world.jobs.start_soon(stop, world, reason, "")
        with pytest.raises(Unavailable, match=advice):
            await world.containers.start(live.id)


@pytest.mark.parametrize(("reason", "init"), [("Task failed to start", ""), (PULL, "CannotPull")])
async def test_other_failures_have_no_such_advice(
    world: World, autojump_clock: MockClock, reason: str, init: str
) -> None:
    """Neither what has nothing to do with images, nor the agent's own image."""
    live = await world.create()
    world.ecs.addressed = False
    world.jobs.start_soon(stop, world, reason, init)
    with pytest.raises(Unavailable) as caught:
        await world.containers.start(live.id)
    assert "images.secrets" not in caught.value.message


async def stop(world: World, reason: str, init: str) -> None:
    """The task stops, for a reason of the task and perhaps of the container with the agent."""
    await trio.sleep(5)
    world.ecs.stops(world.ecs.arn, reason=reason)
    if init:
        task = world.ecs.tasks[world.ecs.arn]
        failed = ContainerSnapshot(name=INIT_CONTAINER, last_status="STOPPED", reason=init)
        world.ecs.change(world.ecs.arn, containers=(*task.containers, failed))
