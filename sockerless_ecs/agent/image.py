"""The agent's image: scratch and the binary, one layer an architecture, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from sockerless_ecs import __version__
from sockerless_ecs.errors import Misconfigured

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
PROGRAM = "/sockerless-agent"
_ARCHITECTURES = ("amd64", "arm64")
_BINARIES = Path(__file__).parent / "bin"
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class AgentImage:
    """What a registry must hold so that `tag` names the agent for every architecture."""

    blobs: Mapping[str, bytes]
    """Layers and configs, by digest."""
    manifests: Mapping[str, bytes]
    """One manifest an architecture, by digest; the index names them."""
    index: bytes
    tag: str

    @property
    def digest(self) -> str:
        """Of the index: what a task definition refers to."""
        return _digest(self.index)


class ImageTarget(Protocol):
    """A repository that can be written to."""

    async def has_manifest(self, ref: str) -> str | None:
        """The digest of the manifest with this tag or digest; None if there is none."""

    async def push_blob(self, digest: str, data: bytes) -> None:
        """Store a blob, if it is not there yet."""

    async def push_manifest(self, ref: str, media_type: str, data: bytes) -> None:
        """Store a manifest under a tag or its digest."""


def agent_image(binaries: Path = _BINARIES, tag: str = __version__) -> AgentImage:
    """The image of the binaries that came with this package; raises `Misconfigured` without them."""
    blobs: dict[str, bytes] = {}
    manifests: dict[str, bytes] = {}
    entries = []
    for architecture in _ARCHITECTURES:
        tar = _tar(_read(binaries / f"sockerless-agent-linux-{architecture}"))
        layer = _add(blobs, tar, LAYER_TYPE)  # as it is: compressors differ, and with them digests
        config = _add(blobs, _json(_config(architecture, _digest(tar))), CONFIG_TYPE)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": [layer]}
        platform = {"architecture": architecture, "os": "linux"}
        entries.append({**_add(manifests, _json(manifest), MANIFEST_TYPE), "platform": platform})
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
    return AgentImage(blobs, manifests, _json(index), tag)


async def publish(image: AgentImage, target: ImageTarget) -> str:
    """Make the tag name this image and return its digest; nothing is sent when it does already.

    Cancelling leaves blobs that nothing refers to, never a tag that names half an image.
    """
    if await target.has_manifest(image.tag) == image.digest:
        return image.digest
    for digest, data in image.blobs.items():
        await target.push_blob(digest, data)
    for digest, data in image.manifests.items():
        await target.push_manifest(digest, MANIFEST_TYPE, data)
    await target.push_manifest(image.tag, INDEX_TYPE, image.index)
    return image.digest


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise Misconfigured(
            f"the agent's binary {path} is missing: install the package with pip, which builds it"
        ) from error


def _tar(binary: bytes) -> bytes:
    entry = tarfile.TarInfo(PROGRAM.lstrip("/"))
    entry.size, entry.mode = len(binary), 0o755
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(entry, io.BytesIO(binary))
    return out.getvalue()


def _config(architecture: str, layer_digest: str) -> dict[str, Any]:
    return {
        "architecture": architecture,
        "os": "linux",
        "created": _EPOCH,
        "config": {"Entrypoint": [PROGRAM], "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [layer_digest]},
        "history": [{"created": _EPOCH, "created_by": "sockerless-ecs"}],
    }


def _add(store: dict[str, bytes], data: bytes, media_type: str) -> dict[str, Any]:
    digest = _digest(data)
    store[digest] = data
    return {"mediaType": media_type, "digest": digest, "size": len(data)}


def _json(value: object) -> bytes:
    return msgspec.json.encode(value)


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
