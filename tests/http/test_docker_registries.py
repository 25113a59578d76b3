"""What registries have, on the Docker API."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.http.conftest import Served
from tests.http.wire import Wire

AUTH = base64.urlsafe_b64encode(b'{"username":"me","password":"p"}').decode()


async def test_a_search_has_docker_s_shape(engine: Served, docker: Wire) -> None:
    filters = quote(json.dumps({"stars": {"3": True}}))
    answer = await docker.ask("GET", f"/images/search?term=my%2Ftool&limit=7&filters={filters}")
    assert answer.json == [
        {"star_count": 3, "is_official": True, "name": "my/tool", "is_automated": False, "description": "d"}
    ]
    assert engine.backend.registries.asked == [("my/tool", 7, {"stars": ["3"]})]


@pytest.mark.parametrize("query", ["term=x", "term=x&limit=", "term=x&limit=0"])
async def test_a_search_without_a_limit_leaves_it_to_the_engine(
    engine: Served, docker: Wire, query: str
) -> None:
    assert (await docker.ask("GET", f"/images/search?{query}")).status == 200
    assert engine.backend.registries.asked == [("x", 0, {})]


@pytest.mark.parametrize(
    ("query", "words"),
    [("limit=abc", "limit: 'abc' is not a whole number"), ("filters={", "invalid filters")],
)
async def test_a_search_that_cannot_be_read_is_a_400(docker: Wire, query: str, words: str) -> None:
    answer = await docker.ask("GET", f"/images/search?term=x&{query}")
    assert (answer.status, words in answer.message) == (400, True)


@pytest.mark.parametrize("target", ["/images/search?term=x", "/distribution/x/json"])
async def test_credentials_are_handed_on_and_nonsense_is_nobody(
    engine: Served, docker: Wire, target: str
) -> None:
    assert (await docker.ask("GET", target, b"", f"X-Registry-Auth: {AUTH}")).status == 200
    given = engine.backend.registries.credentials
    assert given is not None
    assert (given.username, given.password) == ("me", "p")
    assert (await docker.ask("GET", target, b"", "X-Registry-Auth: !nonsense!")).status == 200
    assert engine.backend.registries.credentials is None


@pytest.mark.parametrize("name", ["quay.example/a/b:1", quote("quay.example/a/b:1", safe=":")])
async def test_distribution_has_docker_s_shape(docker: Wire, name: str) -> None:
    answer = await docker.ask("GET", f"/v1.30/distribution/{name}/json")
    assert answer.json == {
        "Descriptor": {"mediaType": "application/index", "digest": "sha256:" + "b" * 64, "size": 9},
        "Platforms": [
            {"architecture": "amd64", "os": "linux"},
            {"architecture": "arm64", "os": "linux", "variant": "v8"},
            {"architecture": "amd64", "os": "windows", "os.version": "10.0", "os.features": ["win32k"]},
        ],
    }
    missing = await docker.ask("GET", "/distribution/missing/json")
    assert (missing.status, missing.message) == (404, "manifest for missing not found: manifest unknown")
