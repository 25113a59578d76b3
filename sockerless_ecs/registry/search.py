"""Searching a registry's index: Docker Hub's API of old, which some other registries offer as well."""

from __future__ import annotations

from collections.abc import Sequence

import httpx
import msgspec

from sockerless_ecs.errors import Unauthorized, Unavailable
from sockerless_ecs.model.offers import FoundRepository
from sockerless_ecs.registry.answer import Answer, error_text
from sockerless_ecs.registry.config import decode
from sockerless_ecs.registry.login import Scope
from sockerless_ecs.registry.transport import Transport

_ANSWER_LIMIT = 4 << 20
_MISSING = (httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.GONE)


class _Result(msgspec.Struct):
    name: str = ""
    description: str | None = None
    star_count: int | None = None
    is_official: bool | None = None
    is_automated: bool | None = None


class _Results(msgspec.Struct):
    results: list[_Result] | None = None


async def search(
    transport: Transport, registry: str, scope: Scope, term: str, limit: int
) -> Sequence[FoundRepository]:
    """One attempt at `<base>/v1/search`.

    A password is sent at once, for an index answers strangers too and then leaves out what is private. Raises
    `Transient` for what may pass, `Unauthorized`, or `Unavailable` for what is no answer to a search.
    """
    query = httpx.QueryParams({"q": term, "n": str(limit)})
    headers = {"Accept": "application/json"}
    if scope.login is not None and scope.login.password:
        headers["Authorization"] = scope.login.basic
    answer = await transport.request(
        "GET",
        f"v1/search?{query}",
        registry=registry,
        scope=scope,
        limit=_ANSWER_LIMIT,
        headers=headers,
    )
    return results(answer, registry)[:limit]


def results(answer: Answer, registry: str) -> Sequence[FoundRepository]:
    """What was found; raises as `search` does."""
    _check(answer, registry)
    found = decode(answer.body, _Results, f"registry {registry} sent no search results").results or ()
    return [_repository(one) for one in found if one.name]


def _check(answer: Answer, registry: str) -> None:
    detail = error_text(answer)
    match answer.status:
        case 401 | 403:
            raise Unauthorized(
                f"registry {registry} refuses the search: {detail or 'authentication required'}"
            )
        case status if status in _MISSING:
            raise Unavailable(f"registry {registry} has no search: {_place(answer)} answered {status}")
        case status if status != httpx.codes.OK:
            raise Unavailable(
                f"registry {registry} answered the search with {status}{detail and ': ' + detail}"
            )
    kind = answer.headers.get("Content-Type", "")
    if "html" in kind.lower() or answer.body.lstrip()[:1] == b"<":
        raise Unavailable(f"registry {registry} has no search: a web page came from {_place(answer)}")


def _place(answer: Answer) -> str:
    """Where it came from: mirrors and redirects have other hosts than the registry."""
    return str(httpx.URL(answer.url).copy_with(query=None, fragment=None, userinfo=b""))


def _repository(one: _Result) -> FoundRepository:
    return FoundRepository(
        name=one.name,
        description=one.description or "",
        stars=one.star_count or 0,
        official=bool(one.is_official),
        automated=bool(one.is_automated),
    )
