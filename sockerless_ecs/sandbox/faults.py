"""Faults that somebody asked for: throttling, errors, slowness, lost answers, no capacity, stale answers."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import msgspec

from sockerless_ecs.sandbox.wire.call import Call

Kind = Literal["throttle", "error", "latency", "lost_answer", "failures", "lag"]


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What goes wrong with an operation, `count` times (0: until it is taken away).

    `failures` makes RunTask answer 200 without a task; `lag` makes DescribeTasks show what was `seconds` ago.
    """

    operation: str
    kind: Kind
    service: str | None = None
    code: str | None = None
    message: str | None = None
    status: int = 400
    seconds: float = 0
    count: int = 1
    id: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """The faults that hit one call."""

    faults: tuple[Fault, ...]

    def of(self, kind: Kind) -> Fault | None:
        """The first fault of that kind."""
        return next((fault for fault in self.faults if fault.kind == kind), None)


class Faults:
    """The faults still to come."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._thread = threading.local()

    def add(self, body: bytes) -> Fault:
        """Order a fault from its JSON; raises `msgspec.ValidationError` for one that makes no sense."""
        fault = msgspec.json.decode(body, type=Fault)
        with self._lock:
            fault.id = next(self._numbers)
            self._faults[fault.id] = fault
        return fault

    def clear(self) -> None:
        """Take all back."""
        with self._lock:
            self._faults.clear()

    def pending(self) -> list[Fault]:
        """Those still to come."""
        with self._lock:
            return list(self._faults.values())

    def lag(self, always_seconds: float) -> Callable[[], float]:
        """How late DescribeTasks is for the call that is being answered by this thread."""
        return lambda: getattr(self._thread, "lag", 0.0) or always_seconds

    def hit(self, call: Call) -> Applied:
        """The faults that this call meets; each counts it."""
        if not self._faults:
            return Applied(())
        with self._lock:
            hits = [fault for fault in self._faults.values() if _matches(fault, call)]
            for fault in hits:
                if fault.count == 1:
                    del self._faults[fault.id]
                elif fault.count > 1:
                    fault.count -= 1
        return Applied(tuple(hits))

    def slow_down(self, applied: Applied) -> None:
        """Remember, for this thread, how late its answer is to be."""
        lag = applied.of("lag")
        self._thread.lag = lag.seconds if lag else 0.0


def _matches(fault: Fault, call: Call) -> bool:
    return fault.operation in (call.operation, "*") and fault.service in (None, call.service)
