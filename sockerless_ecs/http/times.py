"""Times and durations as Docker writes them."""

from __future__ import annotations

from datetime import UTC, datetime

SECOND_NS = 1_000_000_000
ZERO_TIME = "0001-01-01T00:00:00Z"
ZERO_SECONDS = -62_135_596_800
"""The same as Unix seconds."""


def rfc3339(time_ns: int) -> str:
    """RFC 3339 with as many digits as needed; 0 is Docker's zero time."""
    if time_ns == 0:
        return ZERO_TIME
    seconds, nanos = divmod(time_ns, SECOND_NS)
    fraction = f".{nanos:09d}".rstrip("0") if nanos else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def human_duration(nanoseconds: int) -> str:
    """`About an hour`: docker's units.HumanDuration."""
    seconds = nanoseconds // SECOND_NS
    minutes, hours = seconds // 60, (nanoseconds + 1800 * SECOND_NS) // (3600 * SECOND_NS)
    steps = (
        (seconds, 1, 60, "Less than a second", "1 second", "seconds"),
        (minutes, 1, 60, "", "About a minute", "minutes"),
        (hours, 1, 48, "", "About an hour", "hours"),
        (hours, 24, 336, "", "", "days"),
        (hours, 168, 1440, "", "", "weeks"),
        (hours, 720, 17520, "", "", "months"),
    )
    for count, size, limit, none, one, many in steps:
        if count < limit:
            return {0: none, 1: one}.get(count // size) or f"{count // size} {many}"
    return f"{seconds // 3600 // 24 // 365} years"
