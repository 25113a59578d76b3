"""The points in time that Docker's clients send: durations, RFC 3339 and Unix seconds, to the nanosecond."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from sockerless_ecs.errors import InvalidParameter

_SECOND = 10**9
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": _SECOND}
_UNITS |= {"m": 60 * _SECOND, "h": 3600 * _SECOND}
_PART = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})(ns|us|µs|μs|ms|s|m|h)")
_DURATION = re.compile(rf"[-+]?(?:0|(?:{_PART.pattern})+)")
_UNIX = re.compile(r"(?P<sign>-?)(?P<seconds>[0-9]{1,11})(?:\.(?P<fraction>[0-9]{0,18}))?")
_DATE = re.compile(
    r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:T(?P<hour>[0-9]{2})(?::(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]{1,18}))?)?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}:[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_ns(text: str, now_ns: int) -> int:
    """Nanoseconds since the epoch of `10m` (before now), `2026-01-02T03:04:05Z` or `1767323045.5`.

    A date without a zone is UTC. Raises `InvalidParameter`.
    """
    if found := _UNIX.fullmatch(text):
        value = int(found["seconds"]) * _SECOND + _nanoseconds(found["fraction"])
        return -value if found["sign"] else value
    if _DURATION.fullmatch(text):
        return now_ns - duration_ns(text)
    if found := _DATE.fullmatch(text):
        return _date_ns(found, text)
    raise InvalidParameter(
        f'"{text}" is not a time: give a duration such as 10m, an RFC 3339 date or Unix seconds'
    )


def written_ns(text: str) -> int | None:
    """Nanoseconds since the epoch of an RFC 3339 time in a file; None for what is none."""
    found = _DATE.fullmatch(text)
    try:
        return _date_ns(found, text) if found else None
    except InvalidParameter:
        return None


def duration_ns(text: str) -> int:
    """Nanoseconds of a Go duration such as `1h30m`; raises `InvalidParameter`."""
    if not _DURATION.fullmatch(text):
        raise InvalidParameter(f'time: invalid duration "{text}"')
    total = sum((Fraction(number) * _UNITS[unit] for number, unit in _PART.findall(text)), Fraction())
    return -int(total) if text.startswith("-") else int(total)


def _date_ns(found: re.Match[str], text: str) -> int:
    clock = f"{found['hour'] or '00'}:{found['minute'] or '00'}:{found['second'] or '00'}"
    zone = (found["zone"] or "Z").replace("Z", "+00:00")
    try:
        moment = datetime.fromisoformat(f"{found['date']}T{clock}{zone}")
    except ValueError as error:
        raise InvalidParameter(f'"{text}" is not a time: {error}') from error
    return (moment - _EPOCH) // timedelta(seconds=1) * _SECOND + _nanoseconds(found["fraction"])


def _nanoseconds(fraction: str | None) -> int:
    return int((fraction or "")[:9].ljust(9, "0"))
