"""The image `host`: it stands for the machine's own file system, so that a first run needs no download."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

from sockerless_ecs.registry import manifest
from sockerless_ecs.sandbox.registry.storage import Storage

HOST_LABEL = "sockerless.sandbox.host"
HOST_REPOSITORY = "library/host"
ARCHITECTURES = ("amd64", "arm64")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def store_host_image(storage: Storage) -> str:
    """Put `library/host:latest` there, for every architecture; the index's digest, always the same."""
    layer = _placeholder()
    diff_id = storage.put_blob(HOST_REPOSITORY, layer)
    entries = []
    for architecture in ARCHITECTURES:
        config = _json(_config(architecture, diff_id))
        document = {
            "schemaVersion": 2,
            "mediaType": manifest.OCI_MANIFEST,
            "config": {
                "mediaType": manifest.OCI_CONFIG,
                "digest": storage.put_blob(HOST_REPOSITORY, config),
                "size": len(config),
            },
            "layers": [{"mediaType": manifest.OCI_LAYER, "digest": diff_id, "size": len(layer)}],
        }
        data = _json(document)
        entries.append(
            {
                "mediaType": manifest.OCI_MANIFEST,
                "digest": storage.put_manifest(HOST_REPOSITORY, data, manifest.OCI_MANIFEST),
                "size": len(data),
                "platform": {"os": "linux", "architecture": architecture},
            }
        )
    index = {"schemaVersion": 2, "mediaType": manifest.OCI_INDEX, "manifests": entries}
    return storage.put_manifest(HOST_REPOSITORY, _json(index), manifest.OCI_INDEX, "latest")


def _config(architecture: str, diff_id: str) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/sh"], "Env": [_PATH], "Labels": {HOST_LABEL: "true"}},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "the machine's own file system"}],
    }


def _placeholder() -> bytes:
    text = b"The sandbox runs the image `host` on the machine's own file system.\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        entry = tarfile.TarInfo("SOCKERLESS_HOST")
        entry.size, entry.mode = len(text), 0o444
        tar.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
