"""What a value may look like: small rules that say what is wrong, or nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

Rule = Callable[[Any], str | None]
"""A value of the key's type → the complaint, or None."""
T = TypeVar("T")

_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])"
_HOST_PORT = re.compile(rf"(?P<host>{_HOST}):(?P<port>[0-9]{{1,5}})")
_REGISTRY = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_NAME = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_SECRET = re.compile(r"arn:[a-z0-9-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_TAG_TEXT = re.compile(r"[\w\s.:/=+@-]*")
_MOST_TAGS, _LONGEST_TAG_KEY, _LONGEST_TAG_VALUE = 40, 128, 256
_RETENTIONS = frozenset(
    (
        0,
        1,
        3,
        5,
        7,
        14,
        30,
        60,
        90,
        120,
        150,
        180,
        365,
        400,
        545,
        731,
        1096,
        1827,
        2192,
        2557,
        2922,
        3288,
        3653,
    )
)
_LAST_PORT = 65535


def matching(pattern: str, description: str, *, may_be_empty: bool = True) -> Rule:
    """Text that matches as a whole, or is empty (not set) where that is allowed."""
    compiled = re.compile(pattern)

    def rule(value: str) -> str | None:
        if not value and may_be_empty:
            return None
        return None if compiled.fullmatch(value) else f"{value!r} is not {description}"

    return rule


def each(rule: Rule) -> Rule:
    """Every element of a list keeps the rule and is not empty."""

    def every(values: Sequence[str]) -> str | None:
        for value in values:
            if not value:
                return "an element is empty"
            if complaint := rule(value):
                return complaint
        return None

    return every


def between(least: float, most: float) -> Rule:
    """A number within bounds, both included."""

    def rule(value: float) -> str | None:
        return None if least <= value <= most else f"{value} is not from {least} to {most}"

    return rule


def retention(days: int) -> str | None:
    """One of the periods that CloudWatch Logs knows; 0 keeps for ever."""
    if days in _RETENTIONS:
        return None
    return f"{days} is not a retention that CloudWatch Logs knows: {', '.join(map(str, sorted(_RETENTIONS)))}"


def url(value: str) -> str | None:
    """Empty, or http(s) with a host."""
    if not value:
        return None
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    return None if good else f"{value!r} is not a URL such as https://host:5000"


def mirrors(value: Mapping[str, str]) -> str | None:
    """Registry host → URL."""
    for host, address in value.items():
        if complaint := registry(host) or (url(address) if address else f"no URL for {host}"):
            return complaint
    return None


def sources(value: Mapping[str, str]) -> str | None:
    """The beginning of an image's full name → what stands in its place, both with their registry."""
    for name, place in value.items():
        if complaint := _beginning(name) or _beginning(place):
            return complaint
    return None


def secrets(value: Mapping[str, str]) -> str | None:
    """The beginning of an image's full name → the ARN of a secret."""
    for name, arn in value.items():
        if complaint := _beginning(name):
            return complaint
        if not _SECRET.fullmatch(arn):
            return f"{arn!r} (for {name}) is not the ARN of a Secrets Manager secret"
    return None


def _beginning(name: str) -> str | None:
    if _NAME.fullmatch(name):
        return None
    return f"{name!r} is not the beginning of an image's name such as docker.io/library"


def credentials(value: Mapping[str, str]) -> str | None:
    """Registry → USER:PASSWORD; never tells the password."""
    for host, pair in value.items():
        if complaint := registry(host):
            return complaint
        if not pair.partition(":")[0] or ":" not in pair:
            return f"the login of {host} is not USER:PASSWORD"
    return None


def registry(value: str) -> str | None:
    """A registry's host, with or without a port."""
    return (
        None if _REGISTRY.fullmatch(value) else f"{value!r} is not a registry such as registry.example:5000"
    )


def tags(value: Mapping[str, str]) -> str | None:
    """What every tagged AWS service accepts; some room is left for the daemon's own tags."""
    if len(value) > _MOST_TAGS:
        return f"{len(value)} tags are more than {_MOST_TAGS}"
    for name, content in value.items():
        if not name or len(name) > _LONGEST_TAG_KEY or not _TAG_TEXT.fullmatch(name):
            return f"{name!r} cannot be a tag's name"
        if name.lower().startswith(("aws:", "sockerless:")):
            return f"the tag {name!r} is reserved"
        if len(content) > _LONGEST_TAG_VALUE or not _TAG_TEXT.fullmatch(content):
            return f"{content!r} cannot be a tag's value"
    return None


def host_port(value: str) -> str | None:
    """Empty, or HOST:PORT, an IPv6 address in brackets."""
    return None if not value or split_host_port(value) else f"{value!r} is not HOST:PORT"


def split_host_port(value: str) -> tuple[str, int] | None:
    """`[::1]:80` → (`::1`, 80); None for anything else than HOST:PORT."""
    found = _HOST_PORT.fullmatch(value)
    if not found or int(found["port"]) > _LAST_PORT:
        return None
    return found["host"].strip("[]"), int(found["port"])


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
