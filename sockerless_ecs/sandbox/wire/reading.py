"""An HTTP request → the call it is, in AWS's four protocols."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Mapping
from typing import Any

from sockerless_ecs.sandbox.options import REGION
from sockerless_ecs.sandbox.wire.call import AwsError, Call
from sockerless_ecs.sandbox.wire.models import Models

_SCOPE = re.compile(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")


def read_call(
    models: Models,
    *,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    request_id: str,
) -> Call | None:
    """The call that a request makes; None when it is no AWS request at all.

    Raises:
        AwsError: The service has no such operation, or the body cannot be read.
    """
    scope = _SCOPE.search(headers.get("authorization", ""))
    region = scope[1] if scope else REGION
    if target := headers.get("x-amz-target"):
        named = models.of_target(target)
        if named is None:
            return None
        service, operation = named
        params = _json(body)
    elif method == "POST" and "x-www-form-urlencoded" in headers.get("content-type", ""):
        form = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True))
        found = models.of_version(form.pop("Version", ""))
        if found is None:
            return None
        service, operation = found, form.pop("Action", "")
        params = _form(models, service, operation, form)
    else:
        routed = models.of_path(method, path)
        if routed is None:
            return None
        service, (operation, labels) = "efs", routed
        params = _rest(models.operation(service, operation), labels, query, body)
    call = Call(service=service, operation=operation, region=region, request_id=request_id, params=params)
    if models.operation(service, operation) is None:
        code = (
            "InvalidAction" if models.protocol(service) in ("ec2", "query") else "UnknownOperationException"
        )
        raise Unreadable(call, AwsError(code, f"The action {operation} is not valid for this web service."))
    return call


class Unreadable(Exception):
    """A request that names a service but makes no sense; `error` says why."""

    def __init__(self, call: Call, error: AwsError) -> None:
        super().__init__(error.message)
        self.call = call
        self.error = error


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        raise AwsError("SerializationException", "The request body is not JSON.") from None
    if not isinstance(value, dict):
        raise AwsError("SerializationException", "The request body is not a structure.")
    return value


def _rest(operation: Any, labels: Mapping[str, str], query: str, body: bytes) -> dict[str, Any]:
    """Body, path labels and query string of a REST-JSON request, under the members' names."""
    members = operation.input_shape.members if operation.input_shape else {}
    params = _json(body)
    for label, value in labels.items():
        params[_member_at(members, "uri", label)] = urllib.parse.unquote(value)
    for key, values in urllib.parse.parse_qs(query).items():
        name = _member_at(members, "querystring", key)
        shape = members.get(name)
        params[name] = (
            values if shape is not None and shape.type_name == "list" else _scalar(shape, values[0])
        )
    return params


def _member_at(members: Mapping[str, Any], location: str, wire_name: str) -> str:
    for name, shape in members.items():
        if (
            shape.serialization.get("location") == location
            and shape.serialization.get("name", name) == wire_name
        ):
            return name
    return wire_name


def _form(models: Models, service: str, operation: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a query-protocol request: `A.B.1=x` and the like, as the shape nests them."""
    model = models.operation(service, operation)
    if model is None or model.input_shape is None:
        return dict(form)
    tree: dict[str, Any] = {}
    for key, value in form.items():
        node = tree
        *parents, leaf = key.split(".")
        for parent in parents:
            below = node.setdefault(parent, {})
            node = below if isinstance(below, dict) else {}
        node[leaf] = value
    result = _shaped(model.input_shape, tree, ec2=models.protocol(service) == "ec2")
    return result if isinstance(result, dict) else {}


def _shaped(shape: Any, node: Any, *, ec2: bool) -> Any:
    if shape.type_name == "structure" and isinstance(node, dict):
        names = {_wire_name(name, member, ec2=ec2): name for name, member in shape.members.items()}
        return {
            names.get(key, key): _shaped(shape.members[names[key]], item, ec2=ec2) if key in names else item
            for key, item in node.items()
        }
    if shape.type_name == "list":
        return _listed(shape, node, ec2=ec2)
    return _scalar(shape, node)


def _listed(shape: Any, node: Any, *, ec2: bool) -> Any:
    if node == "":
        return []
    if isinstance(node, dict) and not ec2 and not shape.serialization.get("flattened"):
        node = node.get(shape.member.serialization.get("name", "member"), node)
    if not isinstance(node, dict) or not all(key.isdigit() for key in node):
        return node
    return [_shaped(shape.member, node[key], ec2=ec2) for key in sorted(node, key=int)]


def _wire_name(name: str, shape: Any, *, ec2: bool) -> str:
    serialization = shape.serialization
    if ec2:
        if "queryName" in serialization:
            return str(serialization["queryName"])
        wire = str(serialization.get("name", name))
        return wire[0].upper() + wire[1:]
    return str(serialization.get("name", name))


def _scalar(shape: Any, value: Any) -> Any:
    """A string of a form or path as the type that its shape has; unreadable ones stay strings."""
    if shape is None or not isinstance(value, str):
        return value
    match shape.type_name:
        case "integer" | "long":
            return int(value) if re.fullmatch(r"[+-]?\d+", value) else value
        case "boolean":
            return {"true": True, "false": False}.get(value.lower(), value)
        case "float" | "double":
            try:
                return float(value)
            except ValueError:
                return value
        case _:
            return value
