"""AWS's request rates: token buckets per account, some shared by several operations."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Bucket:
    burst: float
    per_second: float
    level: float = field(init=False)
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.level = self.burst

    def refill(self) -> float:
        now = time.monotonic()
        self.level = min(self.burst, self.level + (now - self.at) * self.per_second)
        self.at = now
        return self.level


LAUNCH = "ecs:launch"
"""Not an operation: one task that RunTask starts."""

# Operations, burst, sustained per second. An operation may take from several buckets.
_LIMITS: tuple[tuple[tuple[str, ...], int, int], ...] = (
    (("ecs:RunTask", "ecs:StopTask", "ecs:ExecuteCommand"), 100, 40),
    (("ecs:RunTask",), 20, 20),
    ((LAUNCH,), 100, 20),
    (("ecs:DescribeTasks", "ecs:ListTasks"), 100, 20),
    (("ecs:RegisterTaskDefinition", "ecs:DeregisterTaskDefinition"), 20, 1),
    (("ecs:DeleteTaskDefinitions",), 5, 1),
    (("ecs:DescribeTaskDefinition",), 100, 20),
    (("ecs:ListTaskDefinitions", "ecs:ListTaskDefinitionFamilies"), 50, 20),
    (("ecs:DescribeClusters", "ecs:ListClusters"), 50, 20),
    (("ecs:TagResource", "ecs:UntagResource"), 20, 10),
    (("logs:GetLogEvents",), 25, 25),
    (("logs:FilterLogEvents",), 5, 5),
    (("logs:DescribeLogStreams",), 25, 25),
    (("logs:DescribeLogGroups",), 10, 10),
    (("logs:CreateLogStream",), 50, 50),
)


class Rates:
    """Whether a call is still within what AWS allows; takes its tokens if it is."""

    def __init__(self, *, enforced: bool) -> None:
        self._buckets: dict[str, list[_Bucket]] = {}
        self._lock = threading.Lock()
        if enforced:
            for names, burst, per_second in _LIMITS:
                bucket = _Bucket(burst, per_second)
                for name in names:
                    self._buckets.setdefault(name, []).append(bucket)

    def take(self, name: str, tokens: int = 1) -> bool:
        """One call of `service:Operation`; False means it is throttled and cost nothing."""
        with self._lock:
            buckets = self._buckets.get(name, ())
            if any(bucket.refill() < tokens for bucket in buckets):
                return False
            for bucket in buckets:
                bucket.level -= tokens
            return True
