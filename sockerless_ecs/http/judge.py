"""The judge of a request's fields: each is honoured, warned of, or refused."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sockerless_ecs.errors import InvalidParameter, SockerlessError, Unimplemented
from sockerless_ecs.http.create_fields import Rule, Verdict


class Judge:
    """Collects what is wrong, so that what can never be is told before what is only not built."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self._never: list[SockerlessError] = []
        self._later: list[SockerlessError] = []

    def fields(self, body: msgspec.Struct, rules: Mapping[str, Rule], prefix: str) -> None:
        """Judge every field of a struct that asks for something."""
        # msgspec.structs.fields resolves every annotation anew: milliseconds a create.
        for name, key in zip(body.__struct_fields__, body.__struct_encode_fields__, strict=True):
            value, rule = getattr(body, name), rules[name]
            if value and not rule.default(value):
                self.apply(rule, f"{prefix}{key}")

    def apply(self, rule: Rule, field: str) -> None:
        """Do what the rule says with a field that was asked for."""
        match rule.verdict:
            case Verdict.NEVER:
                self.never(field, rule.advice)
            case Verdict.LATER:
                self.later(field)
            case Verdict.WARNED:
                self.warnings.append(f"{field} has no effect: {rule.advice}")

    def never(self, field: str, advice: str) -> None:
        """A field that Fargate can never honour."""
        self._never.append(InvalidParameter(f"{field} is not possible on Fargate: {advice}"))

    def later(self, field: str) -> None:
        """A field that is not honoured yet."""
        self._later.append(Unimplemented(f"create container: {field} is not implemented yet"))

    def decide(self) -> None:
        """Raise the first thing that is wrong."""
        for error in self._never + self._later:
            raise error
