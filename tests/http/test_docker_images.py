"""Images on the Docker API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from sockerless_ecs.engine.values import ImportRequest
from sockerless_ecs.errors import Unavailable
from sockerless_ecs.http.credentials import credentials
from tests.http.conftest import Served
from tests.http.fake_backend.images import LOADED
from tests.http.wire import Whole, Wire

AUTH = {"username": "me", "password": "¿pass?>", "serveraddress": "registry.example"}
DIGEST = "sha256:" + "e" * 64


def lines(answer: Whole) -> list[dict[str, object]]:
    assert answer.headers["content-type"] == "application/json"
    return [json.loads(line) for line in answer.body.splitlines()]


@pytest.mark.parametrize(
    ("query", "reference"),
    [
        ("fromImage=alpine&tag=3.19", "docker.io/library/alpine:3.19"),
        ("fromImage=alpine:3.19", "docker.io/library/alpine:3.19"),
        ("fromImage=docker.io/library/alpine&tag=latest", "docker.io/library/alpine:latest"),
        (f"fromImage=ghcr.io/a/b&tag={DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        (f"fromImage=ghcr.io/a/b@{DIGEST}", f"ghcr.io/a/b@{DIGEST}"),
        ("fromImage=localhost:5000/a&tag=1", "localhost:5000/a:1"),
    ],
)
async def test_pull_names_an_image_by_one_parameter_or_two(
    engine: Served, docker: Wire, query: str, reference: str
) -> None:
    answer = await docker.ask("POST", f"/images/create?{query}&platform=linux/arm64")
    assert answer.status == 200
    assert lines(answer)[0] == {"status": "Pulling from library/alpine", "id": "3"}
    assert engine.backend.images.pulled == [(reference, "linux/arm64")]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("fromImage=missing&tag=1", 404, "pull access denied for docker.io/library/missing:1"),
        ("fromImage=UPPER&tag=1", 400, "must be lowercase"),
        ("", 400, "invalid reference format"),
        ("fromImage=alpine&tag=a b", 400, "invalid reference format"),
        ("fromSrc=-&repo=BAD", 400, "must be lowercase"),
    ],
)
async def test_a_pull_that_cannot_begin_is_an_ordinary_answer(
    docker: Wire, query: str, status: int, words: str
) -> None:
    answer = await docker.ask("POST", f"/images/create?{quote(query, safe='=&')}")
    assert (answer.status, words in answer.message) == (status, True)
    assert (await docker.ask("GET", "/_ping")).status == 200


async def test_a_pull_that_fails_on_the_way_ends_in_an_error_line(engine: Served, docker: Wire) -> None:
    engine.backend.images.fails_on_the_way = Unavailable("the registry is gone")
    answer = await docker.ask("POST", "/images/create?fromImage=alpine&tag=3")
    assert answer.status == 200
    assert lines(answer)[-1] == {
        "errorDetail": {"message": "the registry is gone"},
        "error": "the registry is gone",
    }


@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.standard_b64encode])
@pytest.mark.parametrize("padded", [True, False])
async def test_credentials_come_in_either_alphabet(
    engine: Served, docker: Wire, encode: Callable[[bytes], bytes], padded: bool
) -> None:
    raw = json.dumps(AUTH, ensure_ascii=False).encode()
    header = encode(raw).decode() if padded else encode(raw).decode().rstrip("=")
    await docker.ask("POST", "/images/create?fromImage=a&tag=1", b"", f"X-Registry-Auth: {header}")
    given = engine.backend.images.credentials
    assert given is not None
    assert (given.username, given.password, given.server_address) == ("me", "¿pass?>", "registry.example")


@pytest.mark.parametrize("header", ["e30=", "bnVsbA==", "", "!nonsense!"])
async def test_a_pull_without_readable_credentials_is_anonymous(
    engine: Served, docker: Wire, header: str
) -> None:
    answer = await docker.ask("POST", "/images/create?fromImage=a&tag=1", b"", f"X-Registry-Auth: {header}")
    assert (answer.status, engine.backend.images.credentials) == (200, None)


def test_what_docker_stores_of_a_login_is_read_too() -> None:
    """`auth` holds both words; an identity token stands alone."""
    both = base64.b64encode(json.dumps({"auth": base64.b64encode(b"u:p:q").decode()}).encode()).decode()
    given = credentials(both)
    assert given is not None
    assert (given.username, given.password) == ("u", "p:q")
    token = credentials(base64.b64encode(b'{"identitytoken":"t"}').decode())
    assert token is not None
    assert token.identity_token == "t"


async def test_list_has_one_line_for_each_image(engine: Served, docker: Wire) -> None:
    for name in ("alpine:3", "alpine:latest"):
        await engine.backend.pulled(name)
    [image] = (await docker.ask("GET", "/images/json")).json
    assert image["RepoTags"] == ["alpine:3", "alpine:latest"]
    assert image["RepoDigests"] == ["alpine@sha256:" + "b" * 64]
    assert (image["Containers"], image["SharedSize"], image["Labels"]) == (-1, -1, None)
    assert "VirtualSize" not in image
    assert (await docker.ask("GET", "/v1.43/images/json")).json[0]["VirtualSize"] == 7


async def test_list_hands_filters_on(engine: Served, docker: Wire) -> None:
    wanted = quote(json.dumps({"label": {"a=b": True}}))
    assert (await docker.ask("GET", f"/images/json?filters={wanted}&filter=alpine")).status == 200
    assert engine.backend.images.filters == [{"label": ["a=b"], "reference": ["alpine"]}]


async def test_image_names_may_have_slashes_escaped_or_not(engine: Served, docker: Wire) -> None:
    for escaped in (True, False):
        await engine.backend.pulled("ghcr.io/own/tool:1")
        name = quote("ghcr.io/own/tool:1", safe=":") if escaped else "ghcr.io/own/tool:1"
        shown = await docker.ask("GET", f"/v1.44/images/{name}/json")
        assert (shown.status, shown.json["RepoTags"]) == (200, ["ghcr.io/own/tool:1"])
        assert (await docker.ask("POST", f"/images/{name}/tag?repo=x/y&tag=2")).status == 201
        gone = await docker.ask("DELETE", f"/images/{name}?force=1&noprune=1")
        assert gone.json == [{"Untagged": "ghcr.io/own/tool:1"}]
        gone = await docker.ask("DELETE", "/images/x/y:2")
        assert gone.json == [{"Untagged": "x/y:2"}, {"Deleted": "sha256:" + "a" * 64}]


async def test_inspect_shows_what_clients_read(engine: Served, docker: Wire) -> None:
    await engine.backend.pulled()
    shown = (await docker.ask("GET", "/images/alpine:3/json")).json
    assert list(shown)[:4] == ["Id", "RepoTags", "RepoDigests", "Parent"]
    assert shown["Config"]["Cmd"] == ["sh"]
    assert shown["Config"]["Env"] == ["PATH=/bin"]
    assert (shown["Architecture"], shown["Os"], shown["Size"]) == ("amd64", "linux", 7)
    assert shown["RootFS"] == {"Type": "layers", "Layers": ["sha256:" + "d" * 64]}
    assert shown["Metadata"]["LastTagTime"].startswith("2023-")
    missing = await docker.ask("GET", "/images/nosuch/json")
    assert (missing.status, missing.message) == (404, "No such image: nosuch")


async def test_load_tells_how_far_it_is_and_what_came(engine: Served, docker: Wire) -> None:
    answer = await docker.ask("POST", "/images/load?quiet=0", b"x" * 100_000)
    assert lines(answer) == [
        {"status": "Loading layer", "progressDetail": {"current": 1, "total": 2}, "id": "abc"},
        {"stream": f"Loaded image: {LOADED}\n"},
    ]
    assert engine.backend.images.loaded_bytes == 100_000


@pytest.mark.parametrize("query", ["", "?quiet=1"])
async def test_a_quiet_load_tells_only_what_came(docker: Wire, query: str) -> None:
    answer = await docker.ask("POST", f"/images/load{query}", b"x")
    assert lines(answer) == [{"stream": f"Loaded image: {LOADED}\n"}]


async def test_a_load_of_nonsense_is_a_400_and_the_connection_is_still_good(docker: Wire) -> None:
    answer = await docker.ask("POST", "/images/load", b"nonsense")
    assert (answer.status, answer.message) == (400, "not a tar archive: bad checksum")
    assert (await docker.ask("GET", "/_ping")).status == 200


async def test_a_load_that_fails_on_the_way_ends_in_an_error_line(engine: Served, docker: Wire) -> None:
    engine.backend.images.fails_on_the_way = Unavailable("ECR is gone")
    answer = await docker.ask("POST", "/images/load?quiet=0", b"x")
    assert answer.status == 200
    assert lines(answer)[-1] == {"errorDetail": {"message": "ECR is gone"}, "error": "ECR is gone"}


async def test_an_import_hands_on_what_was_asked_for_and_tells_the_new_id(
    engine: Served, docker: Wire
) -> None:
    query = "fromSrc=-&repo=a/b&tag=1&message=hello&platform=linux/arm64&changes=CMD%20x&changes=ENV%20a%3Db"
    answer = await docker.ask("POST", f"/images/create?{query}", b"x" * 100_000)
    assert lines(answer) == [{"status": "sha256:" + "a" * 64}]
    assert engine.backend.images.loaded_bytes == 100_000
    [wanted] = engine.backend.images.imported
    assert wanted == ImportRequest(
        source="-",
        repository="a/b",
        tag="1",
        message="hello",
        changes=("CMD x", "ENV a=b"),
        platform="linux/arm64",
    )


async def test_an_import_from_an_address_tells_so_first(docker: Wire) -> None:
    answer = await docker.ask("POST", "/images/create?fromSrc=http://host/x.tar&repo=a")
    assert [line["status"] for line in lines(answer)] == [
        "Downloading from http://host/x.tar",
        "sha256:" + "a" * 64,
    ]


async def test_an_image_to_pull_is_pulled_whatever_else_is_named(engine: Served, docker: Wire) -> None:
    await docker.ask("POST", "/images/create?fromImage=alpine&tag=3&fromSrc=-")
    assert engine.backend.images.pulled == [("docker.io/library/alpine:3", None)]
    assert engine.backend.images.imported == []


async def test_an_import_of_nonsense_is_a_400_and_the_connection_is_still_good(docker: Wire) -> None:
    answer = await docker.ask("POST", "/images/create?fromSrc=-", b"nonsense")
    assert (answer.status, answer.message) == (400, "the archive is no tar: bad checksum")
    assert (await docker.ask("GET", "/_ping")).status == 200
