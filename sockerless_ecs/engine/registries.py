"""What registries have, asked without pulling any of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.values import Credentials
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.offers import FoundRepository, Offer
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.registry.client import Kept

_USUAL_FOUND, _MOST_FOUND = 25, 100
_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")


class EngineRegistries:
    """Searches, and looks names up where they say; what the configuration says of pulls does not count."""

    def __init__(self, registry: RegistryClient, kept: Kept) -> None:
        self._registry = registry
        self._kept = kept

    async def search(
        self, term: str, *, limit: int = 0, filters: Filters, credentials: Credentials | None = None
    ) -> Sequence[FoundRepository]:
        """What the registry in the term, or Docker Hub, finds; 0 = as many as usual."""
        passes = _search_filter(filters)
        limit = limit or _USUAL_FOUND
        if not 1 <= limit <= _MOST_FOUND:
            raise InvalidParameter(f"limit {limit} is outside the range of [1, {_MOST_FOUND}]")
        registry, words = _split(term)
        found = await self._registry.search(registry, words, limit, login_of(credentials))
        return [one for one in found if passes(one)]

    async def offer(self, name: str, credentials: Credentials | None = None) -> Offer:
        """What a name means at its registry now."""
        reference = references.parse(name)
        return await self._registry.offer(reference, login_of(credentials), kept=self._kept)


def login_of(credentials: Credentials | None) -> Login | None:
    """How to log in with what a user gave, if that was anything."""
    if credentials is None or not (credentials.username or credentials.identity_token):
        return None
    return Login(
        username=credentials.username,
        password=credentials.password,
        identity_token=credentials.identity_token,
    )


def _split(term: str) -> tuple[str, str]:
    """The registry to search, and for what."""
    if "://" in term:
        raise InvalidParameter(f"invalid repository name: repository name ({term}) should not have a scheme")
    host, slash, rest = term.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        return references.DOCKER_HUB, term.removeprefix("library/")
    registry = references.parse(f"{host}/any").registry
    return registry, rest.removeprefix("library/") if registry == references.DOCKER_HUB else rest


def _search_filter(filters: Filters) -> Callable[[FoundRepository], bool]:
    filtering.check(filters, filtering.SEARCH)
    official = filtering.yes_or_no(filters, "is-official")
    automated = filtering.yes_or_no(filters, "is-automated")
    stars = max((_stars(value) for value in filters.get("stars", ())), default=0)
    return lambda found: (
        official in (None, found.official) and automated in (None, found.automated) and found.stars >= stars
    )


def _stars(value: str) -> int:
    if not _NUMBER.fullmatch(value):
        raise InvalidParameter(f"invalid filter 'stars={value}'")
    return int(value)
