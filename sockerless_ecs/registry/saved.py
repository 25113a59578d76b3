"""The tar that `docker save` writes since version 25: an OCI layout that older loaders read as well."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.reference import Reference, familiar, familiar_name
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_INDEX, Manifest

_BLOCK = 512
END = bytes(2 * _BLOCK)
_BLOBS = "blobs/sha256"


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedImage:
    """One image of the tar."""

    body: bytes
    """Its manifest, to the letter."""
    manifest: Manifest
    tags: Sequence[Reference]
    architecture: str
    os: str

    @property
    def descriptor(self) -> Descriptor:
        """Of its manifest."""
        return Descriptor(
            digest=digest_of(self.body), size=len(self.body), media_type=self.manifest.media_type
        )


def folders() -> bytes:
    """The entries that everything else is below."""
    return _folder("blobs/") + _folder(f"{_BLOBS}/")


def blob_header(blob: Descriptor) -> bytes:
    """What comes before a blob's bytes; `padding` comes behind them."""
    return _header(_name(blob.digest), blob.size)


def padding(size: int) -> bytes:
    """What fills the last block."""
    return bytes(-size % _BLOCK)


def file(name: str, data: bytes) -> bytes:
    """A whole small entry."""
    return _header(name, len(data)) + data + padding(len(data))


def blob_file(data: bytes) -> bytes:
    """A whole small blob."""
    return file(_name(digest_of(data)), data)


def directory_files(images: Sequence[SavedImage]) -> bytes:
    """What names the images, in each of the ways that loaders look for."""
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [entry for image in images for entry in _entries(image)],
    }
    archive = [
        {
            "Config": _name(image.manifest.config.digest),
            "RepoTags": [familiar(tag) for tag in image.tags] or None,
            "Layers": [_name(layer.digest) for layer in image.manifest.layers],
        }
        for image in images
    ]
    return b"".join(
        [
            file("index.json", msgspec.json.encode(index)),
            file("manifest.json", msgspec.json.encode(archive or None)),
            file("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
            *([file("repositories", msgspec.json.encode(named))] if (named := _repositories(images)) else []),
        ]
    )


def _entries(image: SavedImage) -> Sequence[Mapping[str, object]]:
    """In the layout's index, once for each name."""
    found = image.descriptor
    entry = {
        "mediaType": found.media_type,
        "digest": found.digest,
        "size": found.size,
        "platform": {"architecture": image.architecture, "os": image.os},
    }
    return [
        {
            **entry,
            "annotations": {
                "io.containerd.image.name": str(tag.full),
                "org.opencontainers.image.ref.name": tag.tag,
            },
        }
        for tag in image.tags
    ] or [entry]


def _repositories(images: Sequence[SavedImage]) -> Mapping[str, Mapping[str, str]]:
    named: dict[str, dict[str, str]] = {}
    for image in images:
        for tag in image.tags:
            assert tag.tag is not None
            top = image.manifest.layers[-1].digest if image.manifest.layers else image.manifest.config.digest
            named.setdefault(familiar_name(tag), {})[tag.tag] = top.partition(":")[2]
    return named


def _name(digest: str) -> str:
    algorithm, _, digits = digest.partition(":")
    return f"blobs/{algorithm}/{digits}"


def _folder(name: str) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    return entry.tobuf(tarfile.PAX_FORMAT)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.PAX_FORMAT)
