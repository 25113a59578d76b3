"""Health checks and restart policies as clients ask for them, judged in Docker's words."""

from __future__ import annotations

import msgspec

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.shapes.create import HealthcheckBody, RestartPolicyBody
from sockerless_ecs.model.container import Healthcheck, RestartPolicy
from sockerless_ecs.model.healthcheck import check_health
from sockerless_ecs.model.restart import check_policy

_CHECKS = frozenset({"NONE", "CMD", "CMD-SHELL"})


def healthcheck(check: HealthcheckBody | None) -> Healthcheck | None:
    """What a container is to be checked by; None = as its image says."""
    if check is None or not any(msgspec.structs.astuple(check)):
        return None
    wanted = Healthcheck(
        test=tuple(check.test or ()),
        interval_ns=check.interval or 0,
        timeout_ns=check.timeout or 0,
        start_period_ns=check.start_period or 0,
        start_interval_ns=check.start_interval or 0,
        retries=check.retries or 0,
    )
    check_health(wanted)
    if wanted.test and wanted.test[0] not in _CHECKS:
        raise InvalidParameter(f"Unknown healthcheck type '{wanted.test[0]}' (expected 'CMD')")
    return wanted


def restart_policy(policy: RestartPolicyBody | None) -> RestartPolicy:
    """What happens when a container ends; nothing unless asked."""
    if policy is None or not policy.name:
        return RestartPolicy()
    wanted = RestartPolicy(name=policy.name, maximum_retry_count=policy.maximum_retry_count or 0)
    check_policy(wanted)
    return wanted
