"""Answers and errors as the bytes that each AWS protocol has for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

import msgspec

from sockerless_ecs.sandbox.wire.call import AwsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


_JSON = "application/x-amz-json-1.1"


def success(result: Mapping[str, Any], request_id: str) -> Answer:
    """An AWS JSON 1.1 answer."""
    headers = {"Content-Type": _JSON, "x-amzn-RequestId": request_id}
    return Answer(headers=headers, body=msgspec.json.encode(result))


def failure(protocol: str, error: AwsError, request_id: str) -> Answer:
    """An error in the shape of its service's protocol, so that botocore reads code and message out of it."""
    headers = {"x-amzn-RequestId": request_id}
    match protocol:
        case "ec2":
            headers["Content-Type"] = "text/xml;charset=UTF-8"
            body = (
                f"<Response><Errors><Error><Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
                f"</Error></Errors><RequestID>{request_id}</RequestID></Response>"
            ).encode()
        case "query":
            headers["Content-Type"] = "text/xml"
            body = (
                f"<ErrorResponse><Error><Type>Sender</Type><Code>{escape(error.code)}</Code>"
                f"<Message>{escape(error.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
            ).encode()
        case "rest-json":
            headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
            body = msgspec.json.encode({"ErrorCode": error.code, "Message": error.message} | error.members)
        case _:
            headers["Content-Type"] = _JSON
            body = msgspec.json.encode({"__type": error.code, "message": error.message} | error.members)
    return Answer(status=error.status, headers=headers, body=body)


def plain(value: object, status: int = 200) -> Answer:
    """A JSON answer of the sandbox's own routes."""
    return Answer(
        status=status, headers={"Content-Type": "application/json"}, body=msgspec.json.encode(value)
    )
