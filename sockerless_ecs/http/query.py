"""Query parameters, read as Docker reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.moment import moment_ns

_FALSE = frozenset({"", "0", "no", "false", "none"})
_FilterForms = dict[str, dict[str, bool] | list[str] | None]


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of one request, first values only; absent and empty are the same."""

    values: Mapping[str, str]
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """All values of each, for the few that may be given several times."""

    def texts(self, name: str) -> Sequence[str]:
        """Every value that was sent and is not empty."""
        return [value for value in self.repeated.get(name, ()) if value]

    def text(self, name: str, default: str = "") -> str:
        """As it was sent."""
        return self.values.get(name) or default

    def required(self, name: str) -> str:
        """InvalidParameter when it is missing."""
        value = self.values.get(name)
        if not value:
            raise InvalidParameter(f"query parameter {name}: required")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Docker's booleans: whatever does not say no, says yes."""
        value = self.values.get(name)
        return default if value is None else value.strip().lower() not in _FALSE

    def number(self, name: str) -> int | None:
        """A whole number; None when absent, InvalidParameter when it is none."""
        value = self.values.get(name, "").strip()
        if not value:
            return None
        try:
            return int(value)
        except ValueError:
            raise InvalidParameter(f"query parameter {name}: {value!r} is not a whole number") from None

    def time_ns(self, name: str) -> int:
        """Nanoseconds since the epoch, 0 when absent: Unix seconds, RFC 3339, or a duration ago."""
        value = self.values.get(name, "").strip()
        try:
            return moment_ns(value, time.time_ns()) if value else 0
        except InvalidParameter as error:
            raise InvalidParameter(f"query parameter {name}: {error}") from None

    def platforms(self, name: str = "platform") -> Sequence[str]:
        """As `linux/arm64`; Docker sends `{"os":"linux","architecture":"arm64"}`."""
        return [_platform(value) for value in self.texts(name)]

    def platform(self) -> str | None:
        """The only one."""
        return next(iter(self.platforms()), None)

    def filters(self, name: str = "filters") -> dict[str, list[str]]:
        """Both forms: `{"label":{"a=b":true}}`, and `{"label":["a=b"]}` of old clients."""
        value = self.values.get(name, "").strip()
        if not value:
            return {}
        try:
            forms = msgspec.json.decode(value, type=_FilterForms)
        except msgspec.DecodeError as error:
            raise InvalidParameter(f"query parameter {name}: invalid filters: {error}") from None
        return {key: _asked(form) for key, form in forms.items() if form}


class _Platform(msgspec.Struct):
    os: str = ""
    architecture: str = ""
    variant: str = ""


def _platform(value: str) -> str:
    try:
        found = msgspec.json.decode(value, type=_Platform)
    except msgspec.DecodeError as error:
        raise InvalidParameter(f"failed to parse platform: {error}") from None
    if not (found.os and found.architecture):
        raise InvalidParameter("both OS and Architecture must be provided")
    return "/".join(part for part in (found.os, found.architecture, found.variant) if part)


def _asked(form: dict[str, bool] | list[str] | None) -> list[str]:
    if isinstance(form, dict):
        return [value for value, wanted in form.items() if wanted]
    return form or []
