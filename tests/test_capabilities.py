"""The capabilities document has the agreed shape, and tells no more than what works."""

from __future__ import annotations

import json

from sockerless_ecs.capabilities import capabilities

_AGREED = json.loads("""{
  "backend": "ecs",
  "version": "0.1.0",
  "capabilities": {
    "exec": true,
    "attach": true,
    "logs": true,
    "logs_follow": true,
    "volumes": true,
    "networks": true,
    "health_checks": true,
    "image_pull": true,
    "image_load": true,
    "max_timeout_seconds": 0,
    "agent_required": true
  }
}""")


def _shape(value: object) -> object:
    return {key: _shape(one) for key, one in value.items()} if isinstance(value, dict) else type(value)


def test_document_has_exactly_the_agreed_keys_and_types() -> None:
    document = json.loads(json.dumps(capabilities()))
    assert _shape(document) == _shape(_AGREED)
    assert list(document["capabilities"]) == list(_AGREED["capabilities"])
    assert (document["backend"], document["version"]) == ("ecs", "0.1.0")


def test_only_what_works_is_true() -> None:
    document = capabilities()["capabilities"]
    assert isinstance(document, dict)
    assert {name for name, value in document.items() if value is True} == {
        "exec",
        "attach",
        "logs",
        "logs_follow",
        "health_checks",
        "image_pull",
        "image_load",
        "agent_required",
    }
    assert document["max_timeout_seconds"] == 0


def test_every_caller_gets_a_document_of_its_own() -> None:
    capabilities()["backend"] = "other"
    assert capabilities()["backend"] == "ecs"
