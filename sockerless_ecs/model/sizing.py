"""Docker's limits → a Fargate size: the smallest that holds what was asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from sockerless_ecs.errors import InvalidParameter

CPU_LABEL = "sockerless.cpu"
MEMORY_LABEL = "sockerless.memory"
STORAGE_LABEL = "sockerless.storage"

_UNITS_PER_CPU = 1024
_MIB = 1024**2
_NANO = 10**9
_FREE_STORAGE_GIB, _MOST_STORAGE_GIB = 20, 200
_DECIMAL = re.compile(r"[0-9]{1,12}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")
_WHOLE = re.compile(r"[0-9]{1,12}")
_AMOUNT = re.compile(rf"(?P<number>{_DECIMAL.pattern})\s*(?P<unit>[bkmgt]?)(?:i?b)?", re.IGNORECASE)
_BYTES = {"b": 1, "k": 1024, "": _MIB, "m": _MIB, "g": 1024**3, "t": 1024**4}


def _gib(first: int, last: int, step: int = 1) -> tuple[int, ...]:
    return tuple(1024 * gib for gib in range(first, last + 1, step))


SIZES: Mapping[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: _gib(1, 4),
    1024: _gib(2, 8),
    2048: _gib(4, 16),
    4096: _gib(8, 30),
    8192: _gib(16, 60, 4),
    16384: _gib(32, 120, 8),
}
"""Every Fargate size: CPU units → the MiB that go with them, both rising."""

MOST_CPU_UNITS = max(SIZES)
MOST_MEMORY_MIB = SIZES[MOST_CPU_UNITS][-1]
_LARGEST = f"the largest Fargate task has {MOST_CPU_UNITS // 1024} vCPU and {MOST_MEMORY_MIB // 1024} GiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class FargateSize:
    """What RunTask asks for; `storage_gib` None = the 20 GiB that every task has."""

    cpu_units: int
    memory_mib: int
    storage_gib: int | None = None


def size(
    nano_cpus: int,
    memory_bytes: int,
    storage_gib: int | None = None,
    *,
    default_cpu_units: int,
    default_memory_mib: int,
    labels: Mapping[str, str],
) -> FargateSize:
    """The smallest Fargate size that holds what was asked; 0 = not asked, then the default holds.

    A label wins over the limit of the same kind. Raises `InvalidParameter` that names the label or field
    for nonsense, and one that names the largest size for what no task has.
    """
    cpu_units = _cpu_units(nano_cpus, labels.get(CPU_LABEL)) or default_cpu_units
    memory_mib = _memory_mib(memory_bytes, labels.get(MEMORY_LABEL)) or default_memory_mib
    storage = _storage_gib(storage_gib, labels.get(STORAGE_LABEL))
    for units, memories in SIZES.items():
        if units < cpu_units:
            continue
        for mib in memories:
            if mib >= memory_mib:
                return FargateSize(cpu_units=units, memory_mib=mib, storage_gib=storage)
    asked = f"{cpu_units / _UNITS_PER_CPU:g} vCPU and {memory_mib} MiB"
    raise InvalidParameter(f"no Fargate task has {asked}: {_LARGEST}")


def _cpu_units(nano_cpus: int, label: str | None) -> int:
    if label is not None:
        if not _DECIMAL.fullmatch(label.strip()) or not (asked := Decimal(label.strip())):
            raise InvalidParameter(f'label {CPU_LABEL}: "{label}" is not a number of vCPUs, such as 0.5')
        return _ceiling(Fraction(asked) * _UNITS_PER_CPU)
    if nano_cpus < 0:
        raise InvalidParameter(f"NanoCpus: {nano_cpus} is less than 0")
    return _ceiling(Fraction(nano_cpus * _UNITS_PER_CPU, _NANO))


def _memory_mib(memory_bytes: int, label: str | None) -> int:
    if label is not None:
        found = _AMOUNT.fullmatch(label.strip())
        amount = Fraction(Decimal(found["number"])) * _BYTES[found["unit"].lower()] if found else Fraction(0)
        if not amount:
            raise InvalidParameter(
                f'label {MEMORY_LABEL}: "{label}" is not an amount of memory, such as 512m or 2g'
            )
        return _ceiling(amount / _MIB)
    if memory_bytes < 0:
        raise InvalidParameter(f"Memory: {memory_bytes} is less than 0")
    return _ceiling(Fraction(memory_bytes, _MIB))


def _storage_gib(storage_gib: int | None, label: str | None) -> int | None:
    field, asked = "storage size", storage_gib
    if label is not None:
        field = f"label {STORAGE_LABEL}"
        number = label.strip().lower().removesuffix("b").removesuffix("gi").removesuffix("g")
        asked = int(number) if _WHOLE.fullmatch(number) else 0
    if asked is None:
        return None
    if not 1 <= asked <= _MOST_STORAGE_GIB:
        shown = label if label is not None else storage_gib
        raise InvalidParameter(
            f'{field}: "{shown}" is not a number of GiB from {_FREE_STORAGE_GIB} to {_MOST_STORAGE_GIB}'
        )
    return asked if asked > _FREE_STORAGE_GIB else None


def _ceiling(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)
