"""Comparing two engines' answers field by field: same keys, same types, same values but where they vary."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Allowed = Mapping[str, str]
"""A pattern of paths (`*` = one step) → why the two may differ there."""

_EMPTY: tuple[Any, ...] = (None, [], {}, "")


def differences(ours: Any, theirs: Any, allowed: Allowed = {}, path: str = "") -> list[str]:  # noqa: B006
    """What is missing, of another type or value in `ours`; a key that only we have is no difference.

    Emptiness has many spellings that clients read alike: null, [], {}, "" and a missing key are the same.
    """
    return [said for where, said in _differences(ours, theirs, path) if not _matches(where, allowed)]


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, str]]:
    if _is_empty(ours) and _is_empty(theirs):
        return
    match theirs, ours:
        case Mapping(), Mapping():
            for key, value in theirs.items():
                yield from _differences(ours.get(key), value, f"{path}.{key}" if path else key)
        case list(), list():
            if len(ours) != len(theirs):
                yield path, f"{path}: {len(ours)} entries {ours!r}, dockerd has {len(theirs)} {theirs!r}"
                return
            for at, (one, other) in enumerate(zip(ours, theirs, strict=True)):
                yield from _differences(one, other, f"{path}.{at}" if path else str(at))
        case str(), str() if path.endswith("message") and ours.lower() == theirs.lower():
            return  # later versions begin with a small letter
        case _ if ours != theirs or type(ours) is not type(theirs):
            yield path, f"{path}: {ours!r}, dockerd says {theirs!r}"


def _is_empty(value: Any) -> bool:
    return not isinstance(value, bool | int | float) and value in _EMPTY


def _matches(path: str, allowed: Allowed) -> bool:
    return any(re.fullmatch(_expression(pattern), path) for pattern in allowed)


def _expression(pattern: str) -> str:
    steps: Sequence[str] = pattern.split(".")
    return r"\.".join("[^.]+" if step == "*" else re.escape(step) for step in steps) + r"(\..*)?"
