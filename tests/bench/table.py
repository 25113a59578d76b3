"""Prints figures as a table for people."""

from __future__ import annotations

from collections.abc import Sequence

from tests.bench.figure import Figure

_HEAD = ("figure", "unit", "target", "median (p95)", "dockerd", "runs", "min-max", "")


def render(figures: Sequence[Figure]) -> str:
    """Aligned columns, a line a figure; what needs saying stands at its end."""
    rows = [_HEAD, *(_cells(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    return "\n".join(
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)), row[-1]]
        ).rstrip()
        for row in rows
    )


def _cells(figure: Figure) -> tuple[str, ...]:
    runs = str(len(figure.samples))
    if figure.local and len(figure.local) != len(figure.samples):
        runs += f"/{len(figure.local)}"
    return (
        figure.name,
        figure.unit,
        figure.target,
        figure.measured,
        figure.measured_locally,
        runs,
        figure.spread,
        figure.note,
    )
