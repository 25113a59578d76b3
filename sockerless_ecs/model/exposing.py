"""Ports as EXPOSE names them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sockerless_ecs.errors import InvalidParameter

_RANGE = re.compile(r"(?P<first>[0-9]{1,5})(?:-(?P<last>[0-9]{1,5}))?")
_PROTOCOLS = ("tcp", "udp", "sctp")
_HIGHEST = 65_535


def exposed(text: str) -> Sequence[str]:
    """`80/tcp` of `80`, and each port of `80-82/udp`; an address or host port in front says nothing here.

    Raises InvalidParameter in Docker's words.
    """
    place, _, wanted = text.partition("/")
    ports = place.rpartition(":")[2]
    protocol = wanted.lower() or "tcp"
    if not ports:
        raise InvalidParameter(f"No port specified: {text}<empty>")
    found = _RANGE.fullmatch(ports)
    first = int(found["first"]) if found else 0
    last = int(found["last"] or first) if found else 0
    if not found or not first <= last <= _HIGHEST:
        raise InvalidParameter(f"Invalid containerPort: {ports}")
    if protocol not in _PROTOCOLS:
        raise InvalidParameter(f"Invalid proto: {wanted}")
    return [f"{port}/{protocol}" for port in range(first, last + 1)]
