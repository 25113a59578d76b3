"""The walk over botocore's shapes: what fits passes, what does not is named."""

from __future__ import annotations

from typing import Any

import pytest

from sockerless_ecs.sandbox.wire.call import Call
from sockerless_ecs.sandbox.wire.models import Models
from sockerless_ecs.sandbox.wire.reading import Unreadable, read_call
from sockerless_ecs.sandbox.wire.shapes import violations


@pytest.fixture(scope="module")
def models() -> Models:
    return Models()


def complaints(models: Models, service: str, operation: str, params: Any) -> list[str]:
    return list(violations(models.operation(service, operation).input_shape, params))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("service", "operation", "params", "words"),
    [
        ("ecs", "RunTask", {}, "Value null at 'taskDefinition'"),
        ("ecs", "RunTask", {"taskDefinition": 1}, "must be a string, not int"),
        ("ecs", "RunTask", {"taskDefinition": "x", "count": True}, "must be an integer, not bool"),
        ("ecs", "RunTask", {"taskDefinition": "x", "colour": "red"}, "Unknown member 'colour'"),
        ("ecs", "RunTask", {"taskDefinition": "x", "tags": {}}, "must be a list, not dict"),
        ("ecs", "RunTask", {"taskDefinition": "x", "overrides": []}, "must be a structure, not list"),
        (
            "ecs",
            "RunTask",
            {"taskDefinition": "x", "enableExecuteCommand": "yes"},
            "must be a boolean, not str",
        ),
        (
            "ecs",
            "RunTask",
            {"taskDefinition": "x", "launchType": "MOON"},
            "Member must satisfy enum value set",
        ),
        ("ecs", "DescribeTasks", {"tasks": [None]}, "'tasks.1.member'"),
        ("logs", "GetLogEvents", {"logStreamName": "a:b"}, "regular expression pattern"),
        ("logs", "GetLogEvents", {"logStreamName": "a", "limit": 10001}, "less than or equal to 10000"),
        ("logs", "GetLogEvents", {"logStreamName": ""}, "length greater than or equal to 1"),
        ("efs", "CreateAccessPoint", {"ClientToken": "x", "FileSystemId": "x"}, "'FileSystemId'"),
    ],
)
def test_what_does_not_fit_is_named(
    models: Models, service: str, operation: str, params: dict[str, Any], words: str
) -> None:
    found = complaints(models, service, operation, params)
    assert any(words in complaint for complaint in found), found


def test_what_fits_passes(models: Models) -> None:
    tags = [{"key": "größe/日本", "value": "a b+c=d_e:f@g-h.i"}]
    assert complaints(models, "ecs", "RunTask", {"taskDefinition": "x", "count": None, "tags": tags}) == []


def test_form_of_a_query_is_nested_as_the_shape_says(models: Models) -> None:
    call = read(
        models,
        b"Action=AuthorizeSecurityGroupIngress&Version=2016-11-15&GroupId=sg-1&IpPermissions.1.IpProtocol=tcp"
        b"&IpPermissions.1.FromPort=80&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0%2F8&DryRun=false"
        b"&TagSpecification.1.ResourceType=security-group-rule",
    )
    assert call is not None
    assert call.name == "ec2:AuthorizeSecurityGroupIngress"
    assert call.params == {
        "GroupId": "sg-1",
        "DryRun": False,
        "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}],
        "TagSpecifications": [{"ResourceType": "security-group-rule"}],
    }


def test_unknown_action_is_said_in_the_services_own_shape(models: Models) -> None:
    with pytest.raises(Unreadable) as caught:
        read(models, b"Action=FlyToTheMoon&Version=2016-11-15")
    assert (caught.value.call.service, caught.value.error.code) == ("ec2", "InvalidAction")


def test_what_is_no_aws_request_is_nobodys(models: Models) -> None:
    assert read(models, b"hello=world") is None
    assert read(models, b"", method="GET", path="/elsewhere") is None


def test_path_and_query_string_of_a_rest_request_are_parameters(models: Models) -> None:
    call = read(
        models, b"", method="GET", path="/2015-02-01/access-points", query="FileSystemId=fs-1&MaxResults=5"
    )
    assert call is not None
    assert call.operation == "DescribeAccessPoints"
    assert call.params == {"FileSystemId": "fs-1", "MaxResults": 5}
    removal = read(models, b"", method="DELETE", path="/2015-02-01/access-points/fsap-1")
    assert removal is not None
    assert (removal.operation, removal.params) == ("DeleteAccessPoint", {"AccessPointId": "fsap-1"})


def read(
    models: Models, body: bytes, *, method: str = "POST", path: str = "/", query: str = ""
) -> Call | None:
    headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    return read_call(
        models, method=method, path=path, query=query, headers=headers, body=body, request_id="r"
    )
