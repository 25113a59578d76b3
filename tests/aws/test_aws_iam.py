from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sockerless_ecs.aws import operations
from sockerless_ecs.aws.calls import THREADS
from sockerless_ecs.aws.operations import RATES, Operation

POLICIES = Path(__file__).parents[2] / "conf" / "iam"
TABLE = [value for value in vars(operations).values() if isinstance(value, Operation)]
# What the registry's own protocol needs to read and push images; no boto3 call makes these.
OVER_THE_REGISTRY_PROTOCOL = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:BatchImportUpstreamImage",  # what a pull-through cache does not have yet
    "ecr:CompleteLayerUpload",
    "ecr:GetDownloadUrlForLayer",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
}


def actions(policy: str) -> list[str]:
    document: dict[str, Any] = json.loads((POLICIES / policy).read_text())
    assert document["Version"] == "2012-10-17"
    listed: list[str] = []
    for statement in document["Statement"]:
        action = statement["Action"]
        listed += [action] if isinstance(action, str) else action
    return listed


def test_policy_lists_exactly_the_actions_that_the_code_uses() -> None:
    used = {action for operation in TABLE for action in operation.iam} | OVER_THE_REGISTRY_PROTOCOL
    assert set(actions("daemon.json")) == used


def test_secrets_of_others_are_out_of_reach() -> None:
    """The daemon never reads one, and changes only its own; ECS reads what the daemon keeps for it."""
    assert "secretsmanager:GetSecretValue" not in actions("daemon.json")
    for policy in ("daemon.json", "execution-role.json"):
        for statement in json.loads((POLICIES / policy).read_text())["Statement"]:
            if "secretsmanager" in str(statement["Action"]):
                assert statement["Resource"].endswith(":secret:sockerless/*")


def test_no_action_is_listed_twice() -> None:
    listed = actions("daemon.json")
    assert len(listed) == len(set(listed))


def test_every_operation_names_its_own_action() -> None:
    """Only GetCallerIdentity needs no permission."""
    for operation in TABLE:
        names = {action.partition(":")[2] for action in operation.iam}
        assert operation.name in names or operation.name == "GetCallerIdentity"


def test_every_operation_has_a_rate_and_a_client() -> None:
    for operation in TABLE:
        assert operation.bucket in RATES
        assert operation.service in THREADS


def test_only_operations_that_read_may_be_abandoned() -> None:
    for operation in TABLE:
        assert operation.reads_only is operation.name.startswith(("Describe", "Get", "List"))


def test_operation_names_are_boto3_methods() -> None:
    assert operations.DESCRIBE_LOG_GROUPS.method == "describe_log_groups"
    assert operations.RUN_TASK.method == "run_task"


def test_other_policies_are_well_formed() -> None:
    assert {"logs:PutLogEvents", "secretsmanager:GetSecretValue"} <= set(actions("execution-role.json"))
    assert actions("task-trust.json") == ["sts:AssumeRole"]
