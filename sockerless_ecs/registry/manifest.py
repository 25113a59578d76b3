"""Manifests and image configurations of both families (Docker's and OCI's) → values, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from sockerless_ecs.errors import InvalidParameter, NotFound, Unavailable
from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.registry.config import decode
from sockerless_ecs.registry.digest import is_digest
from sockerless_ecs.registry.platform import Platform

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"

MANIFEST_TYPES = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
ACCEPT = ", ".join(MANIFEST_TYPES)
_CONFIG_TYPES = ("", DOCKER_CONFIG, OCI_CONFIG, "application/octet-stream")
_MOST_ENTRIES = 10_000
_OCI_NAMES = {
    DOCKER_LAYER: OCI_LAYER_GZIP,
    DOCKER_LAYER.removesuffix(".gzip"): OCI_LAYER,
    DOCKER_LAYER.replace("gzip", "zstd"): f"{OCI_LAYER}+zstd",
}
_FOREIGN = ("foreign", "nondistributable")


class _Platform(msgspec.Struct):
    architecture: str = ""
    os: str = ""
    variant: str | None = None


class _Descriptor(msgspec.Struct, rename="camel"):
    digest: str
    media_type: str = ""
    size: int = 0
    platform: _Platform | None = None


class _Document(msgspec.Struct, rename="camel"):
    schema_version: int = 0
    media_type: str = ""
    manifests: list[_Descriptor] | None = None
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A manifest of an index; `platform` None where the index does not say."""

    descriptor: Descriptor
    platform: Platform | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One image for several platforms."""

    media_type: str
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One image: its configuration and its layers, lowest first."""

    media_type: str
    config: Descriptor
    layers: Sequence[Descriptor]


def is_foreign(layer: Descriptor) -> bool:
    """Whether no registry but its maker's may have it."""
    return any(mark in layer.media_type for mark in _FOREIGN)


def oci_layer(layer: Descriptor) -> Descriptor:
    """The layer as an OCI manifest names it."""
    return replace(layer, media_type=_OCI_NAMES.get(layer.media_type, layer.media_type))


def read_manifest(body: bytes, content_type: str, name: str) -> Index | Manifest:
    """Either kind; raises `InvalidParameter` for what is no image, `Unavailable` for what is no manifest."""
    kind = content_type.partition(";")[0].strip().lower()
    if "html" in kind or body.lstrip()[:1] == b"<":
        raise Unavailable(
            f"{name}: a web page came instead of a manifest: is there a registry at this address?"
        )
    document = decode(body, _Document, f"{name}: the registry sent no manifest")
    if document.schema_version == 1:
        raise InvalidParameter(f"{name}: images of the old manifest schema 1 are not supported: push it anew")
    kind = document.media_type or kind
    _check_shape(document, kind, name)
    if document.manifests is not None:
        entries = [
            Entry(descriptor=_descriptor(one, name), platform=_platform(one)) for one in document.manifests
        ]
        return Index(media_type=kind, entries=entries)
    if document.config is None:
        raise Unavailable(f"{name}: the registry sent a manifest without a configuration")
    if document.config.media_type not in _CONFIG_TYPES:
        raise InvalidParameter(f"{name} is not a container image but {document.config.media_type}")
    layers = [_descriptor(one, name) for one in document.layers or ()]
    return Manifest(media_type=kind, config=_descriptor(document.config, name), layers=layers)


def write_manifest(config: Descriptor, layers: Sequence[Descriptor]) -> bytes:
    """The OCI manifest of one image."""
    config = replace(config, media_type=OCI_CONFIG)
    return msgspec.json.encode(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _written(config),
            "layers": [_written(layer) for layer in layers],
        }
    )


def _written(one: Descriptor) -> dict[str, object]:
    return {"mediaType": one.media_type, "digest": one.digest, "size": one.size}


def choose(index: Index, platform: Platform, name: str) -> Descriptor:
    """The manifest for a platform; raises `NotFound` in Docker's words."""
    fitting = [one for one in index.entries if one.platform and platform.runs(one.platform)]
    if fitting:
        return min(fitting, key=lambda one: platform.rank(one.platform or platform)).descriptor
    if len(index.entries) == 1 and index.entries[0].platform is None:
        return index.entries[0].descriptor
    raise NotFound(f"{name}: no matching manifest for {platform} in the manifest list entries")


def _check_shape(document: _Document, kind: str, name: str) -> None:
    lists = document.manifests is not None
    if lists and (document.config is not None or document.layers is not None):
        raise Unavailable(f"{name}: the registry sent a manifest that is also an index: refused")
    if kind in MANIFEST_TYPES and lists != (kind in (DOCKER_LIST, OCI_INDEX)):
        raise Unavailable(f"{name}: the registry sent something that is not the {kind} it claims to be")
    if max(len(document.manifests or ()), len(document.layers or ())) > _MOST_ENTRIES:
        raise Unavailable(f"{name}: its manifest has more than {_MOST_ENTRIES} entries")


def _descriptor(one: _Descriptor, name: str) -> Descriptor:
    if not is_digest(one.digest) or one.size < 0:
        raise Unavailable(f"{name}: the registry sent a manifest with a bad digest or size")
    return Descriptor(digest=one.digest, media_type=one.media_type, size=one.size)


def _platform(one: _Descriptor) -> Platform | None:
    if one.platform is None:
        return None
    found = one.platform
    return Platform(os=found.os, architecture=found.architecture, variant=found.variant or "")
