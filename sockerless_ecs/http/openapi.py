"""An OpenAPI document from a table of routes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from sockerless_ecs.http.route import AnyRoute, Route
from sockerless_ecs.http.shapes.error import ErrorBody

_PARAMETER = re.compile(r"<refs?:(\w+)>")
_REF = "#/components/schemas/{name}"


def openapi_document(
    routes: Sequence[AnyRoute], *, title: str, version: str, prefix: str
) -> Mapping[str, Any]:
    """OpenAPI 3.1 of every route; a WebSocket is a GET that switches protocols."""
    shapes: list[Any] = [ErrorBody]
    for route in routes:
        if isinstance(route, Route):
            shapes += [shape for shape in (route.body, route.answer) if shape is not None]
    schemas, components = msgspec.json.schema_components(shapes, ref_template=_REF)
    schema_of = {str(shape): schema for shape, schema in zip(shapes, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        operations = paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})
        method = route.method.lower() if isinstance(route, Route) else "get"
        operations[method] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": prefix}],
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: AnyRoute, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PARAMETER.findall(route.path)
    ]
    parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in route.query]
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            **_success(route, schema_of),
            "default": {"description": "A failure", "content": _json(schema_of[str(ErrorBody)])},
        },
    }
    if isinstance(route, Route) and route.body is not None:
        operation["requestBody"] = {"content": _json(schema_of[str(route.body)])}
    return operation


def _success(route: AnyRoute, schema_of: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(route, Route):
        return {"101": {"description": "Messages follow"}}
    response: dict[str, Any] = {"description": route.summary}
    if route.answer is not None:
        response["content"] = _json(schema_of[str(route.answer)])
    return {str(route.status): response}


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}
