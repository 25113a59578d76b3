from __future__ import annotations

import pytest

from sockerless_ecs.aws.calls import connect
from sockerless_ecs.aws.checks import CloudSetup, problems
from tests.aws.conftest import QUICK

SETUP = CloudSetup(
    cluster="c",
    subnets=["subnet-1"],
    security_groups=["sg-1"],
    agent_port=9111,
    log_group="/g",
    log_retention_days=7,
    efs_filesystem_id="fs-1",
)


async def test_missing_credentials_are_one_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    calls = await connect("us-east-1", "http://127.0.0.1:1", patience=QUICK)
    [problem] = await problems(calls, SETUP)
    assert problem.startswith(
        "sts: GetCallerIdentity: NoCredentialsError: Unable to locate credentials. Give"
    )
    calls.close()


async def test_aws_out_of_reach_is_a_problem_of_each_check_and_not_a_failure() -> None:
    calls = await connect("us-east-1", "http://127.0.0.1:1", patience=QUICK)
    found = await problems(calls, SETUP)
    assert len(found) == 4
    assert all(problem.startswith("Could not be checked: ") for problem in found)
    calls.close()
