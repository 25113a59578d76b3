"""Rules for names by how they begin: `docker.io/library`, or only a registry."""

from __future__ import annotations

from collections.abc import Mapping


class Beginnings:
    """What holds for names that begin so. A beginning ends where a part of the name does."""

    def __init__(self, rules: Mapping[str, str]) -> None:
        self._rules = {name.strip("/"): value for name, value in rules.items()}

    def longest(self, name: str) -> tuple[str, str] | None:
        """The longest beginning that fits, and what holds for it."""
        fitting = [rule for rule in self._rules if f"{name}/".startswith(f"{rule}/")]
        if not fitting:
            return None
        longest = max(fitting, key=len)
        return longest, self._rules[longest]
