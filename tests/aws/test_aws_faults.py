from __future__ import annotations

import botocore.exceptions as boto
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sockerless_ecs.aws.faults import RULES, Again, answer_of, code_of, error, fault
from sockerless_ecs.aws.operations import CREATE_REPOSITORY, DESCRIBE_TASKS, RUN_TASK, Operation
from sockerless_ecs.errors import Conflict, Misconfigured, NotFound, SockerlessError, Unavailable


def refused(code: str, message: str = "because", status: int = 400) -> ClientError:
    answer = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"RequestId": "1f2e-3d4c", "HTTPStatusCode": status},
    }
    return ClientError(answer, "Anything")  # type: ignore[arg-type]  # the stubs want every key


def told(failure: Exception, operation: Operation = DESCRIBE_TASKS, tries: int = 1) -> SockerlessError:
    found = fault(failure)
    ids = (found.request_id,) if found.request_id else ()
    return error(operation, found, request_ids=ids, tries=tries)


MEANINGS: list[tuple[str, type[SockerlessError], Again]] = [
    *(
        (code, Misconfigured, Again.NO)
        for code in (
            "AccessDenied",
            "AccessDeniedException",
            "UnauthorizedOperation",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "AuthFailure",
            "MissingAuthenticationToken",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "RequestExpired",
            "OptInRequired",
            "BlockedException",
            "ClusterNotFoundException",
            "PlatformUnknownException",
            "PlatformTaskDefinitionIncompatibilityException",
            "UnsupportedFeatureException",
            "InvalidParameterException",
            "ClientException",
            "BadRequest",
        )
    ),
    *(
        (code, NotFound, Again.NO)
        for code in (
            "ResourceNotFoundException",
            "RepositoryNotFoundException",
            "FileSystemNotFound",
            "InvalidSubnetID.NotFound",
            "InvalidGroup.NotFound",
        )
    ),
    *(
        (code, Conflict, Again.NO)
        for code in (
            "ConflictException",
            "ResourceAlreadyExistsException",
            "ResourceExistsException",
            "RepositoryAlreadyExistsException",
            "LimitExceededException",
            "ServiceQuotaExceededException",
        )
    ),
    *(
        (code, Unavailable, Again.SLOWER)
        for code in (
            "ThrottlingException",
            "Throttling",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "RequestThrottledException",
        )
    ),
    *(
        (code, Unavailable, Again.MAYBE_DONE)
        for code in (
            "ServerException",
            "InternalServerError",
            "InternalServiceError",
            "InternalError",
            "InternalFailure",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "RequestTimeout",
            "OperationAbortedException",
        )
    ),
]


@pytest.mark.parametrize(("code", "becomes", "again"), MEANINGS)
def test_code_becomes_our_error_and_keeps_operation_words_and_request(
    code: str, becomes: type[SockerlessError], again: Again
) -> None:
    found = fault(refused(code))
    assert found.rule.again is again
    failed = told(refused(code))
    assert type(failed) is becomes
    assert failed.message.startswith(f"ecs: DescribeTasks: {code}: because (request 1f2e-3d4c)")
    assert failed.request_ids == ("1f2e-3d4c",)


WORDS: list[tuple[str, str, type[SockerlessError], str]] = [
    ("InvalidParameterException", "The referenced task was not found.", NotFound, ""),
    ("InvalidParameterException", "TaskDefinition is inactive", NotFound, ""),
    ("ClientException", "TaskDefinition not found.", NotFound, ""),
    ("InvalidRequestException", "You can't … because it was marked for deletion.", Conflict, ""),
    ("InvalidRequestException", "You can't restore a secret that is a replica", Misconfigured, ""),
    (
        "ClientException",
        "You've reached the limit on the number of tasks you can run concurrently",
        Unavailable,
        "service quota 'Fargate On-Demand (or Spot) vCPU resource count' is used up",
    ),
    (
        "LimitExceededException",
        "You've reached the limit on the number of vCPUs you can run concurrently",
        Unavailable,
        "service quota 'Fargate On-Demand (or Spot) vCPU resource count' is used up",
    ),
    (
        "ClientException",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        Unavailable,
        "add subnets in other zones",
    ),
]


@pytest.mark.parametrize(("code", "words", "becomes", "advice"), WORDS)
def test_what_aws_says_only_in_words_is_told_apart(
    code: str, words: str, becomes: type[SockerlessError], advice: str
) -> None:
    failed = told(refused(code, words), RUN_TASK)
    assert type(failed) is becomes
    assert advice in failed.message
    assert fault(refused(code, words)).rule.again is Again.NO


CONNECTION = {"endpoint_url": "http://127.0.0.1:1", "error": "refused"}
OURS: list[tuple[Exception, type[SockerlessError], Again, str]] = [
    (boto.NoCredentialsError(), Misconfigured, Again.NO, "Give the daemon AWS credentials"),
    (
        boto.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        Misconfigured,
        Again.NO,
        "Give the daemon AWS credentials",
    ),
    (
        boto.CredentialRetrievalError(provider="process", error_msg="no"),
        Misconfigured,
        Again.NO,
        "Give the daemon AWS credentials",
    ),
    (boto.ProfileNotFound(profile="p"), Misconfigured, Again.NO, "AWS_PROFILE"),
    (boto.SSOTokenLoadError(error_msg="no"), Misconfigured, Again.NO, "aws sso login"),
    (boto.UnauthorizedSSOTokenError(), Misconfigured, Again.NO, "aws sso login"),
    (boto.TokenRetrievalError(provider="sso", error_msg="no"), Misconfigured, Again.NO, "aws sso login"),
    (boto.NoRegionError(), Misconfigured, Again.NO, ""),
    (
        boto.SSLError(endpoint_url="https://e", error=ValueError("no CA")),
        Misconfigured,
        Again.NO,
        "AWS_CA_BUNDLE",
    ),
    (
        boto.ProxyConnectionError(proxy_url="http://p:1", error="refused"),
        Misconfigured,
        Again.NO,
        "HTTPS_PROXY",
    ),
    (boto.EndpointConnectionError(**CONNECTION), Unavailable, Again.MAYBE_DONE, "endpoint_url"),
    (boto.ConnectTimeoutError(**CONNECTION), Unavailable, Again.MAYBE_DONE, "endpoint_url"),
    (boto.ReadTimeoutError(**CONNECTION), Unavailable, Again.MAYBE_DONE, "endpoint_url"),
    (boto.ConnectionClosedError(**CONNECTION), Unavailable, Again.MAYBE_DONE, "endpoint_url"),
    (boto.HTTPClientError(error="?"), Unavailable, Again.MAYBE_DONE, "endpoint_url"),
    (ResponseParserError("<html>"), Unavailable, Again.MAYBE_DONE, ""),
    (boto.ParamValidationError(report="Missing x"), SockerlessError, Again.NO, "Missing x. This is a defect"),
    (BotoCoreError(), Misconfigured, Again.NO, ""),
]


@pytest.mark.parametrize(
    ("failure", "becomes", "again", "advice"), OURS, ids=[type(row[0]).__name__ for row in OURS]
)
def test_failure_without_an_answer_becomes_our_error_and_says_what_to_do(
    failure: Exception, becomes: type[SockerlessError], again: Again, advice: str
) -> None:
    assert fault(failure).rule.again is again
    failed = told(failure)
    assert type(failed) is becomes
    assert failed.request_ids == ()
    assert failed.message.startswith(f"ecs: DescribeTasks: {type(failure).__name__}: ")
    assert advice in failed.message


@pytest.mark.parametrize(
    ("status", "becomes", "again"),
    [
        (400, Misconfigured, Again.NO),
        (403, Misconfigured, Again.NO),
        (404, NotFound, Again.NO),
        (429, Unavailable, Again.SLOWER),
        (500, Unavailable, Again.MAYBE_DONE),
        (503, Unavailable, Again.MAYBE_DONE),
    ],
)
def test_unknown_code_is_judged_by_its_status(
    status: int, becomes: type[SockerlessError], again: Again
) -> None:
    failure = refused("NeverHeardOf", status=status)
    assert fault(failure).rule.again is again
    assert type(told(failure)) is becomes


def test_quota_is_named() -> None:
    failed = told(refused("LimitExceededException", "too many"), CREATE_REPOSITORY)
    assert failed.message == (
        "ecr: CreateRepository: LimitExceededException: too many (request 1f2e-3d4c). "
        "The service quota 'Registered repositories' is used up: free some or have it raised"
    )


def test_number_of_tries_is_told() -> None:
    assert "(request 1f2e-3d4c, after 3 tries)" in told(refused("ServerException"), tries=3).message


def test_answer_behind_an_error_can_be_asked_for() -> None:
    failure = refused("ConflictException")
    with pytest.raises(Conflict) as caught:
        raise told(failure) from failure
    assert code_of(caught.value) == "ConflictException"
    assert answer_of(caught.value)["Error"]["Message"] == "because"
    assert code_of(Conflict("of our own")) == ""


def test_no_rule_is_hidden_by_an_earlier_one() -> None:
    seen: set[str] = set()
    for rule in RULES:
        assert rule.code not in seen, rule
        if not rule.text:
            seen.add(rule.code)
