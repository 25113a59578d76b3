"""How an API differs from plain HTTP: versions in the path, and headers of every answer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sockerless_ecs import __version__
from sockerless_ecs.errors import InvalidParameter

Version = tuple[int, int]

_PREFIX = re.compile(r"/v(?P<version>[0-9.]+)(?=/|$)")


@dataclass(frozen=True, slots=True)
class Dialect:
    """An API whose paths may begin with `/v1.NN`: the versions it knows, and the headers it always sends."""

    oldest: Version
    newest: Version
    headers: Mapping[str, str] = field(default_factory=dict)

    def split(self, path: str) -> tuple[str, str]:
        """The version that the path asks for, empty if none, and the path without it."""
        found = _PREFIX.match(path)
        return (found["version"], path[found.end() :] or "/") if found else ("", path)

    def version(self, asked: str) -> Version:
        """The version to answer by; InvalidParameter, in Docker's words, for one that is not known."""
        if not asked:
            return self.newest
        parts = tuple(int(part[:9] or 0) for part in asked.split("."))
        if parts < self.oldest:
            raise InvalidParameter(
                f"client version {asked} is too old. Minimum supported API version is {_text(self.oldest)}, "
                "please upgrade your client to a newer version"
            )
        if parts > self.newest:
            raise InvalidParameter(
                f"client version {asked} is too new. Maximum supported API version is {_text(self.newest)}"
            )
        return parts[0], parts[1]


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)


_OLDEST, _NEWEST = (1, 24), (1, 51)

DOCKER = Dialect(
    oldest=_OLDEST,
    newest=_NEWEST,
    headers={
        "Api-Version": _text(_NEWEST),
        "Docker-Experimental": "false",
        "Ostype": "linux",
        "Server": f"sockerless/{__version__} (linux)",
    },
)
"""Docker's Engine API."""
