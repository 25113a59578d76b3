"""An index is asked as Docker asks it, and what is no answer to a search is told as what it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.errors import SockerlessError, Unauthorized, Unavailable
from sockerless_ecs.model.offers import FoundRepository
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.registry.answer import Answer
from sockerless_ecs.registry.search import results
from tests.registry.conftest import QUICK, no_login
from tests.registry.content import to_json
from tests.registry.scripted_registry import Asked, Said, ScriptedRegistry, scripted_registry

ME = Login(username="me", password="hush")
ALPINE = {
    "name": "alpine",
    "description": "A minimal image",
    "star_count": 9000,
    "is_official": True,
    "is_automated": False,
    "is_trusted": False,
}


def page(*results: Mapping[str, object]) -> Said:
    document = {"query": "x", "num_results": len(results), "num_pages": 1, "results": results}
    return Said(200, to_json(document), {"Content-Type": "application/json"})


async def test_the_hub_s_index_is_asked_for_a_term_and_a_number(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    registry.answer = lambda _: page(ALPINE)
    [found] = await client.search("docker.io", "a b&n=9/ü", 25)
    assert found == FoundRepository(
        name="alpine", description="A minimal image", stars=9000, official=True, automated=False
    )
    asked = urlsplit(registry.asked[0].path)
    assert (asked.path, parse_qs(asked.query)) == ("/v1/search", {"q": ["a b&n=9/ü"], "n": ["25"]})


async def test_another_registry_is_asked_itself(registry: ScriptedRegistry) -> None:
    registry.answer = lambda _: page({"name": "tool"})
    with scripted_registry() as hub:
        async with RegistryClient({"docker.io": hub.url}, (), no_login, retries=QUICK) as client:
            assert await client.search(registry.host, "", 1) == [FoundRepository(name="tool")]
            assert hub.asked == []


@pytest.mark.parametrize(
    ("results", "names"),
    [
        ([], []),
        ([{"name": "a", "description": None, "star_count": None, "is_official": None}], ["a"]),
        ([{"name": ""}, {"description": "nobody"}, {"name": "b", "more": {"x": 1}}], ["b"]),
        ([{"name": str(number)} for number in range(9)], ["0", "1", "2"]),
    ],
)
async def test_results_may_leave_out_what_they_like_and_no_more_come_than_were_asked_for(
    client: RegistryClient, registry: ScriptedRegistry, results: list[dict[str, object]], names: list[str]
) -> None:
    registry.answer = lambda _: page(*results)
    assert [one.name for one in await client.search("docker.io", "x", 3)] == names


async def test_results_that_are_null_are_none(client: RegistryClient, registry: ScriptedRegistry) -> None:
    registry.answer = lambda _: Said(200, b'{"results": null}')
    assert await client.search("docker.io", "x", 3) == []


async def test_a_password_is_sent_at_once_and_to_nobody_else(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    with scripted_registry(lambda _: page(ALPINE)) as elsewhere:
        registry.answer = lambda asked: Said(302, headers={"Location": f"{elsewhere.url}{asked.path}"})
        assert await client.search("docker.io", "x", 1, ME)
        assert registry.asked[0].headers["Authorization"] == ME.basic
        assert "Authorization" not in elsewhere.asked[0].headers


async def test_an_index_that_wants_a_token_is_paid_with_one(
    client: RegistryClient, registry: ScriptedRegistry
) -> None:
    def answer(asked: Asked) -> Said:
        if asked.path.startswith("/token"):
            assert b"refresh_token=identity" in asked.body
            return Said(200, b'{"access_token":"t"}')
        if asked.headers.get("Authorization") == "Bearer t":
            return page(ALPINE)
        return Said(401, headers={"WWW-Authenticate": f'Bearer realm="{registry.url}/token",service="s"'})

    registry.answer = answer
    assert len(await client.search("docker.io", "x", 1, Login(identity_token="identity"))) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_search_that_is_refused_is_unauthorized(
    client: RegistryClient, registry: ScriptedRegistry, status: int
) -> None:
    registry.answer = lambda _: Said(
        status,
        b'{"errors":[{"code":"UNAUTHORIZED","message":"wrong password"}]}',
        {"WWW-Authenticate": "Basic"},
    )
    with pytest.raises(Unauthorized, match=r"refuses the search: unauthorized: wrong password"):
        await client.search("docker.io", "x", 1, ME)


HTML = b"<!DOCTYPE html><html>"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Said(404), r"registry docker.io has no search: http://127.0.0.1:[0-9]+/v1/search answered 404"),
        (Said(405), "has no search"),
        (Said(200, HTML), r"has no search: a web page came from http://127.0.0.1:[0-9]+/v1/search$"),
        (Said(200, b"welcome", {"Content-Type": "text/html; charset=utf-8"}), "a web page came"),
        (Said(200, b""), "sent no search results"),
        (Said(200, b"[]"), "sent no search results"),
        (Said(200, b'{"results": [{"name": 5}]}'), "sent no search results"),
        (Said(200, b'{"results": [null]}'), "sent no search results"),
        (Said(204), "answered the search with 204"),
        (Said(418, b'{"errors":[{"code":"TEAPOT"}]}'), "answered the search with 418: teapot"),
        (Said(500), "registry docker.io: HTTP 500"),
        (Said(503, HTML), "registry docker.io: HTTP 503"),
        (Said(429), "toomanyrequests: registry docker.io answered 429"),
        (Said(200, b"x" * (5 << 20)), "sent more than the 4 MiB"),
        (Said(302, headers={"Location": "ftp://x/"}), "an address that cannot be used"),
    ],
)
async def test_what_is_no_answer_to_a_search_is_told(
    client: RegistryClient, registry: ScriptedRegistry, said: Said, words: str
) -> None:
    registry.answer = lambda _: said
    with pytest.raises(Unavailable, match=words):
        await client.search("docker.io", "x", 1)


async def test_what_may_pass_is_tried_again(client: RegistryClient, registry: ScriptedRegistry) -> None:
    registry.answer = lambda _: Said(503) if len(registry.asked) < 3 else page(ALPINE)
    assert len(await client.search("docker.io", "x", 1)) == 1


async def test_an_index_that_is_not_there_is_told() -> None:
    with scripted_registry() as gone:
        host = gone.host
    async with RegistryClient({}, (), no_login, retries=QUICK) as client:
        with pytest.raises(Unavailable, match=f"registry {host} cannot be reached"):
            await client.search(host, "x", 1)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ALPINE, "results"]), inner),
    max_leaves=8,
)


@given(st.binary(max_size=20) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_results_or_an_error_of_ours(body: bytes) -> None:
    answer = Answer(status=200, headers=httpx.Headers(), body=body, url="http://x/v1/search")
    try:
        found = results(answer, "docker.io")
    except SockerlessError:
        return
    assert all(one.name for one in found)
