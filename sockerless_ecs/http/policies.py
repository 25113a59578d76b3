"""Health checks and restart policies as clients ask for them, judged in Docker's words."""

from __future__ import annotations

import msgspec

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.shapes.create import HealthcheckBody, RestartPolicyBody
from sockerless_ecs.model.container import Healthcheck, RestartPolicy

_LEAST_NS = 1_000_000
_CHECKS = frozenset({"NONE", "CMD", "CMD-SHELL"})
_ON_FAILURE = "on-failure"
_POLICIES = ("no", "always", _ON_FAILURE, "unless-stopped")


def healthcheck(check: HealthcheckBody | None) -> Healthcheck | None:
    """What a container is to be checked by; None = as its image says."""
    if check is None or not any(msgspec.structs.astuple(check)):
        return None
    for name, duration in (
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("StartPeriod", check.start_period),
        ("StartInterval", check.start_interval),
    ):
        if duration and duration < _LEAST_NS:
            raise InvalidParameter(f"{name} in Healthcheck cannot be less than 1ms")
    if check.retries is not None and check.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")
    if check.test and check.test[0] not in _CHECKS:
        raise InvalidParameter(f"Unknown healthcheck type '{check.test[0]}' (expected 'CMD')")
    return Healthcheck(
        test=tuple(check.test or ()),
        interval_ns=check.interval or 0,
        timeout_ns=check.timeout or 0,
        start_period_ns=check.start_period or 0,
        start_interval_ns=check.start_interval or 0,
        retries=check.retries or 0,
    )


def restart_policy(policy: RestartPolicyBody | None) -> RestartPolicy:
    """What happens when a container ends; nothing unless asked."""
    if policy is None or not policy.name:
        return RestartPolicy()
    count = policy.maximum_retry_count or 0
    if policy.name not in _POLICIES:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{policy.name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if policy.name != _ON_FAILURE and count:
        more = " and cannot be negative" if count < 0 else ""
        raise InvalidParameter(
            f"invalid restart policy: maximum retry count can only be used with 'on-failure'{more}"
        )
    if count < 0:
        raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")
    return RestartPolicy(name=policy.name, maximum_retry_count=count)
