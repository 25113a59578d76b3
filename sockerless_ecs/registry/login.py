"""How a registry wants to be asked: challenges, logins and the tokens they buy."""

from __future__ import annotations

import base64
import re
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

import trio

_MOST_TOKENS = _MOST_LOGINS = 256
_SAFETY_SECONDS = 10.0
_SCHEME = re.compile(r"\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s+|$)")
_COMMA = re.compile(r"\s*,\s*")
_PARAMETER = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What proves who asks. Prints without its secrets."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way in that a registry offers: `basic` or `bearer`, with its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def challenge(header: str) -> Challenge | None:
    """The best challenge of a WWW-Authenticate header: Bearer before Basic, None if it has neither."""
    offered = {one.scheme: one for one in reversed(_challenges(header))}
    return offered.get("bearer") or offered.get("basic")


def _challenges(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while scheme := _SCHEME.match(header, position):
        position, parameters = scheme.end(), {}
        while parameter := _PARAMETER.match(header, position):
            name, quoted, plain = parameter.groups()
            parameters[name.lower()] = plain if plain is not None else re.sub(r"\\(.)", r"\1", quoted)
            position = parameter.end()
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
        if comma := _COMMA.match(header, position):
            position = comma.end()
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a request is about: tokens are bought for it and kept by it."""

    base_url: str
    repository: str = ""
    push: bool = False
    login: Login | None = None
    checked: bool = False
    """The login itself is in question: it is asked for anew, and for a token that stands for the password."""

    @property
    def text(self) -> str:
        """As token servers want it; empty for a mere login."""
        if not self.repository:
            return ""
        return f"repository:{self.repository}:pull{',push' if self.push else ''}"


class Logins:
    """Logins that have worked for a repository, in memory: a bounded number of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Login] = OrderedDict()

    def get(self, repository: str) -> Login | None:
        """The last one for this repository (`<registry>/<repository>`)."""
        return self._kept.get(repository)

    def keep(self, repository: str, login: Login) -> None:
        """Remember it."""
        self._kept[repository] = login
        self._kept.move_to_end(repository)
        while len(self._kept) > _MOST_LOGINS:
            self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An Authorization header that worked, and the login that it was had for."""

    authorization: str = field(repr=False)
    login: Login | None = None


class Tokens:
    """Those that have worked, until they expire; a bounded number of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Scope, tuple[Token, float]] = OrderedDict()

    def get(self, scope: Scope) -> Token | None:
        """The one for this scope, if it is still good."""
        token, expires = self._kept.get(scope, (None, 0.0))
        if token is None or expires <= trio.current_time():
            self._kept.pop(scope, None)
            return None
        return token

    def forget(self, scope: Scope) -> None:
        """It was refused."""
        self._kept.pop(scope, None)

    def keep(self, scope: Scope, token: Token, lifetime_seconds: float) -> None:
        """Remember one for a little less than its life."""
        self._kept[scope] = (token, trio.current_time() + lifetime_seconds - _SAFETY_SECONDS)
        self._kept.move_to_end(scope)
        while len(self._kept) > _MOST_TOKENS:
            self._kept.popitem(last=False)
