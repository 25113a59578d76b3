"""How an attribute is called on the wire: Docker's PascalCase, with its initialisms."""

from __future__ import annotations

import msgspec

_INITIALISMS = {
    "dns": "Dns",
    "ipam": "IPAM",
    "ip": "IP",
    "ipv4": "IPv4",
    "ipv6": "IPv6",
    "io": "IO",
    "oom": "OOM",
    "uts": "UTS",
    "fs": "FS",
}


def docker_name(attribute: str) -> str:
    """`oom_killed` → `OOMKilled`; what this does not catch is named where it is declared."""
    words = attribute.removesuffix("_").split("_")
    return "".join(_INITIALISMS.get(word, word.capitalize()) for word in words)


class Answer(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name):
    """What we send: every field is there, as Docker's own encoder has it."""


class Request(msgspec.Struct, frozen=True, kw_only=True, rename=docker_name, omit_defaults=True):
    """What we are sent: absent and null are the same, as they are to Go."""
