"""What was measured: samples with a unit, beside the same of a local dockerd where there is one."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One row of the table."""

    name: str
    unit: str
    samples: tuple[float, ...]
    target: str = ""
    local: tuple[float, ...] = ()
    """The same of a local dockerd."""
    note: str = ""

    @property
    def measured(self) -> str:
        """Median, and p95 where there are samples enough for one."""
        return _summary(self.samples)

    @property
    def measured_locally(self) -> str:
        """The local dockerd's."""
        return _summary(self.local)

    @property
    def spread(self) -> str:
        """Least and most."""
        if len(self.samples) < 2:
            return ""
        return f"{_number(min(self.samples))}-{_number(max(self.samples))}"


def beside(ours: Iterable[Figure], local: Iterable[Figure]) -> list[Figure]:
    """Our figures with the local dockerd's of the same name."""
    theirs = {figure.name: figure for figure in local}
    return [
        replace(
            figure,
            local=theirs[figure.name].samples,
            note="; ".join(
                [
                    *([figure.note] if figure.note else []),
                    *([f"dockerd: {note}"] if (note := theirs[figure.name].note) else []),
                ]
            ),
        )
        if figure.name in theirs
        else figure
        for figure in ours
    ]


def percentile(samples: Iterable[float], percent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def _summary(samples: tuple[float, ...]) -> str:
    if not samples:
        return ""
    median = _number(statistics.median(samples))
    return f"{median} ({_number(percentile(samples, 95))})" if len(samples) >= 5 else median


def _number(value: float) -> str:
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
