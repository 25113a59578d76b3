"""Docker's restart policies: what is a valid one, who is started again, and after how long a pause."""

from __future__ import annotations

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.container import Container, RestartPolicy

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 60.0
LONG_ENOUGH_SECONDS = 10.0
"""A run that lasted so long was no failure to come up: the pauses begin anew."""
_POLICIES = ("no", "always", "unless-stopped", "on-failure")


def check_policy(policy: RestartPolicy) -> None:
    """Raises InvalidParameter in Docker's words."""
    name, count = policy.name, policy.maximum_retry_count
    if name and name not in _POLICIES:
        raise InvalidParameter(
            f"invalid restart policy: unknown policy '{name}'; "
            "use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )
    if count and name != "on-failure":
        more = " and cannot be negative" if count < 0 else ""
        raise InvalidParameter(
            f"invalid restart policy: maximum retry count can only be used with 'on-failure'{more}"
        )
    if count < 0:
        raise InvalidParameter("invalid restart policy: maximum retry count cannot be negative")


def has_policy(record: Container) -> bool:
    """Whether the container has any restart policy."""
    return record.host.restart_policy.name not in ("", "no")


def wants_restart(record: Container, code: int) -> bool:
    """Whether the policy starts the container again after an exit with this code."""
    policy = record.host.restart_policy
    match policy.name:
        case "always":
            return True
        case "unless-stopped":
            return not record.stopped_by_user
        case "on-failure":
            left = not policy.maximum_retry_count or record.restart_count < policy.maximum_retry_count
            return left and code != 0
    return False


def wanted_at_boot(record: Container) -> bool:
    """Whether a daemon that begins starts this container, which has run before and is down."""
    policy = record.host.restart_policy.name
    return policy == "always" or (policy == "unless-stopped" and not record.stopped_by_user)


def next_pause(pause_seconds: float, lasted_seconds: float) -> float:
    """How long to wait before the next restart: 0.1 s, then twice as long each time, at most a minute."""
    if lasted_seconds >= LONG_ENOUGH_SECONDS or not pause_seconds:
        return FIRST_PAUSE_SECONDS
    return min(LONGEST_PAUSE_SECONDS, pause_seconds * 2)
