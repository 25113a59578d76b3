"""The sizes that Fargate has."""

from __future__ import annotations

import re

_GIB = 1024
_MEMORY_OF: dict[int, frozenset[int]] = {
    256: frozenset({512, 1 * _GIB, 2 * _GIB}),
    512: frozenset(range(1 * _GIB, 4 * _GIB + 1, _GIB)),
    1024: frozenset(range(2 * _GIB, 8 * _GIB + 1, _GIB)),
    2048: frozenset(range(4 * _GIB, 16 * _GIB + 1, _GIB)),
    4096: frozenset(range(8 * _GIB, 30 * _GIB + 1, _GIB)),
    8192: frozenset(range(16 * _GIB, 60 * _GIB + 1, 4 * _GIB)),
    16384: frozenset(range(32 * _GIB, 120 * _GIB + 1, 8 * _GIB)),
}
STORAGE_GIB = range(21, 201)
"""Ephemeral storage that may be asked for; 20 is what one has without asking."""


def exists(cpu_units: int, memory_mib: int) -> bool:
    """Whether Fargate runs tasks of this size."""
    return memory_mib in _MEMORY_OF.get(cpu_units, ())


def cpu_units(text: str) -> int | None:
    """`256` or `.25 vCPU` in units; None for what is neither."""
    return _amount(text, "vcpu")


def memory_mib(text: str) -> int | None:
    """`512` or `0.5 GB` in MiB; None for what is neither."""
    return _amount(text, "gb")


def _amount(text: str, unit: str) -> int | None:
    if re.fullmatch(r"\d+", text):
        return int(text)
    found = re.fullmatch(r"(\d*\.?\d+)\s*" + unit, text.strip().lower())
    return int(float(found[1]) * _GIB) if found else None
