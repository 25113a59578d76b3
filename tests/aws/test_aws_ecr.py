from __future__ import annotations

import base64
import json

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


async def test_login_that_was_refused_is_asked_for_anew_and_only_that(calls: Calls, aws: ScriptedAws) -> None:
    """Many requests may be refused at once for the same old login: one question answers them all."""
    aws.answer("GetAuthorizationToken", login("one", 12 * HOUR), login("two", 12 * HOUR))
    ecr = Ecr(calls, clock=lambda: 0.0)
    old = await ecr.authorization()
    assert old.basic == "Basic " + base64.b64encode(b"AWS:one").decode()
    assert (await ecr.authorization("Basic somebody else's")).password == "one"
    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ecr.authorization, old.basic)
    assert (await ecr.authorization()).password == "two"
    assert len(aws.requests) == 2


@pytest.mark.parametrize(
    ("host", "serves"),
    [
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com", True),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", True),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", True),
        ("123456789012.dkr-ecr.us-west-2.on.aws", True),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com.evil.example", False),
        ("evil.example", False),
        ("public.ecr.aws", False),
        ("docker.io", False),
    ],
)
async def test_ecr_s_own_hosts_are_known_by_their_names(calls: Calls, host: str, serves: bool) -> None:
    """A login goes to no other: whoever gets it can push."""
    assert Ecr(calls).serves(host) is serves


async def test_a_host_that_ecr_itself_names_is_one_too(calls: Calls, aws: ScriptedAws) -> None:
    aws.answer("DescribeRepositories", Ok({"repositories": [{"repositoryUri": "127.0.0.1:5000/xx"}]}))
    ecr = Ecr(calls)
    assert not ecr.serves("127.0.0.1:5000")
    await ecr.ensure_repository("xx", {})
    assert ecr.serves("127.0.0.1:5000")


async def test_repository_is_made_with_its_settings_and_its_policy_is_set_once(
    calls: Calls, aws: ScriptedAws
) -> None:
    found = Ok({"repositories": [{"repositoryUri": "registry/xx"}]})
    aws.answer("DescribeRepositories", Fail("RepositoryNotFoundException"), found)
    aws.answer("CreateRepository", Ok({"repository": {"repositoryUri": "registry/xx"}}))
    aws.answer("PutLifecyclePolicy", Ok({}))
    ecr = Ecr(calls)
    for _ in range(2):
        assert await ecr.ensure_repository("xx", {}, scan_on_push=True, expire_days=30) == "registry/xx"
    [made], [policy] = aws.params("CreateRepository"), aws.params("PutLifecyclePolicy")
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    [rule] = json.loads(policy["lifecyclePolicyText"])["rules"]
    assert rule["selection"] == {
        "tagStatus": "any",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 30,
    }


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
