"""A large image in a tar as `docker save` writes it, no two alike."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from sockerless_ecs.model.image import Descriptor
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.registry import saved
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_LAYER, Manifest, write_manifest
from sockerless_ecs.registry.saved import SavedImage
from tests.engine.bundles import as_json

_MIB = 1 << 20
_LAYERS = 4


def write_bundle(path: Path, name: Reference, mebibytes: int) -> None:
    """An image of so much random data in four uncompressed layers."""
    seed, each = os.urandom(_MIB), mebibytes // _LAYERS
    layers = [_described(seed, number, each) for number in range(_LAYERS)]
    config = as_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
    )
    top = Descriptor(digest=digest_of(config), size=len(config))
    body = write_manifest(top, layers)
    manifest = Manifest(media_type="application/vnd.oci.image.manifest.v1+json", config=top, layers=layers)
    image = SavedImage(body=body, manifest=manifest, tags=[name], architecture="amd64", os="linux")
    with path.open("wb") as out:
        out.write(saved.folders())
        for number, layer in enumerate(layers):
            out.write(saved.blob_header(layer))
            out.writelines(_layer(seed, number, each))
            out.write(saved.padding(layer.size))
        out.write(
            saved.blob_file(config) + saved.blob_file(body) + saved.directory_files([image]) + saved.END
        )


def _layer(seed: bytes, number: int, mebibytes: int) -> Iterator[bytes]:
    """A tar with one file."""
    entry = tarfile.TarInfo(f"data-{number}")
    entry.size = mebibytes * _MIB
    yield entry.tobuf()
    for index in range(mebibytes):
        yield bytes((number,)) + index.to_bytes(7, "big") + seed[8:]
    yield bytes(1024)


def _described(seed: bytes, number: int, mebibytes: int) -> Descriptor:
    digest, size = hashlib.sha256(), 0
    for piece in _layer(seed, number, mebibytes):
        digest.update(piece)
        size += len(piece)
    return Descriptor(digest=f"sha256:{digest.hexdigest()}", size=size, media_type=OCI_LAYER)
