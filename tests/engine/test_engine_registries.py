"""Registries are searched and looked at as Docker does it."""

from __future__ import annotations

import pytest

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.engine.registries import EngineRegistries
from sockerless_ecs.engine.values import Credentials
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model.offers import FoundRepository
from sockerless_ecs.registry import Login
from tests.services.fakes import FakeRegistry
from tests.services.world import IMAGE

FOUND = [
    FoundRepository(name="alpine", stars=9000, official=True),
    FoundRepository(name="me/alpine", stars=3),
    FoundRepository(name="bot/alpine", automated=True),
]


async def nothing_kept(_digest: str) -> bytes | None:
    return None


@pytest.fixture
def registry() -> FakeRegistry:
    registry = FakeRegistry(IMAGE)
    registry.found = FOUND
    return registry


@pytest.fixture
def registries(registry: FakeRegistry) -> EngineRegistries:
    return EngineRegistries(registry, nothing_kept)


@pytest.mark.parametrize(
    ("term", "where", "words"),
    [
        ("alpine", "docker.io", "alpine"),
        ("me/tool", "docker.io", "me/tool"),
        ("library/alpine", "docker.io", "alpine"),
        ("docker.io/library/alpine", "docker.io", "alpine"),
        ("index.docker.io/alpine", "docker.io", "alpine"),
        ("quay.example/me/tool", "quay.example", "me/tool"),
        ("quay.example/library/tool", "quay.example", "library/tool"),
        ("localhost/tool", "localhost", "tool"),
        ("127.0.0.1:5000/", "127.0.0.1:5000", ""),
        ("UPPER", "docker.io", "UPPER"),
        ("two words", "docker.io", "two words"),
        ("", "docker.io", ""),
    ],
)
async def test_the_term_may_name_the_registry(
    registries: EngineRegistries, registry: FakeRegistry, term: str, where: str, words: str
) -> None:
    assert await registries.search(term, filters={}) == FOUND
    assert registry.searched == [(where, words, 25, None)]


@pytest.mark.parametrize("term", ["https://quay.example/tool", "a.b:80@evil.example/x", "-.example/x", ":/x"])
async def test_what_is_no_registry_is_not_asked(
    registries: EngineRegistries, registry: FakeRegistry, term: str
) -> None:
    with pytest.raises(InvalidParameter, match="invalid re"):
        await registries.search(term, filters={})
    assert registry.searched == []


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"is-official": ["true"]}, ["alpine"]),
        ({"is-official": ["false"]}, ["me/alpine", "bot/alpine"]),
        ({"is-automated": ["1"]}, ["bot/alpine"]),
        ({"stars": ["3"]}, ["alpine", "me/alpine"]),
        ({"stars": ["3", "10"]}, ["alpine"]),
        ({"stars": ["-1"]}, ["alpine", "me/alpine", "bot/alpine"]),
        ({"stars": ["1"], "is-official": ["0"]}, ["me/alpine"]),
    ],
)
async def test_what_was_found_is_filtered(
    registries: EngineRegistries, filters: Filters, names: list[str]
) -> None:
    assert [one.name for one in await registries.search("alpine", filters=filters)] == names


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ({"nonsense": ["x"]}, "invalid filter 'nonsense'"),
        ({"is-official": ["x"]}, r"invalid filter 'is-official=\[x\]'"),
        ({"is-automated": ["true", "false"]}, r"invalid filter 'is-automated=\[true false\]'"),
        ({"stars": ["many"]}, "invalid filter 'stars=many'"),
        ({"stars": ["1_0"]}, "invalid filter 'stars=1_0'"),
    ],
)
async def test_a_filter_that_is_none_is_refused(
    registries: EngineRegistries, registry: FakeRegistry, filters: Filters, words: str
) -> None:
    with pytest.raises(InvalidParameter, match=words):
        await registries.search("alpine", filters=filters)
    assert registry.searched == []


@pytest.mark.parametrize("limit", [-1, 101, 2**70])
async def test_a_limit_out_of_range_is_refused(registries: EngineRegistries, limit: int) -> None:
    with pytest.raises(InvalidParameter, match=rf"limit {limit} is outside the range of \[1, 100\]"):
        await registries.search("alpine", limit=limit, filters={})


async def test_limit_and_login_are_handed_on(registries: EngineRegistries, registry: FakeRegistry) -> None:
    given = Credentials(username="me", password="p", identity_token="t")
    login = Login(username="me", password="p", identity_token="t")
    assert await registries.search("alpine", limit=1, filters={}, credentials=given) == FOUND[:1]
    assert registry.searched == [("docker.io", "alpine", 1, login)]
    await registries.offer("alpine", given)
    assert registry.looked_at[0][1] == login


async def test_names_are_looked_at_where_they_say(
    registries: EngineRegistries, registry: FakeRegistry
) -> None:
    assert (await registries.offer("quay.example/a/b:2")).descriptor.digest == IMAGE.digest
    await registries.offer("alpine")
    assert [one.or_latest().full for one, _ in registry.looked_at] == [
        "quay.example/a/b:2",
        "docker.io/library/alpine:latest",
    ]
    with pytest.raises(InvalidParameter, match="must be lowercase"):
        await registries.offer("UPPER")
