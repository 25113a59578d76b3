"""Whether parameters fit a botocore shape: required members, types, enums, lengths, ranges, patterns."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Any


def violations(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """What is wrong with `value`, one sentence each; nothing when it fits."""
    check = _CHECKS.get(shape.type_name)
    if value is None:
        if path == "":
            yield "The request has no parameters."
        return
    if check is not None:
        yield from check(shape, value, path)


def _structure(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _mistyped(path, "a structure", value)
        return
    members = shape.members
    for name in shape.required_members:
        if value.get(name) is None:
            yield _null(_join(path, name))
    for name, item in value.items():
        if name in members:
            yield from violations(members[name], item, _join(path, name)) if item is not None else ()
        else:
            yield f"Unknown member '{_join(path, name)}'"


def _list(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield _mistyped(path, "a list", value)
        return
    yield from _length(shape, len(value), value, path)
    for number, item in enumerate(value, start=1):
        if item is None:
            yield _null(f"{path}.{number}.member")
        else:
            yield from violations(shape.member, item, f"{path}.{number}.member")


def _map(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _mistyped(path, "a map", value)
        return
    yield from _length(shape, len(value), value, path)
    for key, item in value.items():
        yield from violations(shape.key, key, f"{path}.{key}")
        yield from violations(shape.value, item, f"{path}.{key}") if item is not None else ()


def _string(shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, str):
        yield _mistyped(path, "a string", value)
        return
    yield from _length(shape, len(value), value, path)
    if shape.enum and value not in shape.enum:
        yield (
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        )
    pattern = shape.metadata.get("pattern")
    if pattern and not _pattern(pattern)(value):
        yield (
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {pattern}"
        )


def _integer(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int):
        yield _mistyped(path, "an integer", value)
        return
    yield from _range(shape, value, path)


def _number(shape: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield _mistyped(path, "a number", value)
        return
    yield from _range(shape, value, path)


def _boolean(_shape: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield _mistyped(path, "a boolean", value)


def _length(shape: Any, length: int, value: Any, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    shown = value if isinstance(value, str) else f"({length} items)"
    if least is not None and length < least:
        yield (
            f"Value '{shown}' at '{path}' failed to satisfy constraint: "
            f"Member must have length greater than or equal to {least}"
        )
    if most is not None and length > most:
        yield (
            f"Value '{shown}' at '{path}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {most}"
        )


def _range(shape: Any, value: float, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and value < least:
        yield (
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must have value greater than or equal to {least}"
        )
    if most is not None and value > most:
        yield (
            f"Value '{value}' at '{path}' failed to satisfy constraint: "
            f"Member must have value less than or equal to {most}"
        )


def _null(path: str) -> str:
    return f"Value null at '{path}' failed to satisfy constraint: Member must not be null"


def _mistyped(path: str, wanted: str, value: Any) -> str:
    return f"Value at '{path}' must be {wanted}, not {type(value).__name__}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


@functools.lru_cache(maxsize=512)
def _pattern(pattern: str) -> Callable[[str], object]:
    """A matcher for a pattern of the models, which are Java's.

    Python has no classes of letters: characters beyond ASCII are matched as the ASCII one of their kind.
    """
    ascii_only = _CATEGORY.sub(lambda found: _ASCII_OF.get(found[1], ""), pattern)
    try:
        matches = re.compile(ascii_only).fullmatch
    except re.error:
        return lambda _value: True
    if ascii_only == pattern:
        return matches
    return lambda value: matches(value if value.isascii() else "".join(map(_ascii_kin, value)))


_CATEGORY = re.compile(r"\\p\{(\w+)\}")
_ASCII_OF = {
    "L": "A-Za-z",
    "N": "0-9",
    "Z": " ",
    "Alpha": "A-Za-z",
    "Alnum": "A-Za-z0-9",
    "ASCII": "\x00-\x7f",
}
_KIN = {"L": "a", "N": "0", "Z": " "}


def _ascii_kin(character: str) -> str:
    return character if character.isascii() else _KIN.get(unicodedata.category(character)[0], character)


_CHECKS: dict[str, Callable[[Any, Any, str], Iterator[str]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "double": _number,
    "float": _number,
    "boolean": _boolean,
}
