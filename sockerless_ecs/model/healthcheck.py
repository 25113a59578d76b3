"""What a valid health check is."""

from __future__ import annotations

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.container import Healthcheck

_SHORTEST_NS = 10**6
"""Of a health check's times."""


def check_health(check: Healthcheck | None) -> None:
    """Raises InvalidParameter in Docker's words."""
    if check is None:
        return
    for name, value in (
        ("Interval", check.interval_ns),
        ("Timeout", check.timeout_ns),
        ("StartPeriod", check.start_period_ns),
        ("StartInterval", check.start_interval_ns),
    ):
        if value and value < _SHORTEST_NS:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")
