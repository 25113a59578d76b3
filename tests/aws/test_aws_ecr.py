from __future__ import annotations

import base64

import pytest
import trio

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.ecr import Ecr
from sockerless_ecs.errors import Conflict
from tests.aws.scripted_aws import Fail, Ok, ScriptedAws

HOUR = 3600.0


def login(password: str, expires: float) -> Ok:
    token = base64.b64encode(f"AWS:{password}".encode()).decode()
    data = {"authorizationToken": token, "expiresAt": expires, "proxyEndpoint": "https://registry"}
    return Ok({"authorizationData": [data]})


async def test_login_is_kept_until_nine_tenths_of_it_are_gone(calls: Calls, aws: ScriptedAws) -> None:
    aws.answer("GetAuthorizationToken", login("one", 12 * HOUR), login("two", 24 * HOUR))
    now = 0.0
    ecr = Ecr(calls, clock=lambda: now)
    assert (await ecr.authorization()).password == "one"
    now = 10 * HOUR
    assert (await ecr.authorization()).password == "one"
    now = 11 * HOUR
    assert (await ecr.authorization()).password == "two"
    assert len(aws.requests) == 2


async def test_many_who_need_a_login_ask_once(calls: Calls, aws: ScriptedAws) -> None:
    aws.answer("GetAuthorizationToken", login("one", 12 * HOUR))
    ecr = Ecr(calls, clock=lambda: 0.0)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(ecr.authorization)
    assert len(aws.requests) == 1


async def test_repository_that_another_daemon_made_meanwhile_is_adopted(
    calls: Calls, aws: ScriptedAws
) -> None:
    found = Ok({"repositories": [{"repositoryUri": "registry/agent"}]})
    aws.answer("DescribeRepositories", Fail("RepositoryNotFoundException"), found)
    aws.answer("CreateRepository", Fail("RepositoryAlreadyExistsException"))
    assert await Ecr(calls).ensure_repository("agent", {}) == "registry/agent"


async def test_repository_beyond_the_quota_is_a_conflict(calls: Calls, aws: ScriptedAws) -> None:
    aws.answer("DescribeRepositories", Fail("RepositoryNotFoundException"))
    aws.answer("CreateRepository", Fail("LimitExceededException", "too many"))
    with pytest.raises(Conflict, match="quota 'Registered repositories'"):
        await Ecr(calls).ensure_repository("agent", {})
