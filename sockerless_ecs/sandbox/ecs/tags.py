"""What tags may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sockerless_ecs.sandbox.wire.call import AwsError

_MOST = 50


def tag_map(tags: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """ECS's list of tags as a mapping; raises `AwsError` for what ECS refuses beyond the shapes."""
    result: dict[str, str] = {}
    for tag in tags:
        key = tag.get("key") or ""
        if not key:
            raise AwsError("InvalidParameterException", "Tag key cannot be null or empty.")
        if key.lower().startswith("aws:"):
            raise AwsError(
                "InvalidParameterException", "aws: prefixed tag key names are not allowed for external use."
            )
        if key in result:
            raise AwsError("InvalidParameterException", f"Duplicate tag key: {key}")
        result[key] = tag.get("value") or ""
    return bounded(result)


def bounded(tags: dict[str, str]) -> dict[str, str]:
    """The same tags, unless they are too many."""
    if len(tags) > _MOST:
        raise AwsError("InvalidParameterException", f"The number of tags exceeds the limit of {_MOST}.")
    return tags


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A mapping as ECS's list of tags."""
    return [{"key": key, "value": value} for key, value in tags.items()]
