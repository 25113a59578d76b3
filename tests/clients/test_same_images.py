"""Histories, prunes and questions to registries are answered as a real dockerd answers them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.clients.allowed import EVERYWHERE
from tests.clients.engines import IMAGE, Target, load
from tests.clients.recorder import Recorder, Scenario, compare
from tests.engine.bundles import Parts, archive, layer, parts, tarred

BASE, TOP, OWN = (layer({f"etc/{name}": name.encode()}) for name in ("base", "top", "own"))
STEPS = (
    {"created": "2026-01-01T00:00:00Z", "created_by": "ADD base", "comment": "first", "author": "me"},
    {"created": "2026-01-01T00:00:01.999Z", "created_by": "ENV A=b", "empty_layer": True},
    {"created": "1960-01-01T00:00:00.5Z", "created_by": "LABEL of=long ago", "empty_layer": True},
    {"created_by": "ADD top"},
)
TOLD = parts([BASE, TOP], history=STEPS, comment="told", docker_version="20.10.1", author="me")
SILENT = parts([BASE], config={"Labels": {"kind": "silent"}})
SHORT = parts([BASE, TOP], history=STEPS[:1], config={"Labels": {"kind": "short"}})
LABELLED = parts([OWN], config={"Labels": {"kind": "labelled", "of": "pruning"}})


def histories(docker: Recorder) -> None:
    for image, *tags in ((TOLD, "told:1", "told:2", "sockerless/told:1"), (SILENT, "silent:1"), (SHORT,)):
        _load(docker, image, *tags)
    for name in ("told:1", "sockerless/told:1", "silent:1", TOLD.id, SHORT.id, SHORT.id[7:19], IMAGE):
        docker.call("GET", f"/images/{name}/history")
    docker.call("GET", "/images/nobody/history")
    docker.call("GET", "/images/Nobody/history")
    docker.call("GET", "/images/told:1/json")
    for image in (TOLD, SILENT, SHORT):
        docker.call("DELETE", f"/images/{image.id}", force=1, only=_gone)


def prunes(docker: Recorder) -> None:
    for filters in (
        {"nonsense": ["x"]}, {"reference": ["x"]}, {"dangling": ["maybe"]}, {"dangling": ["TRUE"]},
        {"until": ["x"]}, {"until": ["1", "2"]},
    ):  # fmt: skip
        docker.call("POST", "/images/prune", filters=json.dumps(filters))
    docker.call("POST", "/images/prune", filters="{not json")
    docker.call("POST", "/images/prune", only=_pruned)
    for image, *tags in ((SILENT,), (SHORT, "short:1"), (LABELLED, "labelled:1", "sockerless/labelled:2")):
        _load(docker, image, *tags)
    container = docker.create("keeps-it", "exit", "0", Image="short:1", Cmd=["x"])
    since = time.time()
    for filters in (
        {"label": ["kind=nobody"]}, {"label!": ["kind"]}, {"until": ["2000-01-01T00:00:00Z"]},
        {"dangling": ["true"]},
        {"dangling": ["true"]},
        {"dangling": ["false"], "label": ["of"], "until": ["2025-12-31T23:59:59Z"]},
        {"dangling": ["false"], "label": ["of"], "until": ["2026-01-01T00:00:00Z"]},
        {"dangling": ["0"], "label": ["kind"]},
    ):  # fmt: skip
        docker.call("POST", "/images/prune", filters=json.dumps(filters), only=_pruned)
        old = json.dumps({key: dict.fromkeys(values, True) for key, values in filters.items()})
        docker.call("POST", "/images/prune", filters=old, only=_pruned)
    docker.call("GET", "/images/json", filters='{"label":["kind"]}', only=_tags)
    docker.call("DELETE", f"/containers/{container}")
    docker.call("POST", "/images/prune", filters='{"dangling":["false"],"label":["kind"]}', only=_pruned)
    docker.events(since, "prune", type=["image"])


def searches(docker: Recorder) -> None:
    for query in ({"limit": -1}, {"limit": 101}, {"limit": "x"}):
        docker.call("GET", "/images/search", term="x", **query)
    for kind in ("nonsense", "is-official", "is-automated", "stars"):
        docker.call("GET", "/images/search", term="x", filters=json.dumps({kind: ["x"]}))
    docker.call("GET", "/images/search", term="x", filters="{not json")
    docker.call("GET", "/images/search", term="https://quay.example/x")


def distributions(docker: Recorder) -> None:
    for name in ("UPPER", "x@sha256:12", "a" * 64, "x:!"):
        docker.call("GET", f"/distribution/{name}/json")


def what_images_take(docker: Recorder) -> None:
    _load(docker, TOLD, "told:1")
    _load(docker, SILENT, "silent:1")
    docker.call("GET", "/system/df", only=_shares)
    for image in (TOLD, SILENT):
        docker.call("DELETE", f"/images/{image.id}", only=_gone)


def _load(docker: Recorder, image: Parts, *tags: str) -> None:
    load(docker.engine.socket, tarred(archive(image, *tags)))


def _gone(body: Any) -> Any:
    """Without the layers, which only that one has on its machine."""
    return sorted(json.dumps(step) for step in body if "Untagged" in step)


def _pruned(body: Any) -> Any:
    images = {TOLD.id, SILENT.id, SHORT.id, LABELLED.id}
    steps = body["ImagesDeleted"]
    gone = steps and [step for step in steps if step.get("Deleted") in images or "Untagged" in step]
    return {"gone": gone, "nothing": steps is None, "reclaimed": bool(body["SpaceReclaimed"])}


def _tags(body: Any) -> Any:
    return [sorted(one["RepoTags"] or ()) for one in body]


def _shares(body: Any) -> Any:
    mine = {one["RepoTags"][0]: one for one in body["Images"] if one["RepoTags"]}
    told, silent = mine["told:1"], mine["silent:1"]
    return {
        "layers": body["LayersSize"] > 0,
        "told has more": told["Size"] > told["SharedSize"] > 0,
        "silent has only what told has": silent["SharedSize"] > 0,
        "the same": silent["SharedSize"] == told["SharedSize"],
        "containers": [told["Containers"], silent["Containers"]],
    }


_LATER = {
    "GET /images/Nobody/history": (400, ""),
    "POST /images/prune {'filters': '{\"until\": [\"x\"]}'}": (400, ""),
    'POST /images/prune {\'filters\': \'{"until": ["1", "2"]}\'}': (
        400,
        "more than one until filter specified",
    ),
    "POST /images/prune {'filters': '{not json'}": (400, ""),
    "GET /images/search {'term': 'x', 'limit': 'x'}": (400, ""),
    "GET /images/search {'term': 'x', 'filters': '{not json'}": (400, ""),
    "GET /images/search {'term': 'https://quay.example/x'}": (
        400,
        "invalid repository name: repository name (https://quay.example/x) should not have a scheme",
    ),
    "GET /distribution/UPPER/json": (400, ""),
    f"GET /distribution/{'a' * 64}/json": (400, ""),
}
"""The client's own mistakes, which the older dockerd answers with 500 or in other words."""

_ALLOWED = {
    **{where: why for where, why in EVERYWHERE.items() if where != "*.Created"},
    "*.Actor.Attributes.reclaimed": "of the layers as they are packed",
}

_SCENARIOS: tuple[Scenario, ...] = (histories, prunes, searches, distributions, what_images_take)


@pytest.mark.parametrize("scenario", _SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_what_is_told_of_images_is_a_real_dockerds(scenario: Scenario, ours: Target, real: Target) -> None:
    found = compare(scenario, ours, real, _ALLOWED, _LATER)
    assert not found, "\n".join(found)
