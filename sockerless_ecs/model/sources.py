"""Where Fargate pulls an image from: the registry that its name says, unless a rule says another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sockerless_ecs.model.beginnings import Beginnings
from sockerless_ecs.model.reference import Reference


class Sources:
    """Rules from the beginning of a name to what stands in its place; the longest that fits decides.

    `docker.io/library` → `public.ecr.aws/docker/library` has `docker.io/library/alpine:3` pulled as
    `public.ecr.aws/docker/library/alpine:3`.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self._rules = Beginnings(rules)

    def place(self, reference: Reference) -> Reference:
        """The same tag or digest, where it really is."""
        rule = self._rules.longest(reference.name)
        if rule is None:
            return reference
        beginning, place = rule
        name = place.strip("/") + reference.name.removeprefix(beginning)
        registry, _, repository = name.partition("/")
        return replace(reference, registry=registry, repository=repository)
