"""What registries and archives tell of an image → our record of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sockerless_ecs.model.image import Descriptor, Image, ImageFile, ImageRef
from sockerless_ecs.registry.config import ConfigFile
from sockerless_ecs.registry.login import Login
from sockerless_ecs.registry.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An image, and its configuration file."""

    image: Image
    file: ImageFile
    login: Login | None = None
    """The login that the registry wanted and took, if it wanted one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a registry has under a name."""

    digest: str
    login: Login | None
    """As above."""


def described(
    ref: ImageRef,
    config: Descriptor,
    text: bytes,
    file: ConfigFile,
    layers: Sequence[Descriptor],
    *,
    digest: str = "",
    manifest_digest: str,
    platform: Platform,
    repository: str = "",
    pulled_ns: int = 0,
    login: Login | None = None,
) -> Described:
    """The record under `ref`; `platform` stands in where the configuration says nothing."""
    image = Image(
        ref=ref,
        id=config.digest,
        digest=digest,
        manifest_digest=manifest_digest,
        config=file.config,
        architecture=file.platform.architecture or platform.architecture,
        os=file.platform.os or platform.os,
        variant=file.platform.variant,
        created=file.created,
        author=file.author,
        comment=file.comment,
        docker_version=file.docker_version,
        size_bytes=sum(layer.size for layer in layers),
        layers=file.diff_ids,
        blobs=tuple(layers),
        repository=repository,
        pulled_ns=pulled_ns,
    )
    return Described(image=image, file=ImageFile(id=config.digest, text=text.decode()), login=login)
