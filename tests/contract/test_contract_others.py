"""The other calls of the Go frontend: what is built answers, the rest says 501 and which operation."""

from __future__ import annotations

import json

import pytest

from tests.contract.frontend import Frontend, path_escape

INFO_KEYS = frozenset(
    [
        "ID",
        "Name",
        "ServerVersion",
        "Containers",
        "ContainersRunning",
        "ContainersPaused",
        "ContainersStopped",
        "Images",
        "Driver",
        "OperatingSystem",
        "OSType",
        "Architecture",
        "NCPU",
        "MemTotal",
        "KernelVersion",
    ]
)
IMAGE_KEYS = frozenset(
    [
        "Id",
        "RepoTags",
        "RepoDigests",
        "Created",
        "Size",
        "VirtualSize",
        "Config",
        "Architecture",
        "Os",
        "RootFS",
        "Metadata",
    ]
)

HISTORY_KEYS = frozenset(["Id", "Created", "CreatedBy", "Tags", "Size", "Comment"])


async def test_info_has_what_the_frontend_decodes(frontend: Frontend) -> None:
    answer = await frontend.call("GET", "/info")
    assert answer.status == 200
    assert answer.json.keys() >= INFO_KEYS
    assert isinstance(answer.json["MemTotal"], int)


async def test_capabilities_and_version_are_there_for_other_frontends(frontend: Frontend) -> None:
    capabilities = (await frontend.call("GET", "/capabilities")).json
    assert capabilities.keys() == {"backend", "version", "capabilities"}
    assert capabilities["backend"] == "ecs"
    assert (await frontend.call("GET", "/version")).json["Version"] == capabilities["version"]
    assert (await frontend.call("GET", "/openapi.json")).json["openapi"].startswith("3.")


async def test_pull_inspect_and_list_an_image(frontend: Frontend, image: str, pulled: str) -> None:
    pull = await frontend.call("POST", "/images/pull", body={"Reference": f"{image}:latest"})
    assert pull.headers["content-type"] == "application/json"
    assert all("status" in json.loads(line) for line in pull.body.splitlines())
    for name in (pulled, f"{pulled}:latest", f"docker.io/library/{pulled}:latest"):
        answer = await frontend.call("GET", "/images/inspect", {"name": name})
        assert answer.status == 200, name
    shown = answer.json
    assert shown.keys() >= IMAGE_KEYS
    assert f"{image}:latest" in shown["RepoTags"]
    by_path = await frontend.call("GET", f"/images/{path_escape(f'docker.io/library/{pulled}:latest')}")
    assert by_path.json == shown
    missing = await frontend.call("GET", "/images/inspect", {"name": "nosuch:1"})
    assert (missing.status, missing.message) == (404, "No such image: nosuch:1")
    listed = await frontend.call("GET", "/images")
    assert shown["Id"] in [one["Id"] for one in listed.json]


async def test_history_has_what_the_frontend_decodes(frontend: Frontend, image: str, pulled: str) -> None:
    answer = await frontend.call(
        "GET", f"/images/{path_escape(f'docker.io/library/{pulled}:latest')}/history"
    )
    assert answer.status == 200
    assert all(step.keys() == HISTORY_KEYS for step in answer.json)
    assert f"{image}:latest" in answer.json[0]["Tags"]
    assert isinstance(answer.json[0]["Created"], int)
    missing = await frontend.call("GET", "/images/nosuch:1/history")
    assert (missing.status, missing.message) == (404, "No such image: nosuch:1")


async def test_prune_tells_what_went(frontend: Frontend, image: str, pulled: str) -> None:
    answer = await frontend.call("POST", "/images/prune", {"filters": '{"dangling":{"false":true}}'})
    assert answer.status == 200
    assert {"Untagged": f"{image}:latest"} in answer.json["ImagesDeleted"]
    assert answer.json["SpaceReclaimed"] > 0
    again = await frontend.call("POST", "/images/prune", {"filters": "{}"})
    assert again.json == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    await frontend.call("POST", "/images/pull", body={"Reference": f"{image}:latest"})


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("POST", "/networks", {}, {"Name": "n", "Driver": "bridge", "Internal": False, "IPAM": None}),
        ("GET", "/networks", {"filters": '{"name":{"n":true}}'}, None),
        ("GET", "/networks/n", {}, None),
        ("POST", "/networks/n/connect", {}, {"Container": "c"}),
        ("POST", "/networks/n/disconnect", {}, {"Container": "c", "Force": False}),
        ("DELETE", "/networks/n", {}, None),
        ("POST", "/networks/prune", {}, None),
        ("POST", "/volumes", {}, {"Name": "v"}),
        ("GET", "/volumes", {}, None),
        ("GET", "/volumes/v", {}, None),
        ("DELETE", "/volumes/v", {"force": "1"}, None),
        ("POST", "/volumes/prune", {}, None),
    ],
)
async def test_a_row_that_is_not_built_names_its_operation(
    frontend: Frontend, method: str, path: str, query: dict[str, str], body: object
) -> None:
    answer = await frontend.call(method, path, query, body)
    assert (answer.status, bool(answer.message)) == (501, True)


async def test_a_tar_that_nobody_takes_is_a_501(frontend: Frontend) -> None:
    answer = await frontend.tar("POST", "/images/build", {"t": "a:b", "dockerfile": "Dockerfile", "rm": "1"})
    assert (answer.status, bool(answer.message)) == (501, True)


async def test_a_base_url_that_ends_in_a_slash_works(frontend: Frontend) -> None:
    """The frontend glues strings: `http://host/` and `/internal/v1` make two slashes."""
    answer = await frontend._pooled.ask("GET", "//internal/v1/info")
    assert answer.status == 200
