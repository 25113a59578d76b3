"""Tars of images as `docker save` made them before and since version 25, and as OCI layouts."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

Member = tuple[str, bytes | tarfile.TarInfo]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Parts:
    """An image taken apart."""

    config: bytes
    layers: Sequence[bytes]

    @property
    def id(self) -> str:
        return digest_of(self.config)


def layer(files: Mapping[str, bytes]) -> bytes:
    """An uncompressed layer."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o755
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def parts(
    layers: Sequence[bytes],
    diff_ids: Sequence[str] = (),
    config: Mapping[str, Any] | None = None,
    **more: Any,
) -> Parts:
    """An image of layers; `diff_ids` are theirs unless given."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2026-01-01T00:00:00Z",
        "config": {"Env": [PATH], **(config or {})},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids) or [digest_of(one) for one in layers]},
        **more,
    }
    return Parts(as_json(document), layers)


def archive(image: Parts, *tags: str) -> list[Member]:
    """As `docker save` had it for years: a folder for each layer, equal layers linked, manifest.json last."""
    members: list[Member] = []
    first: dict[bytes, str] = {}
    names = []
    for number, one in enumerate(image.layers):
        folder = digest_of(f"{number}".encode()).removeprefix("sha256:")
        names.append(f"{folder}/layer.tar")
        members.append((f"{folder}/VERSION", b"1.0"))
        members.append((f"{folder}/json", as_json({"id": folder})))
        if one in first:
            members.append((names[-1], symlink(names[-1], f"../{first[one]}")))
        else:
            first[one] = names[-1]
            members.append((names[-1], one))
    config = f"{image.id.removeprefix('sha256:')}.json"
    members.append((config, image.config))
    manifest = [{"Config": config, "RepoTags": list(tags) or None, "Layers": names}]
    members.append(("manifest.json", as_json(manifest)))
    members.append(("repositories", as_json({})))
    return members


def layout(
    image: Parts, name: str = "", *, saved_by_docker: bool = False, index: bool = False
) -> list[Member]:
    """An OCI layout; Docker since version 25 adds its own manifest.json."""
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, image.config),
            "layers": [descriptor(OCI_LAYER, one) for one in image.layers],
        }
    )
    blobs = [*image.layers, image.config, manifest]
    top = descriptor(OCI_MANIFEST, manifest)
    if index:
        platform = {"os": "linux", "architecture": "amd64"}
        blobs.append(
            as_json(
                {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [{**top, "platform": platform}]}
            )
        )
        top = descriptor(OCI_INDEX, blobs[-1])
    if name:
        top["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": "latest"}
    members: list[Member] = [(blob_name(one), one) for one in blobs]
    members.append(("index.json", as_json({"schemaVersion": 2, "manifests": [top]})))
    if saved_by_docker:
        layers = [blob_name(one) for one in image.layers]
        saved = {"Config": blob_name(image.config), "RepoTags": [name], "Layers": layers}
        members.append(("manifest.json", as_json([saved])))
    members.append(("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'))
    return members


def tarred(members: Sequence[Member], *, prefix: str = "") -> bytes:
    """The members as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            entry = tarfile.TarInfo(prefix + name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def symlink(name: str, target: str, *, hard: bool = False) -> tarfile.TarInfo:
    """A link."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), target
    return entry


def blob_name(data: bytes) -> str:
    """Where an OCI layout has it."""
    return f"blobs/sha256/{digest_of(data).removeprefix('sha256:')}"


def descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def as_json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
