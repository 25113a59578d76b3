"""Content addresses: what a blob is called, and whether it is what it is called."""

from __future__ import annotations

import hashlib
import re

from sockerless_ecs.errors import Unavailable

_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")


def digest_of(data: bytes) -> str:
    """`sha256:…` of the data."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def is_digest(text: str) -> bool:
    """Whether it is a whole digest of a kind that can be verified."""
    return _DIGEST.fullmatch(text) is not None


def matches(digest: str, data: bytes) -> bool:
    """Whether the data is what the digest names."""
    algorithm, _, expected = digest.partition(":")
    return is_digest(digest) and hashlib.new(algorithm, data).hexdigest() == expected


def verify(digest: str, data: bytes, what: str) -> None:
    """Raises `Unavailable` when a registry sent something else than it was asked for."""
    if not is_digest(digest):
        raise Unavailable(f'{what}: "{digest[:200]}" is not a digest that can be verified')
    if not matches(digest, data):
        raise Unavailable(f"{what}: the registry sent content that does not match {digest}")
