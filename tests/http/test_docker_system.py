"""The engine itself on the Docker API."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from sockerless_ecs.engine.values import DiskUsage
from sockerless_ecs.http.docker.unbuilt import UNBUILT, Unbuilt
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.image import Descriptor, Image
from sockerless_ecs.model.reference import parse
from tests.http.conftest import Served
from tests.http.fake_backend.images import an_image
from tests.http.wire import Wire

COMMON = {
    "api-version": "1.51",
    "docker-experimental": "false",
    "ostype": "linux",
    "cache-control": "no-cache, no-store, must-revalidate",
    "pragma": "no-cache",
    "swarm": "inactive",
    "builder-version": "",
    "content-type": "text/plain; charset=utf-8",
}


@pytest.mark.parametrize("path", ["/_ping", "/v1.24/_ping", "/v1.51/_ping"])
async def test_ping_says_which_api_it_is(docker: Wire, path: str) -> None:
    answer = await docker.ask("GET", path)
    assert (answer.status, answer.body) == (200, b"OK")
    assert answer.headers.items() >= COMMON.items()
    head = await docker.ask("HEAD", path)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "0")
    assert head.headers.items() >= COMMON.items()


async def test_version_has_what_the_cli_and_sdks_read(docker: Wire) -> None:
    version = (await docker.ask("GET", "/version")).json
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.51", "1.24")
    assert (version["Version"], version["Os"], version["Arch"]) == ("0.1.0", "linux", "amd64")
    [engine] = version["Components"]
    assert (engine["Name"], engine["Version"]) == ("Engine", "0.1.0")
    assert all(isinstance(value, str) for value in engine["Details"].values())
    assert (
        engine["Details"].items() >= {"ApiVersion": "1.51", "MinAPIVersion": "1.24", "Arch": "amd64"}.items()
    )


async def test_info_has_what_the_cli_compose_and_testcontainers_read(docker: Wire) -> None:
    info = (await docker.ask("GET", "/info")).json
    assert info["Swarm"]["LocalNodeState"] == "inactive"
    assert info["IndexServerAddress"] == "https://index.docker.io/v1/"
    assert info["RegistryConfig"]["IndexConfigs"]["docker.io"]["Official"] is True
    assert (info["OSType"], info["Architecture"], info["NCPU"]) == ("linux", "x86_64", 16)
    assert (info["Driver"], info["OperatingSystem"]) == ("fargate", "AWS Fargate")
    assert info["DefaultRuntime"] in info["Runtimes"]
    assert info["Plugins"].keys() == {"Volume", "Network", "Authorization", "Log"}
    assert {info[key] for key in ("SwapLimit", "CPUShares", "CPUSet")} == {False}  # nobody honours them here


async def test_events_begin_at_once_and_have_moby_s_form(engine: Served, docker: Wire) -> None:
    await engine.backend.container("c", labels={"a": "b"})
    await docker.send("GET", "/events?since=1")
    assert (await docker.head()).status == 200
    event = json.loads(await docker.chunk())
    assert list(event)[:6] == ["status", "id", "from", "Type", "Action", "Actor"]
    assert (event["status"], event["Action"], event["Type"]) == ("create", "create", "container")
    assert event["id"] == event["Actor"]["ID"]
    assert event["from"] == event["Actor"]["Attributes"]["image"] == "alpine:3"
    assert (event["scope"], event["time"]) == ("local", event["timeNano"] // 10**9)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ('filters={"nonsense":["x"]}', "invalid filter 'nonsense'"),
        ("filters=nonsense", "invalid filters"),
        ("since=abc", "since"),
        ("since=200&until=100", "`since` time (200) cannot be after `until` time (100)"),
    ],
)
async def test_events_that_cannot_be_asked_for_are_a_400(docker: Wire, query: str, words: str) -> None:
    answer = await docker.ask("GET", f"/events?{query}")
    assert (answer.status, words in answer.message) == (400, True)
    assert (await docker.ask("GET", "/_ping")).status == 200


async def test_an_event_that_is_nobody_s_has_no_id(engine: Served, docker: Wire) -> None:
    engine.backend.system.history.append(
        EngineEvent(type="image", action="prune", actor_id="", time_ns=10**9, attributes={"reclaimed": "7"})
    )
    answer = await docker.ask("GET", "/events?since=1&until=2")
    assert json.loads(answer.body) == {
        "status": "prune",
        "Type": "image",
        "Action": "prune",
        "Actor": {"ID": "", "Attributes": {"reclaimed": "7"}},
        "scope": "local",
        "time": 1,
        "timeNano": 10**9,
    }


async def test_events_of_the_past_end(engine: Served, docker: Wire) -> None:
    await engine.backend.container("c")
    answer = await docker.ask("GET", f"/events?since=1&until={int(time.time()) + 1}")
    assert [json.loads(line)["Action"] for line in answer.body.splitlines()] == ["create"]


def _images() -> tuple[Image, ...]:
    return tuple(an_image(parse(name).full) for name in ("alpine:3", "alpine:latest"))


async def test_disk_usage_counts_an_image_once_with_its_containers(engine: Served, docker: Wire) -> None:
    container = await engine.backend.container("c")
    record = engine.backend.containers.by_id[container]
    engine.backend.system.usage = DiskUsage(layers_bytes=7, images=_images(), containers=(record,))
    usage = (await docker.ask("GET", "/system/df")).json
    assert usage["LayersSize"] == 7
    [image] = usage["Images"]
    assert (image["RepoTags"], image["Containers"]) == (["alpine:3", "alpine:latest"], 1)
    assert [one["Id"] for one in usage["Containers"]] == [container]
    assert (usage["Volumes"], usage["BuildCache"]) == ([], [])
    assert "BuilderSize" not in usage
    assert (await docker.ask("GET", "/v1.41/system/df")).json["BuilderSize"] == 0


async def test_disk_usage_tells_what_images_share(engine: Served, docker: Wire) -> None:
    layers = [Descriptor(digest=f"sha256:{number:064x}", size=size) for number, size in enumerate((5, 2))]
    one, other = (replace(image, blobs=tuple(layers)) for image in _images())
    engine.backend.system.usage = DiskUsage(
        layers_bytes=7, images=(one, replace(other, id="sha256:" + "e" * 64, blobs=(layers[0],)))
    )
    usage = (await docker.ask("GET", "/system/df")).json
    assert [image["SharedSize"] for image in usage["Images"]] == [5, 5]


async def test_disk_usage_of_one_kind_leaves_out_the_others(engine: Served, docker: Wire) -> None:
    engine.backend.system.usage = DiskUsage(layers_bytes=7, images=_images())
    usage = (await docker.ask("GET", "/system/df?type=image")).json
    assert len(usage["Images"]) == 1
    assert [usage[key] for key in ("Containers", "Volumes", "BuildCache")] == [None, None, None]
    both = (await docker.ask("GET", "/system/df?type=container&type=volume")).json
    assert [both[key] for key in ("Images", "Containers", "Volumes", "BuildCache")] == [None, [], [], None]
    assert (await docker.ask("GET", "/system/df?type=image&type=nonsense")).status == 400


async def test_a_login_is_checked_with_its_registry(docker: Wire) -> None:
    given = {"username": "u", "password": "right", "serveraddress": "registry.example"}
    answer = await docker.ask("POST", "/auth", given)
    assert (answer.status, answer.json) == (200, {"Status": "Login Succeeded", "IdentityToken": ""})
    lasting = await docker.ask("POST", "/auth", given | {"serveraddress": "tokens.example"})
    assert lasting.json == {"Status": "Login Succeeded", "IdentityToken": "a token"}
    refused = await docker.ask("POST", "/auth", given | {"password": "wrong"})
    assert refused.status == 401
    assert refused.message == "login attempt to registry.example failed: wrong password"


@pytest.mark.parametrize("row", UNBUILT, ids=lambda row: row.operation)
async def test_what_is_not_built_says_why(docker: Wire, row: Unbuilt) -> None:
    path = row.path.replace("<ref:ref>", "x").replace("<refs:ref>", "a/b").replace("<ref:checkpoint>", "c")
    answer = await docker.ask(row.method, path)
    assert answer.status == 501
    assert answer.message == f"{row.what} is not implemented by this backend: {row.why}"
    assert (await docker.ask("GET", "/_ping")).status == 200
