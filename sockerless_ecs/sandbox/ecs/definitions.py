"""Task definitions: families and their revisions."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sockerless_ecs.sandbox.ecs import rules
from sockerless_ecs.sandbox.ecs.tags import tag_list, tag_map
from sockerless_ecs.sandbox.ecs.unbuilt import refuse_unbuilt
from sockerless_ecs.sandbox.wire.call import ACCOUNT, AwsError

_CONTAINER_DEFAULTS: Mapping[str, Any] = {
    "cpu": 0,
    "portMappings": [],
    "essential": True,
    "environment": [],
    "mountPoints": [],
    "volumesFrom": [],
    "systemControls": [],
}


@dataclass(slots=True)
class Definition:
    """One revision, in ECS's own words."""

    arn: str
    family: str
    revision: int
    content: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether new tasks may use it."""
        return bool(self.content["status"] == "ACTIVE")

    @property
    def containers(self) -> list[dict[str, Any]]:
        """Its container definitions."""
        containers: list[dict[str, Any]] = self.content["containerDefinitions"]
        return containers


class Definitions:
    """All revisions of all families; a revision is never reused."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._families: dict[str, list[Definition]] = {}
        self._lock = threading.Lock()

    def register(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """RegisterTaskDefinition."""
        rules.check_definition(request)
        refuse_unbuilt(request)
        tags = tag_map(request.get("tags", ()))
        with self._lock:
            revisions = self._families.setdefault(request["family"], [])
            revision = len(revisions) + 1
            arn = f"arn:aws:ecs:{self._region}:{ACCOUNT}:task-definition/{request['family']}:{revision}"
            content = _content(request, arn, revision)
            definition = Definition(arn, request["family"], revision, content, tags)
            revisions.append(definition)
        return self._shown(definition)

    def describe(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTaskDefinition."""
        definition = self.find(params["taskDefinition"])
        if definition is None:
            raise AwsError("ClientException", "Unable to describe task definition.")
        shown = self._shown(definition)
        if "TAGS" not in params.get("include", ()):
            del shown["tags"]
        return shown

    def deregister(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """DeregisterTaskDefinition; only an exact revision can go."""
        name = params["taskDefinition"]
        definition = self.find(name)
        if ":" not in name.rsplit("/", 1)[-1] or definition is None:
            raise AwsError("ClientException", "The specified task definition does not exist.")
        if definition.active:
            definition.content = definition.content | {"status": "INACTIVE", "deregisteredAt": time.time()}
        return {"taskDefinition": definition.content}

    def find(self, name: str) -> Definition | None:
        """By ARN, `family:revision`, or family (its newest active revision)."""
        family, _, revision = name.rsplit("task-definition/", 1)[-1].partition(":")
        revisions = self._families.get(family, [])
        if not revision:
            return next((definition for definition in reversed(revisions) if definition.active), None)
        if not revision.isdecimal() or not 1 <= int(revision) <= len(revisions):
            return None
        found = revisions[int(revision) - 1]
        return found if not name.startswith("arn:") or found.arn == name else None

    def arns(self, params: Mapping[str, Any]) -> list[str]:
        """What ListTaskDefinitions lists, before paging."""
        prefix, status = params.get("familyPrefix"), params.get("status", "ACTIVE")
        with self._lock:
            families = (
                sorted(self._families) if prefix is None else [prefix] if prefix in self._families else []
            )
            found = [definition for family in families for definition in self._families[family]]
        arns = [definition.arn for definition in found if definition.content["status"] == status]
        return arns[::-1] if params.get("sort") == "DESC" else arns

    def families(self, params: Mapping[str, Any]) -> list[str]:
        """What ListTaskDefinitionFamilies lists, before paging."""
        prefix, status = params.get("familyPrefix", ""), params.get("status", "ACTIVE")
        with self._lock:
            active = {name: any(item.active for item in items) for name, items in self._families.items()}
        wanted = {"ACTIVE": (True,), "INACTIVE": (False,)}.get(status, (True, False))
        return sorted(
            name for name, is_active in active.items() if name.startswith(prefix) and is_active in wanted
        )

    def _shown(self, definition: Definition) -> dict[str, Any]:
        return {"taskDefinition": definition.content, "tags": tag_list(definition.tags)}


def _content(request: Mapping[str, Any], arn: str, revision: int) -> dict[str, Any]:
    content = {
        key: copy.deepcopy(value) for key, value in request.items() if key != "tags" and value is not None
    }
    content["containerDefinitions"] = [
        copy.deepcopy(dict(_CONTAINER_DEFAULTS)) | container for container in content["containerDefinitions"]
    ]
    fargate = (
        request.get("networkMode") == "awsvpc" and bool(request.get("cpu")) and bool(request.get("memory"))
    )
    return {
        "volumes": [],
        "placementConstraints": [],
        **content,
        "taskDefinitionArn": arn,
        "revision": revision,
        "status": "ACTIVE",
        "requiresAttributes": [],
        "compatibilities": ["EC2", "FARGATE"] if fargate else ["EC2"],
        "registeredAt": time.time(),
        "registeredBy": f"arn:aws:iam::{ACCOUNT}:root",
    }
