"""Versions in the path, and what every answer of Docker's API carries."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import trio

from sockerless_ecs import __version__
from sockerless_ecs.http.route import Call, Reply, json_reply
from tests.http.probe import Probe, route, start_probe
from tests.http.wire import Wire

TOO_OLD = (
    "client version {} is too old. Minimum supported API version is 1.24, "
    "please upgrade your client to a newer version"
)


async def show(call: Call) -> Reply:
    return json_reply(
        {"version": call.version, "ref": call.path.get("ref"), "type": call.headers.get("x-type")}
    )


@pytest.fixture
async def docker(nursery: trio.Nursery) -> AsyncIterator[Wire]:
    probe: Probe = await start_probe(
        nursery, [route("GET", "/show", show), route("GET", "/show/<ref:ref>/json", show)]
    )
    async with await probe.wire() as wire:
        yield wire
    probe.stop.set()


@pytest.mark.parametrize(
    ("path", "version"),
    [
        ("/show", [1, 51]),
        ("/v1.24/show", [1, 24]),
        ("/v1.51/show", [1, 51]),
        ("//v1.44//show/", [1, 44]),
        ("/v1.44.9/show", [1, 44]),
    ],
)
async def test_every_path_is_there_with_a_version_and_without(
    docker: Wire, path: str, version: list[int]
) -> None:
    assert (await docker.ask("GET", path)).json["version"] == version


@pytest.mark.parametrize(
    ("version", "message"),
    [
        (
            "1.23",
            TOO_OLD.format("1.23"),
        ),
        ("1.52", "client version 1.52 is too new. Maximum supported API version is 1.51"),
        (
            "1",
            TOO_OLD.format("1"),
        ),
        ("2.0", "client version 2.0 is too new. Maximum supported API version is 1.51"),
        ("1." + "9" * 9000, None),
        ("...", None),
    ],
)
async def test_versions_that_are_not_spoken_are_a_400_in_dockers_words(
    docker: Wire, version: str, message: str | None
) -> None:
    answer = await docker.ask("GET", f"/v{version}/show")
    assert answer.status == 400
    assert message is None or answer.message == message
    assert (await docker.ask("GET", "/show")).status == 200


@pytest.mark.parametrize(
    "path",
    ["/vfoo/show", "/v/show", "/v1.44x/show", "/1.44/show", "/v1.44/v1.44/show", "/v1.23/nowhere", "/v1.44"],
)
async def test_what_is_no_version_is_a_page_that_is_not_found(docker: Wire, path: str) -> None:
    answer = await docker.ask("GET", path)
    assert (answer.status, answer.message) == (404, "page not found")


async def test_a_method_that_a_path_does_not_have_is_not_found_either(docker: Wire) -> None:
    answer = await docker.ask("DELETE", "/v1.44/show")
    assert (answer.status, answer.message) == (404, "page not found")


@pytest.mark.parametrize("path", ["/show", "/v1.23/show", "/nowhere"])
async def test_every_answer_says_whose_it_is(docker: Wire, path: str) -> None:
    headers = (await docker.ask("GET", path)).headers
    assert {name: headers[name] for name in ("api-version", "docker-experimental", "ostype", "server")} == {
        "api-version": "1.51",
        "docker-experimental": "false",
        "ostype": "linux",
        "server": f"sockerless/{__version__} (linux)",
    }
    assert headers["content-type"] == "application/json"
    assert len(headers["x-request-id"]) == 16


async def test_a_call_has_its_headers_by_lower_case_name_and_first_value(docker: Wire) -> None:
    answer = await docker.ask("GET", "/show/v1.44/json", b"", "X-Type: a", "x-type: b")
    assert answer.json == {"version": [1, 51], "ref": "v1.44", "type": "a"}


async def test_an_api_without_versions_has_no_such_paths_and_headers(nursery: trio.Nursery) -> None:
    probe = await start_probe(nursery, [route("GET", "/show", show)], dialect=None)
    async with await probe.wire() as wire:
        answer = await wire.ask("GET", "/show")
        assert (answer.json["version"], "api-version" in answer.headers) == ([0, 0], False)
        assert (await wire.ask("GET", "/v1.44/show")).status == 404
        assert (await wire.ask("DELETE", "/show")).status == 405
    probe.stop.set()
