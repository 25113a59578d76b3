"""Request bodies: JSON into structs, with failures that name the field."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from sockerless_ecs.errors import InvalidParameter

_T = TypeVar("_T")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<where>[^`]*)`)?$", re.DOTALL)


def decode(raw: bytes, shape: type[_T]) -> _T:
    """`raw` as a `shape`; an empty body is an empty object, for Docker's clients send either."""
    try:
        return msgspec.json.decode(raw.strip() or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise InvalidParameter(f"invalid request body: {_named(str(error))}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidParameter(f"invalid JSON in the request body: {error}") from None


def _named(complaint: str) -> str:
    """`HostConfig.Memory: expected int, got str` from msgspec's words."""
    found = _AT.match(complaint)
    assert found is not None
    what = found["what"].replace("`", "")
    where = (found["where"] or "").removeprefix("$").removeprefix(".")
    what = what[:1].lower() + what[1:]
    return f"{where}: {what}" if where else what
