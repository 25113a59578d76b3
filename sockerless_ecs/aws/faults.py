"""What AWS's failures mean: one table from error codes to our errors, and whether to try again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from sockerless_ecs.aws.operations import Operation
from sockerless_ecs.errors import Conflict, Misconfigured, NotFound, SockerlessError, Unavailable

FAILURES = (BotoCoreError, ClientError, ResponseParserError)
"""Everything that a botocore call raises when it fails."""


class Again(Enum):
    """Whether a call that failed is worth another try."""

    NO = "no"
    SLOWER = "slower"
    """It was refused for coming too fast: nothing happened."""
    MAYBE_DONE = "maybe done"
    """The answer was lost or the service faltered: it may have happened."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one code becomes; with `text`, only if the message contains it."""

    code: str
    becomes: type[SockerlessError]
    again: Again = Again.NO
    advice: str = ""
    text: str = ""
    quota: bool = False
    """Whether the operation's service quota is what refused it."""


_PERMIT = "Allow it in the daemon's IAM policy (conf/iam/daemon.json lists every action it needs)"
_CREDENTIALS = (
    "Give the daemon AWS credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, "
    "~/.aws/credentials, or the role of its instance or task; then restart it"
)
_RENEW = (
    "The AWS credentials are not valid any more: renew them (for a profile: `aws sso login` or `aws login`); "
    "keys given by environment variables need a restart of the daemon"
)
_CLOCK = "Check the secret access key and the clock of this machine"
_REACH = "Check the region, `endpoint_url`, DNS, the network and proxies between the daemon and AWS"
_SLOWER = "AWS throttles this account: another client may spend the same rate; try again later"


# Rule 1: the first match wins. Rule 2: a code that is not here is judged by its HTTP status.
RULES: tuple[Rule, ...] = (
    # Not there, in words only.
    Rule("InvalidParameterException", NotFound, text="task was not found"),
    Rule("InvalidParameterException", NotFound, text="TaskDefinition is inactive"),
    Rule("ClientException", NotFound, text="TaskDefinition not found"),
    # A secret that is on its way out, in words only.
    *(
        Rule("InvalidRequestException", Conflict, text=text)
        for text in ("scheduled for deletion", "marked for deletion", "marked deleted")
    ),
    # Capacity and quotas, in words only.
    *(
        Rule(code, Unavailable, text="reached the limit on the number of", quota=True)
        for code in ("ClientException", "LimitExceededException", "ThrottlingException")
    ),
    *(
        Rule(
            code,
            Unavailable,
            text="Capacity is unavailable",
            advice="Fargate has no room now: try later, add subnets in other zones, or use a smaller task",
        )
        for code in ("ClientException", "ServerException", "InvalidParameterException")
    ),
    # The daemon's rights and credentials.
    *(
        Rule(code, Misconfigured, advice=_PERMIT)
        for code in ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation", "NotAuthorized")
    ),
    *(
        Rule(code, Misconfigured, advice=_CREDENTIALS)
        for code in (
            "NoCredentialsError",
            "PartialCredentialsError",
            "CredentialRetrievalError",
            "NoAuthTokenError",
            "ProfileNotFound",
            "ConfigNotFound",
            "ConfigParseError",
            "MetadataRetrievalError",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "UnrecognizedClientException",
            "InvalidClientTokenId",
            "InvalidAccessKeyId",
            "AuthFailure",
        )
    ),
    *(
        Rule(code, Misconfigured, advice=_RENEW)
        for code in (
            "ExpiredToken",
            "ExpiredTokenException",
            "TokenRefreshRequired",
            "TokenRetrievalError",
            "SSOError",
            "SSOTokenLoadError",
            "UnauthorizedSSOTokenError",
            "LoginError",
            "LoginRefreshRequired",
            "RefreshWithMFAUnsupportedError",
        )
    ),
    *(
        Rule(code, Misconfigured, advice=_CLOCK)
        for code in (
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "RequestExpired",
            "RequestTimeTooSkewed",
        )
    ),
    *(
        Rule(code, Misconfigured, advice="Activate the AWS account and the service for this region")
        for code in ("OptInRequired", "SubscriptionRequiredException", "BlockedException")
    ),
    # The set-up that the configuration names.
    Rule(
        "ClusterNotFoundException",
        Misconfigured,
        advice="Create the cluster in this region, or correct ecs.cluster",
    ),
    *(
        Rule(code, Misconfigured)
        for code in (
            "PlatformUnknownException",
            "PlatformTaskDefinitionIncompatibilityException",
            "UnsupportedFeatureException",
            "InvalidParameterException",
            "InvalidParameterValue",
            "InvalidParameter",
            "ClientException",
            "BadRequest",
            "ValidationException",
            "ValidationError",
            "InvalidSubnetID.Malformed",
            "InvalidGroupId.Malformed",
            "InvalidTagParameterException",
            "TooManyTagsException",
            "KmsException",
            "NoRegionError",
            "InvalidRegionError",
            "UnknownEndpointError",
            "EndpointProviderError",
            "EndpointResolutionError",
            "ValueError",
        )
    ),
    Rule(
        "SSLError",
        Misconfigured,
        advice="Check the CA bundle (AWS_CA_BUNDLE) and any proxy that intercepts TLS",
    ),
    Rule("ProxyConnectionError", Misconfigured, advice="Check HTTPS_PROXY and NO_PROXY"),
    # What is or is not there.
    *(
        Rule(code, NotFound)
        for code in (
            "ResourceNotFoundException",
            "RepositoryNotFoundException",
            "FileSystemNotFound",
            "InvalidSubnetID.NotFound",
            "InvalidGroup.NotFound",
            "InvalidGroupId.NotFound",
        )
    ),
    *(
        Rule(code, Conflict)
        for code in (
            "ConflictException",
            "ResourceAlreadyExistsException",
            "ResourceExistsException",
            "RepositoryAlreadyExistsException",
            "ResourceInUseException",
        )
    ),
    # Quotas.
    *(
        Rule(code, Conflict, quota=True)
        for code in ("LimitExceededException", "ServiceQuotaExceededException", "ResourceLimitExceeded")
    ),
    # Too fast.
    *(
        Rule(code, Unavailable, Again.SLOWER, _SLOWER)
        for code in (
            "ThrottlingException",
            "Throttling",
            "ThrottledException",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestLimitExceeded",
            "TooManyRequestsException",
            "EC2ThrottledException",
            "PriorRequestNotComplete",
            "SlowDown",
        )
    ),
    # AWS falters, or cannot be reached.
    *(
        Rule(code, Unavailable, Again.MAYBE_DONE)
        for code in (
            "ServerException",
            "InternalServerError",
            "InternalServerException",
            "InternalServiceError",
            "InternalError",
            "InternalFailure",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "Unavailable",
            "RequestTimeout",
            "RequestTimeoutException",
            "OperationAbortedException",
            "ResponseParserError",
        )
    ),
    *(
        Rule(code, Unavailable, Again.MAYBE_DONE, _REACH)
        for code in (
            "EndpointConnectionError",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "ConnectionClosedError",
            "ConnectionError",
            "ResponseStreamingError",
            "IncompleteReadError",
            "HTTPClientError",
        )
    ),
    # Ours.
    *(
        Rule(code, SockerlessError, advice="This is a defect of sockerless; please report it")
        for code in ("ParamValidationError", "UnknownParameterError", "MissingParametersError")
    ),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed try, judged."""

    code: str
    text: str
    request_id: str
    rule: Rule


def fault(failure: Exception) -> Fault:
    """Judge one failure of a botocore call (one of `FAILURES`)."""
    if not isinstance(failure, ClientError):
        names = [kind.__name__ for kind in type(failure).__mro__]
        return Fault(names[0], str(failure), "", _rule(names, str(failure), 0))
    error = failure.response.get("Error", {})
    code, text = error.get("Code", "Unknown"), error.get("Message", "") or ""
    status = failure.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return Fault(code, text, request_id(failure.response), _rule([code], text, status))


def error(operation: Operation, found: Fault, *, request_ids: tuple[str, ...], tries: int) -> SockerlessError:
    """The failure as it is told to people: operation, code, AWS's words, the request, and what to do."""
    words = " ".join(found.text.split()).rstrip(".")
    note = ", ".join(
        part
        for part in (
            f"request {found.request_id}" if found.request_id else "",
            f"after {tries} tries" if tries > 1 else "",
        )
        if part
    )
    advice = found.rule.advice
    if found.rule.quota:
        advice = (
            f"The service quota '{operation.quota or operation.name}' is used up: free some or have it raised"
        )
    message = f"{operation}: {found.code}: {words}" if words else f"{operation}: {found.code}"
    message += f" ({note})" if note else ""
    message += f". {advice}" if advice else ""
    return found.rule.becomes(message, request_ids=request_ids)


def request_id(response: Mapping[str, Any]) -> str:
    """The id AWS gave the request, if it answered."""
    metadata = response.get("ResponseMetadata", {})
    headers = metadata.get("HTTPHeaders", {})
    return str(metadata.get("RequestId") or headers.get("x-amzn-requestid") or "")


def code_of(failed: SockerlessError) -> str:
    """AWS's code behind one of our errors; empty when AWS did not answer."""
    return str(answer_of(failed).get("Error", {}).get("Code", ""))


def answer_of(failed: SockerlessError) -> Mapping[str, Any]:
    """AWS's answer behind one of our errors; empty when there was none."""
    cause = failed.__cause__
    return cause.response if isinstance(cause, ClientError) else {}


def _rule(names: list[str], text: str, status: int) -> Rule:
    for name in names:
        for rule in RULES:
            if rule.code == name and rule.text in text:
                return rule
    return _by_status(names[0], status)


def _by_status(code: str, status: int) -> Rule:
    match status:
        case 429:
            return Rule(code, Unavailable, Again.SLOWER, _SLOWER)
        case 401 | 403:
            return Rule(code, Misconfigured, advice=_PERMIT)
        case 404:
            return Rule(code, NotFound)
        case _ if status >= 500:  # noqa: PLR2004 -- HTTP's own border
            return Rule(code, Unavailable, Again.MAYBE_DONE)
        case _:
            return Rule(code, Misconfigured)
