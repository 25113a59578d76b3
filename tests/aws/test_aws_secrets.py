"""Secrets Manager: one secret for each name, whatever became of the one before."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from sockerless_ecs.aws import Secrets
from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.errors import Conflict, Misconfigured, SockerlessError, Unavailable
from tests.aws.scripted_aws import Answer, Drop, Fail, Ok, ScriptedAws
from tests.services.fakes import FakeSecrets

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:sockerless/i/r/1-abcdef"
MADE = Ok({"ARN": ARN, "Name": "sockerless/i/r/1"})
EXISTS = Fail("ResourceExistsException", "The operation failed because the secret already exists.")
SCHEDULED = Fail(
    "InvalidRequestException",
    "You can't create this secret because a secret with this name is already scheduled for deletion.",
)
MARKED = Fail(
    "InvalidRequestException",
    "You can't perform this operation on the secret because it was marked for deletion.",
)
GONE = Fail("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


@pytest.fixture(params=["moto", "fake"])
def kept(request: pytest.FixtureRequest, moto: Calls) -> Secrets:
    """The real thing and its stand-in promise the same."""
    return FakeSecrets() if request.param == "fake" else Secrets(moto)


@pytest.fixture
def secrets(calls: Calls) -> Secrets:
    """Over an AWS that follows a script."""
    return Secrets(calls, pauses_seconds=(0.001, 0.001))


async def keep(secrets: Secrets, name: str = "sockerless/i/r/1", value: str = "hush") -> str:
    return await secrets.keep(name, value, description="why", tags={"owner": "me", "bad": "{}"})


async def test_secret_keeps_its_arn_when_its_value_changes(kept: Secrets) -> None:
    assert await kept.find("sockerless/i/contract/1") is None
    arn = await keep(kept, "sockerless/i/contract/1")
    assert arn.partition(":secret:sockerless/i/contract/1-")[0].startswith("arn:aws:secretsmanager:")
    assert await keep(kept, "sockerless/i/contract/1", "changed") == arn
    assert await kept.find("sockerless/i/contract/1") == arn


async def test_secret_that_was_deleted_is_made_anew_and_one_that_is_gone_can_be_deleted(
    kept: Secrets,
) -> None:
    first = await keep(kept, "sockerless/i/contract/2")
    for _ in range(2):
        await kept.delete("sockerless/i/contract/2")
    assert await kept.find("sockerless/i/contract/2") is None
    second = await keep(kept, "sockerless/i/contract/2")
    assert second != first
    assert second.rpartition("-")[0] == first.rpartition("-")[0]


async def test_secret_holds_the_value_and_says_whose_it_is(moto: Calls, moto_url: str) -> None:
    secrets = Secrets(moto)
    client: Any = boto3.client("secretsmanager", region_name="us-east-1", endpoint_url=moto_url)
    arn = await keep(secrets, "sockerless/i/held/1")
    await keep(secrets, "sockerless/i/held/1", "changed")
    assert client.get_secret_value(SecretId=arn)["SecretString"] == "changed"
    told = client.describe_secret(SecretId=arn)
    assert (told["Tags"], told["Description"]) == ([{"Key": "owner", "Value": "me"}], "why")


async def test_secret_that_somebody_scheduled_for_deletion_is_not_found_and_can_go_at_once(
    moto: Calls, moto_url: str
) -> None:
    secrets = Secrets(moto)
    client: Any = boto3.client("secretsmanager", region_name="us-east-1", endpoint_url=moto_url)
    arn = await keep(secrets, "sockerless/i/scheduled/1")
    client.delete_secret(SecretId=arn)
    assert await secrets.find("sockerless/i/scheduled/1") is None
    await secrets.delete("sockerless/i/scheduled/1")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.describe_secret(SecretId=arn)


SEQUENCES: dict[str, tuple[dict[str, list[Answer]], list[str]]] = {
    "it exists": (
        {"CreateSecret": [EXISTS], "PutSecretValue": [MADE]},
        ["CreateSecret", "PutSecretValue"],
    ),
    "it is scheduled for deletion": (
        {"CreateSecret": [SCHEDULED], "PutSecretValue": [MARKED, MADE], "RestoreSecret": [MADE]},
        ["CreateSecret", "PutSecretValue", "RestoreSecret", "PutSecretValue"],
    ),
    "it is being deleted and then gone": (
        {
            "CreateSecret": [SCHEDULED, SCHEDULED, MADE],
            "PutSecretValue": [MARKED, GONE],
            "RestoreSecret": [GONE],
        },
        ["CreateSecret", "PutSecretValue", "RestoreSecret", "CreateSecret", "PutSecretValue", "CreateSecret"],
    ),
    "the first answer was lost": (
        {"CreateSecret": [Drop(), MADE]},
        ["CreateSecret", "CreateSecret"],
    ),
}


@pytest.mark.parametrize(("script", "calls_made"), SEQUENCES.values(), ids=SEQUENCES.keys())
async def test_name_that_was_used_before_is_used_again(
    secrets: Secrets, aws: ScriptedAws, script: dict[str, list[Answer]], calls_made: list[str]
) -> None:
    for operation, answers in script.items():
        aws.answer(operation, *answers)
    assert await keep(secrets) == ARN
    assert [operation for operation, _ in aws.requests] == calls_made
    tokens = {params["ClientRequestToken"] for _, params in aws.requests if "ClientRequestToken" in params}
    assert len(tokens) == 1


async def test_secret_that_is_being_deleted_for_too_long_says_to_try_again(
    secrets: Secrets, aws: ScriptedAws
) -> None:
    aws.answer("CreateSecret", SCHEDULED)
    aws.answer("PutSecretValue", MARKED)
    aws.answer("RestoreSecret", MARKED)
    with pytest.raises(Unavailable, match="still being deleted: try again in a minute") as caught:
        await keep(secrets)
    assert caught.value.request_ids
    assert len(aws.params("CreateSecret")) == 3


@pytest.mark.parametrize(
    ("script", "becomes", "words"),
    [
        ({"CreateSecret": [Fail("AccessDeniedException")]}, Misconfigured, "conf/iam/daemon.json"),
        ({"CreateSecret": [Fail("ThrottlingException")]}, Unavailable, "AWS throttles"),
        ({"CreateSecret": [Fail("LimitExceededException")]}, Conflict, "quota 'Secrets count'"),
        ({"CreateSecret": [Fail("EncryptionFailure")]}, Misconfigured, "EncryptionFailure"),
        ({"CreateSecret": [Fail("InternalServiceError", status=500)]}, Unavailable, "InternalServiceError"),
        (
            {"CreateSecret": [EXISTS], "PutSecretValue": [Fail("LimitExceededException")]},
            Conflict,
            "quota 'Secret versions",
        ),
    ],
)
async def test_refusal_is_told_without_the_value(
    secrets: Secrets,
    aws: ScriptedAws,
    script: dict[str, list[Answer]],
    becomes: type[SockerlessError],
    words: str,
) -> None:
    for operation, answers in script.items():
        aws.answer(operation, *answers)
    with pytest.raises(becomes, match=words) as caught:
        await keep(secrets, value="hush-hush")
    assert "hush-hush" not in str(caught.value)


async def test_secret_that_is_gone_is_deleted_already(secrets: Secrets, aws: ScriptedAws) -> None:
    aws.answer("DeleteSecret", GONE)
    await secrets.delete("sockerless/i/r/1")
    assert aws.params("DeleteSecret") == [
        {"SecretId": "sockerless/i/r/1", "ForceDeleteWithoutRecovery": True}
    ]
