"""Images on the Docker API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest

from sockerless_ecs.engine.values import ImportRequest
from sockerless_ecs.errors import Unavailable
from sockerless_ecs.http.credentials import credentials
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.reference import parse
from tests.http.conftest import Served
from tests.http.fake_backend.images import LOADED, an_image
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


async def test_a_push_names_a_tag_or_none_and_brings_its_login(engine: Served, docker: Wire) -> None:
    header = base64.urlsafe_b64encode(json.dumps(AUTH, ensure_ascii=False).encode()).decode()
    answer = await docker.ask(
        "POST", "/images/registry.example/a/b/push?tag=1", b"", f"X-Registry-Auth: {header}"
    )
    assert (await docker.ask("POST", "/images/c/push")).status == 200
    assert engine.backend.images.pushed == [("registry.example/a/b", "1"), ("c", "")]
    assert engine.backend.images.credentials is None
    assert lines(answer) == [
        {"status": "The push refers to repository [registry.example/a/b]"},
        {"status": "Pushing", "progressDetail": {"current": 1, "total": 2}, "id": "a"},
        {"status": "Pushed", "progressDetail": {}, "id": "a"},
        {"progressDetail": {}, "aux": {"Tag": "1", "Digest": "sha256:" + "1" * 64, "Size": 7}},
    ]


async def test_a_push_of_what_is_not_there_ends_in_an_error_line(docker: Wire) -> None:
    answer = await docker.ask("POST", "/images/missing/push?tag=1")
    assert answer.status == 200
    assert lines(answer)[-1]["error"] == "An image does not exist locally with the tag: missing"


async def test_a_save_is_a_tar_of_one_image_or_of_many(docker: Wire) -> None:
    one = await docker.ask("GET", "/images/ghcr.io/a/b:1/get")
    assert (one.status, one.headers["content-type"], one.body) == (
        200,
        "application/x-tar",
        b"ghcr.io/a/b:1",
    )
    many = await docker.ask("GET", "/images/get?names=a&names=b%3A1&names=")
    assert (many.status, many.body) == (200, b"ab:1")


ARM = quote('{"architecture":"arm64","os":"linux","variant":"v8"}')


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"/images/alpine:3/json?platform={ARM}"),
        ("GET", f"/images/alpine:3/history?platform={ARM}"),
        ("GET", f"/images/alpine:3/get?platform={ARM}"),
        ("GET", f"/images/get?names=alpine:3&platform={ARM}"),
        ("POST", f"/images/alpine/push?tag=3&platform={ARM}"),
        ("POST", f"/images/load?platform={ARM}"),
        ("DELETE", f"/images/alpine:3?platforms={ARM}"),
    ],
)
async def test_the_platform_that_was_asked_for_is_handed_on(
    engine: Served, docker: Wire, method: str, path: str
) -> None:
    await engine.backend.pulled()
    assert (await docker.ask(method, path)).status == 200
    assert engine.backend.images.platforms == ["linux/arm64/v8"]


@pytest.mark.parametrize(
    "text", ["linux/amd64", "{", '{"os":"linux"}', '{"architecture":"amd64"}', "[]", "1"]
)
async def test_what_is_no_platform_is_a_400(engine: Served, docker: Wire, text: str) -> None:
    await engine.backend.pulled()
    for path in ("/images/alpine:3/json", "/images/alpine:3/get"):
        answer = await docker.ask("GET", f"{path}?platform={quote(text)}")
        assert answer.status == 400
        assert "platform" in answer.message or "Architecture" in answer.message


async def test_a_save_that_cannot_begin_is_an_ordinary_answer(docker: Wire) -> None:
    answer = await docker.ask("GET", "/images/get?names=a&names=missing")
    assert (answer.status, answer.message) == (404, "reference does not exist")
    assert (await docker.ask("GET", "/_ping")).status == 200


async def test_a_save_that_breaks_on_the_way_is_cut_short(engine: Served, docker: Wire) -> None:
    """A tar that seemed whole would be loaded as one."""
    engine.backend.images.fails_on_the_way = Unavailable("the registry is gone")
    with pytest.raises(EOFError):
        await docker.ask("GET", "/images/get?names=a")


async def test_inspect_shows_what_the_image_says_of_its_making(engine: Served, docker: Wire) -> None:
    await engine.backend.pulled()
    [(ref, image)] = engine.backend.images.by_ref.items()
    engine.backend.images.by_ref[ref] = replace(image, comment="from a tar", docker_version="20.10")
    shown = (await docker.ask("GET", "/images/alpine:3/json")).json
    assert (shown["Comment"], shown["DockerVersion"], shown["Parent"]) == ("from a tar", "20.10", "")


@pytest.mark.parametrize("name", ["alpine:3", quote("docker.io/library/alpine:3", safe=":")])
async def test_history_has_docker_s_shape(engine: Served, docker: Wire, name: str) -> None:
    await engine.backend.pulled()
    answer = await docker.ask("GET", f"/v1.41/images/{name}/history")
    assert answer.json == [
        {
            "Comment": "c",
            "Created": 1_767_323_045,
            "CreatedBy": "CMD sh",
            "Id": "sha256:" + "a" * 64,
            "Size": 0,
            "Tags": ["alpine:3"],
        },
        {
            "Comment": "",
            "Created": -62_135_596_800,
            "CreatedBy": "ADD /",
            "Id": "<missing>",
            "Size": 7,
            "Tags": None,
        },
    ]
    missing = await docker.ask("GET", "/images/nosuch/history")
    assert (missing.status, missing.message) == (404, "No such image: nosuch")


async def test_prune_tells_what_went_and_null_where_nothing_did(engine: Served, docker: Wire) -> None:
    await engine.backend.pulled()
    wanted = quote(json.dumps({"dangling": {"false": True}}))
    assert (await docker.ask("POST", f"/images/prune?filters={wanted}")).json == {
        "ImagesDeleted": [{"Untagged": "alpine:3"}, {"Deleted": "sha256:" + "a" * 64}],
        "SpaceReclaimed": 7,
    }
    assert (await docker.ask("POST", "/images/prune")).json == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    assert engine.backend.images.filters == [{"dangling": ["false"]}, {}]


async def test_list_tells_what_images_share_when_asked(engine: Served, docker: Wire) -> None:
    base = Descriptor(digest="sha256:" + "9" * 64, size=5)
    for number, name in enumerate(("a:1", "b:1")):
        image = replace(an_image(parse(name).full), id=f"sha256:{number:064x}", blobs=(base,))
        engine.backend.images.by_ref[image.ref] = image
    for target, shared in (
        ("/images/json?shared-size=1", 5),
        ("/images/json", -1),
        ("/v1.41/images/json?shared-size=1", -1),
    ):
        assert [one["SharedSize"] for one in (await docker.ask("GET", target)).json] == [shared, shared]


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
