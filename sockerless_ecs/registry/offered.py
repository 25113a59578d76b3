"""For which platforms a registry has an image, as its index or the image's configuration says."""

from __future__ import annotations

import msgspec

from sockerless_ecs.model.offers import OfferedPlatform
from sockerless_ecs.registry.config import decode


class _Platform(msgspec.Struct):
    architecture: str | None = None
    os: str | None = None
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: list[str] | None = msgspec.field(default=None, name="os.features")
    variant: str | None = None


class _Entry(msgspec.Struct):
    platform: _Platform | None = None


class _Index(msgspec.Struct):
    manifests: list[_Entry]


def index_platforms(index: bytes, name: str) -> tuple[OfferedPlatform, ...]:
    """Of each manifest that says it, in the index's order."""
    entries = decode(index, _Index, f"{name}: the registry sent no index").manifests
    return tuple(_offered(entry.platform) for entry in entries if entry.platform)


def config_platforms(config: bytes, name: str) -> tuple[OfferedPlatform, ...]:
    """The one that a configuration file names, if it does."""
    found = decode(config, _Platform, f"{name}: its configuration cannot be read")
    return (_offered(found),) if found.os or found.architecture else ()


def _offered(platform: _Platform) -> OfferedPlatform:
    return OfferedPlatform(
        architecture=platform.architecture or "",
        os=platform.os or "",
        os_version=platform.os_version or "",
        os_features=tuple(platform.os_features or ()),
        variant=platform.variant or "",
    )
