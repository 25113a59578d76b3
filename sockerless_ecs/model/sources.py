"""Where Fargate pulls an image from: the registry that its name says, unless a rule says another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sockerless_ecs.model.reference import Reference


class Sources:
    """Rules from the beginning of a name to what stands in its place; the longest that fits decides.

    `docker.io/library` → `public.ecr.aws/docker/library` has `docker.io/library/alpine:3` pulled as
    `public.ecr.aws/docker/library/alpine:3`. A beginning ends where a part of the name does.
    """

    def __init__(self, rules: Mapping[str, str]) -> None:
        self._rules = {name.strip("/"): place.strip("/") for name, place in rules.items()}

    def place(self, reference: Reference) -> Reference:
        """The same tag or digest, where it really is."""
        name = reference.name
        fitting = [rule for rule in self._rules if f"{name}/".startswith(f"{rule}/")]
        if not fitting:
            return reference
        longest = max(fitting, key=len)
        registry, _, repository = (self._rules[longest] + name.removeprefix(longest)).partition("/")
        return replace(reference, registry=registry, repository=repository)
