"""Manifests and blobs for scripted registries."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sockerless_ecs.registry import Platform
from sockerless_ecs.registry import manifest as media
from tests.registry.scripted_registry import Asked, Said

AMD64, ARM64 = Platform(architecture="amd64"), Platform(architecture="arm64")
CONFIG: Mapping[str, Any] = {
    "architecture": "amd64",
    "os": "linux",
    "created": "2026-01-01T00:00:00Z",
    "author": "me",
    "config": {
        "User": "1000:1000",
        "Env": ["PATH=/bin", "A=b"],
        "Cmd": ["-c", "true"],
        "Entrypoint": ["/bin/sh"],
        "WorkingDir": "/work",
        "Labels": {"a": "b"},
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Volumes": {"/data": {}},
        "StopSignal": "SIGINT",
        "Healthcheck": {"Test": ["CMD", "true"], "Interval": 5, "StartPeriod": 7, "Retries": 3},
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]},
}


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def to_json(document: object) -> bytes:
    return json.dumps(document).encode()


class Content:
    """Manifests and blobs that a scripted registry serves."""

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[str, bytes]] = {}
        self.blobs: dict[str, bytes] = {}

    def blob(self, data: bytes) -> str:
        self.blobs[sha256(data)] = data
        return sha256(data)

    def manifest(self, document: object, media_type: str, tag: str = "") -> str:
        data = to_json(document)
        for name in (sha256(data), tag):
            self.manifests[name] = (media_type, data)
        return sha256(data)

    def image(
        self, config: object = CONFIG, *, media_type: str = media.OCI_MANIFEST, tag: str = "", **more: object
    ) -> str:
        data = to_json(config)
        descriptor = {"mediaType": media.OCI_CONFIG, "digest": self.blob(data), "size": len(data)}
        layers = [{"mediaType": media.OCI_LAYER_GZIP, "digest": "sha256:" + "2" * 64, "size": 1000}]
        document = {"schemaVersion": 2, "config": descriptor, "layers": layers, **more}
        return self.manifest(document, media_type, tag)

    def __call__(self, asked: Asked) -> Said:
        kind, name = asked.path.partition("?")[0].rsplit("/", 2)[1:]
        if kind == "manifests" and name in self.manifests:
            media_type, data = self.manifests[name]
            return Said(200, data, {"Content-Type": media_type, "Docker-Content-Digest": sha256(data)})
        if kind == "blobs" and name in self.blobs:
            return Said(200, self.blobs[name])
        return Said(404, to_json({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}))


def index(*entries: tuple[str, Mapping[str, str] | None], **more: object) -> Mapping[str, object]:
    manifests = [
        {"mediaType": media.OCI_MANIFEST, "digest": digest, "size": 1, **({"platform": p} if p else {})}
        for digest, p in entries
    ]
    return {"schemaVersion": 2, "manifests": manifests, **more}
