"""Lists, inspections and what the engine says of itself have a real dockerd's fields."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.clients.allowed import EVERYWHERE
from tests.clients.engines import IMAGE, VERSION, Target
from tests.clients.recorder import Recorder, Scenario, compare


def lists_by_each_filter(docker: Recorder) -> None:
    docker.create("alpha", "exit", "3", Labels={"role": "a", "of": "lists"})
    check = {"Test": ["CMD", "/bin/program", "exit", "0"], "Interval": 3_600_000_000_000}
    beta = docker.create("beta", "forever", Labels={"role": "b", "of": "lists"}, Healthcheck=check)
    docker.create("gamma-beta", "exit", "0", Labels={"of": "lists"}, ExposedPorts={"80/tcp": {}})
    docker.container("alpha", "start")
    docker.container("alpha", "wait")
    docker.container("beta", "start")
    image = docker.http.get(f"/{VERSION}/images/{IMAGE}/json").json()["Id"]
    docker.aliases |= {image: "<image>", image[7:]: "<digest>", image[7:19]: "<short>", beta[:6]: "<beta-6>"}
    for filters in (
        {}, {"name": ["beta"]}, {"name": ["^beta$"]}, {"name": ["^/beta$"]},
        {"name": ["^/bet"]}, {"name": ["[ab]l"]},
        {"id": [beta]}, {"id": [beta[:6]]}, {"id": ["zz"]},
        {"status": ["exited"]}, {"status": ["created"]}, {"status": ["running"]},
        {"status": ["paused", "created"]},
        {"status": ["nonsense"]}, {"exited": ["3"]}, {"exited": ["0"]}, {"exited": ["x"]},
        {"health": ["none"]}, {"health": ["starting"]}, {"health": ["nonsense"]},
        {"label": ["role"]}, {"label": ["role=a"]}, {"label": ["role", "of=lists"]},
        {"label": ["role=a", "role=b"]},
        {"label": [""]}, {"ancestor": [IMAGE]}, {"ancestor": [image]}, {"ancestor": [image[7:]]},
        {"ancestor": [image[7:19]]}, {"ancestor": ["nobody"]}, {"ancestor": ["sockerless/program"]},
        {"before": ["beta"]}, {"since": ["beta"]}, {"before": ["nobody"]}, {"since": ["nobody"]},
        {"publish": ["80"]}, {"volume": ["x"]}, {"network": ["nothing"]}, {"is-task": ["true"]},
        {"is-task": ["x"]},
        {"name": ["alpha", "beta"]}, {"name": ["beta"], "status": ["created"]},
    ):  # fmt: skip
        mine = {"label": ["of=lists"], **filters} if "label" not in filters else filters
        docker.call("GET", "/containers/json", all=1, filters=json.dumps(mine), only=_named)
        if len(filters) == 1:
            old = json.dumps({key: dict.fromkeys(values, True) for key, values in mine.items()})
            docker.call("GET", "/containers/json", filters=old, only=_named)
    mine_only = json.dumps({"label": ["of=lists"]})
    for query in ({"limit": 1}, {"limit": 0}, {"limit": -1}, {"limit": "x"}, {"all": "x"}, {"all": 0}):
        docker.call("GET", "/containers/json", **query, filters=mine_only, only=_named)
    docker.call("GET", "/containers/json", all=1, size=1, filters=mine_only, only=_keys)
    docker.call("GET", "/containers/alpha/json", size=1, only=_keys)
    for name in ("alpha", "beta", "gamma-beta"):
        docker.call("DELETE", f"/containers/{name}", force=1)


def references_to_a_container(docker: Recorder) -> None:
    container = docker.create("referred", "exit", "0")
    for ref in (container, container[:12], container[:20], "referred", "refer"):
        docker.aliases[ref] = "<referred>" if len(ref) == 20 else docker.aliases.get(ref, ref)
        docker.call("GET", f"/containers/{ref}/json", only=lambda body: body["Name"])
    docker.call("DELETE", f"/containers/{container[:12]}")


def stats_and_top(docker: Recorder) -> None:
    container = docker.create("measured", "forever")
    one_shot: dict[str, Any] = {"one-shot": 1}
    docker.call("GET", f"/containers/{container}/stats", stream=0, only=_types)
    docker.container(container, "start")
    docker.call("GET", f"/containers/{container}/stats", only=_types, stream=0, **one_shot)
    docker.call("GET", f"/containers/{container}/stats", stream=0, only=_types)
    for arguments in ("", "aux", "-ef", "-o pid,comm", "-eo user,pid,args"):
        query: dict[str, Any] = {"ps_args": arguments} if arguments else {}
        docker.call("GET", f"/containers/{container}/top", only=_titles, **query)
    docker.call("DELETE", f"/containers/{container}", force=1)


def changes(docker: Recorder) -> None:
    container = docker.create(
        "changed", "write", "/etc/new", "x", ";", "make", "/a/b", ";", "remove", "/etc/passwd"
    )
    docker.container(container, "changes", method="GET")
    docker.container(container, "start")
    docker.container(container, "wait")
    docker.container(
        container, "changes", method="GET", only=lambda body: sorted(body, key=lambda change: change["Path"])
    )
    docker.call("DELETE", f"/containers/{container}")


def archives(docker: Recorder) -> None:
    container = docker.create("packed", "forever")
    docker.container(container, "start")
    for path in (
        "/etc/passwd", "/etc", "/etc/", "/etc/.", "etc", "/", ".", "",
        "/nothing", "/bin/../etc/passwd",
    ):  # fmt: skip
        for method in ("HEAD", "GET"):
            docker.call(method, f"/containers/{container}/archive", path=path)
        docker.call("PUT", f"/containers/{container}/archive", path=path, content=bytes(1024))
    docker.call("PUT", f"/containers/{container}/archive", path="/bin", content=b"no tar at all")
    docker.call(
        "PUT", f"/containers/{container}/archive", path="/etc", noOverwriteDirNonDir=1, content=bytes(1024)
    )
    docker.call("DELETE", f"/containers/{container}", force=1)


def fields_of_create(docker: Recorder) -> None:
    made: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({}, {"Ulimits": [{"Name": "nofile", "Soft": 100, "Hard": 200}]}),
        ({}, {"GroupAdd": ["5", "root"], "CapDrop": ["NET_RAW", "CAP_CHOWN", "ALL"]}),
        ({}, {"ReadonlyRootfs": True, "ExtraHosts": ["a:1.2.3.4", "b:host-gateway"]}),
        ({}, {"SecurityOpt": ["no-new-privileges"], "Init": False, "AutoRemove": True}),
        ({}, {"Memory": 67_108_864, "NanoCpus": 250_000_000}),
        ({}, {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}),
        ({"Cmd": None}, {}),
        ({"Cmd": None, "Entrypoint": ["/bin/program", "print"]}, {}),
        ({"Entrypoint": "/bin/program", "Cmd": "hello"}, {}),
        ({"Entrypoint": []}, {}),
        ({"Entrypoint": [""]}, {}),
        ({"Tty": True, "AttachStdout": True, "AttachStdin": True, "OpenStdin": True}, {}),
        ({"Env": ["PATH=/x", "A", "B=", "B=2"], "Domainname": "d", "Hostname": "h"}, {}),
        ({"StopTimeout": 0, "StopSignal": "9", "ExposedPorts": {"80/tcp": {}}}, {}),
        ({"Healthcheck": {"Test": ["NONE"]}}, {}),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "x"], "Timeout": 1_000_000_000, "Retries": 2}}, {}),
        ({"Labels": {"": "x", "a.b": ""}}, {}),
    )
    for number, (config, host) in enumerate(made):
        container = docker.create(f"made-{number}", *("exit", "0"), HostConfig=host, **config)
        docker.container(container, "json", method="GET")
        docker.call("DELETE", f"/containers/{container}")
    for config in (
        {"Env": ["=x"]}, {"Env": [""]}, {"WorkingDir": "relative"}, {"Cmd": 5}, {"Tty": "x"},
        {"HostConfig": {"ExtraHosts": ["x"]}}, {"HostConfig": {"ExtraHosts": ["a:b"]}},
        {"HostConfig": {"Memory": 5}}, {"HostConfig": {"CapDrop": ["NONSENSE"]}},
        {"HostConfig": {"NanoCpus": 1, "CpuQuota": 5000}},
        {"HostConfig": {"CpuQuota": 5}},
    ):  # fmt: skip
        docker.call("POST", "/containers/create", body={"Image": IMAGE, **config})


def images(docker: Recorder) -> None:
    since = time.time()
    image = docker.http.get(f"/{VERSION}/images/{IMAGE}/json").json()["Id"]
    docker.aliases |= {image: "<image>", image[7:]: "<digest>", image[7:19]: "<short>"}
    for tag in ("sockerless/second:1", "sockerless/second:2", "plain:latest"):
        repo, _, version = tag.partition(":")
        docker.call("POST", f"/images/{image}/tag", repo=repo, tag=version)
    for ref in (
        image,
        image[7:],
        image[7:19],
        IMAGE,
        "plain",
        "plain:latest",
        "docker.io/library/plain",
        "pla",
    ):
        docker.call("GET", f"/images/{ref}/json", only=lambda body: sorted(body["RepoTags"]))
    for filters in (
        {"reference": ["sockerless/second"]}, {"reference": ["sockerless/*"]}, {"reference": ["*/second:2"]},
        {"reference": ["plain"]}, {"dangling": ["true"]}, {"dangling": ["x"]}, {"nonsense": ["x"]},
        {"label": ["x"]}, {"before": ["nobody"]},
    ):  # fmt: skip
        docker.call("GET", "/images/json", filters=json.dumps(filters), only=_tags)
    container = docker.create("uses-it", "exit", "0")
    docker.call("DELETE", f"/images/{image}")
    docker.call("DELETE", f"/images/{image[7:19]}")
    docker.call("DELETE", "/images/sockerless/second:1")
    docker.call("DELETE", "/images/sockerless/second:2", noprune=1)
    docker.call("DELETE", "/images/plain", force=1)
    docker.call("DELETE", "/images/plain")
    docker.call("DELETE", f"/images/{IMAGE}")
    docker.call("POST", f"/images/{image}/tag", repo="sockerless/program", tag="1")
    docker.call("POST", f"/images/{IMAGE}/tag", repo="Upper")
    docker.call("POST", f"/images/{IMAGE}/tag")
    docker.call("DELETE", f"/containers/{container}")
    docker.events(since, "tag", type=["image"])


def the_system(docker: Recorder) -> None:
    for method in ("GET", "HEAD"):
        docker.call(method, "/_ping")
        docker.call(method, "/_ping", version="")
    docker.call("GET", "/info", only=_types)
    docker.call("GET", "/version", only=_types)
    docker.call(
        "GET", "/system/df", only=lambda body: {key: type(value).__name__ for key, value in body.items()}
    )
    docker.call("PUT", "/containers/json")
    docker.call("GET", "/containers/create")
    docker.call("GET", "/")
    docker.call("GET", "/", version="")
    docker.call("GET", "/nothing/at/all", version="")
    docker.call("GET", "/containers/json", version="/v1.99", only=lambda _: None)
    docker.call("GET", "/_ping", version="/vx")
    docker.call("POST", "/containers/prune", filters='{"label":["nobody-has-it"]}')
    docker.call("POST", "/containers/prune", filters='{"nonsense":["x"]}')
    docker.call("POST", "/containers/prune", filters='{"until":["x"]}')
    docker.call("GET", "/events", filters='{"nonsense":["x"]}', until="1")
    docker.call("GET", "/events", since="x", until="1")
    docker.call("GET", "/events", since="2", until="1")


def old_versions(docker: Recorder) -> None:
    container = docker.create("old", "exit", "0")
    for version in ("/v1.24", "/v1.30", "/v1.40", ""):
        docker.call("GET", f"/containers/{container}/json", version=version, only=_keys)
        docker.call(
            "GET", "/containers/json", version=version, all=1, filters='{"name":["^/old$"]}', only=_keys
        )
        docker.call("GET", f"/images/{IMAGE}/json", version=version, only=_keys)
    docker.call("POST", f"/containers/{container}/start", version="/v1.24")
    docker.call("POST", f"/containers/{container}/wait", version="/v1.24")
    docker.call("POST", f"/containers/{container}/wait", version="/v1.30")
    docker.call("GET", f"/containers/{container}/top", version="/v1.24")
    docker.call("DELETE", f"/containers/{container}", version="/v1.24")


def _named(body: Any) -> Any:
    return [one["Names"] for one in body]


def _tags(body: Any) -> Any:
    return [sorted(one["RepoTags"] or ()) for one in body]


def _titles(body: Any) -> Any:
    return {"Titles": body["Titles"], "columns": [len(row) for row in body["Processes"]]}


def _keys(body: Any) -> Any:
    return (
        [dict.fromkeys(one, "is there") for one in body]
        if isinstance(body, list)
        else dict.fromkeys(body, "is there")
    )


def _types(body: Any) -> Any:
    """The kinds of things in place of the things."""
    match body:
        case dict():
            return {key: _types(value) for key, value in body.items()}
        case list():
            return [_types(body[0])] if body else []
    return type(body).__name__ if body is not None else None


_CREATE = f"POST /containers/create {{'Image': '{IMAGE}', "
_TAG = f"POST /images/{IMAGE}/tag"

_MISTAKES = (
    'GET /containers/json {\'all\': 1, \'filters\': \'{"label": ["of=lists"], "exited": ["x"]}\'}',
    'GET /containers/json {\'filters\': \'{"label": {"of=lists": true}, "exited": {"x": true}}\'}',
    'GET /containers/json {\'all\': 1, \'filters\': \'{"label": ["of=lists"], "health": ["nonsense"]}\'}',
    'GET /containers/json {\'filters\': \'{"label": {"of=lists": true}, "health": {"nonsense": true}}\'}',
    'GET /containers/json {\'all\': 1, \'filters\': \'{"label": ["of=lists"], "is-task": ["x"]}\'}',
    'GET /containers/json {\'filters\': \'{"label": {"of=lists": true}, "is-task": {"x": true}}\'}',
    "GET /containers/json {'limit': 'x', 'filters': '{\"label\": [\"of=lists\"]}'}",
    "PUT /containers/<packed>/archive {'path': '/etc/passwd'}",
    "PUT /containers/<packed>/archive {'path': '/bin/../etc/passwd'}",
    "PUT /containers/<packed>/archive {'path': '/bin'}",
    "PUT /containers/<packed>/archive {'path': ''}",
    "GET /containers/<packed>/archive {'path': ''}",
    f"{_CREATE}'Cmd': 5}}",
    f"{_CREATE}'Tty': 'x'}}",
    "GET /images/json {'filters': '{\"dangling\": [\"x\"]}'}",
    f"{_TAG} {{'repo': 'Upper'}}",
    _TAG,
    "GET /containers/json",
    "POST /containers/prune {'filters': '{\"until\":[\"x\"]}'}",
    "GET /events {'filters': '{\"nonsense\":[\"x\"]}', 'until': '1'}",
    "GET /events {'since': 'x', 'until': '1'}",
)
"""The client's own, which the older dockerd answers with 500 or in other words."""

_NOBODY = (
    'GET /containers/json {\'all\': 1, \'filters\': \'{"label": ["of=lists"], "before": ["nobody"]}\'}',
    'GET /containers/json {\'filters\': \'{"label": {"of=lists": true}, "before": {"nobody": true}}\'}',
    'GET /containers/json {\'all\': 1, \'filters\': \'{"label": ["of=lists"], "since": ["nobody"]}\'}',
    'GET /containers/json {\'filters\': \'{"label": {"of=lists": true}, "since": {"nobody": true}}\'}',
)

_LATER = {
    **dict.fromkeys(_MISTAKES, (400, "")),
    **dict.fromkeys(_NOBODY, (404, "")),
    "GET /images/pla/json": (404, "No such image: pla:latest"),
}

_ALLOWED = {
    **EVERYWHERE,
    "blkio_stats": "what the machine's cgroups count",
    "memory_stats.stats": "what the machine's cgroups count",
    "memory_stats.max_usage": "of version 1 of cgroups",
    "cpu_stats.cpu_usage.percpu_usage": "of version 1 of cgroups",
    "precpu_stats.cpu_usage.percpu_usage": "of version 1 of cgroups",
    "HostConfig.MemorySwap": "no swap on Fargate",
    "Container": "gone in later versions",
    "BuildCache": "there is no builder",
    **dict.fromkeys(
        (
            "DriverStatus", "Plugins.Volume", "KernelMemory", "KernelMemoryTCP", "BridgeNfIptables",
            "BridgeNfIp6tables", "CgroupVersion", "Runtimes", "ContainerdCommit", "RuncCommit", "InitCommit",
            "SecurityOptions",
        ),
        "of a machine that there is not",
    ),
}  # fmt: skip

_SCENARIOS: tuple[Scenario, ...] = (
    lists_by_each_filter,
    references_to_a_container,
    stats_and_top,
    changes,
    archives,
    fields_of_create,
    images,
    the_system,
    old_versions,
)


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_is_shown_is_a_real_dockerds(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, _ALLOWED, _LATER)
    assert not found, "\n".join(found)
