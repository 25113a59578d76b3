"""A reference as ECS gets it → the files that the runner unpacks."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sockerless_ecs.errors import SockerlessError
from sockerless_ecs.model import reference
from sockerless_ecs.registry import Login
from sockerless_ecs.registry.config import read_config
from sockerless_ecs.registry.manifest import Manifest, choose, read_manifest
from sockerless_ecs.registry.platform import Platform, parse_platform
from sockerless_ecs.sandbox.registry.host import HOST_LABEL
from sockerless_ecs.sandbox.registry.private import admits
from sockerless_ecs.sandbox.registry.storage import Storage

_ECR = re.compile(r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?")
_DEEPEST_INDEX = 3


class ImageNotFound(Exception):
    """The image cannot be had; `str()` of it is what ECS would put into CannotPullContainerError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedImage:
    """An image on disk."""

    digest: str
    """Of the platform's manifest."""
    layers: tuple[tuple[str, Path, str], ...]
    """(digest, file, media type), lowest first."""
    config: dict[str, Any]
    """The whole configuration file; what `docker inspect` calls Config is its `config`."""
    is_host: bool
    """It stands for the machine's own file system."""


def resolve(
    storage: Storage, hosts: Collection[str], text: str, architecture: str, login: Login | None = None
) -> ResolvedImage:
    """The image of a reference for `X86_64`, `ARM64`, `amd64` or `arm64`; raises `ImageNotFound`."""
    try:
        wanted = reference.parse(text).or_latest()
        if wanted.registry not in hosts and not _ECR.fullmatch(wanted.registry):
            raise ImageNotFound(
                f"failed to resolve ref {text}: the sandbox has no way out to {wanted.registry}: "
                "push the image to its own registry"
            )
        if not admits(wanted.repository, login.basic if login else ""):
            raise ImageNotFound(
                f"failed to resolve ref {wanted.full}: pull access denied, repository does not exist or may "
                "require authorization: server message: insufficient_scope: authorization failed"
            )
        return _resolved(storage, wanted, parse_platform(architecture))
    except SockerlessError as error:
        raise ImageNotFound(f"failed to resolve ref {text}: {error}") from error


def _resolved(storage: Storage, wanted: reference.Reference, platform: Platform) -> ResolvedImage:
    name = str(wanted.full)
    digest = wanted.wanted
    for _ in range(_DEEPEST_INDEX):
        stored = storage.manifest(wanted.repository, digest)
        if stored is None:
            raise ImageNotFound(f"failed to resolve ref {name}: {name}: not found")
        found = read_manifest(stored.data, stored.media_type, name)
        if isinstance(found, Manifest):
            return _image(storage, stored.digest, found, name)
        digest = choose(found, platform, name).digest
    raise ImageNotFound(f"failed to resolve ref {name}: its index nests too deep")


def _image(storage: Storage, digest: str, found: Manifest, name: str) -> ResolvedImage:
    try:
        body = storage.blob_path(found.config.digest).read_bytes()
    except FileNotFoundError as error:
        raise ImageNotFound(f"failed to resolve ref {name}: its configuration is missing") from error
    labels = read_config(body, name).config.labels
    layers = tuple((one.digest, storage.blob_path(one.digest), one.media_type) for one in found.layers)
    missing = next((layer for layer, path, _ in layers if not path.exists()), None)
    if missing:
        raise ImageNotFound(f"failed to resolve ref {name}: layer {missing} is missing")
    return ResolvedImage(
        digest=digest,
        layers=layers,
        config=json.loads(body),
        is_host=labels.get(HOST_LABEL) == "true",
    )
