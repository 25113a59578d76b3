"""What registries say that they have, beyond what was pulled."""

from __future__ import annotations

from dataclasses import dataclass

from sockerless_ecs.model.image import Descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRepository:
    """One answer of a registry's search."""

    name: str
    """As one pulls it; without the registry that was searched."""
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedPlatform:
    """What one image of a name is made for."""

    architecture: str
    os: str
    os_version: str = ""
    os_features: tuple[str, ...] = ()
    variant: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a name means at its registry: a manifest or an index, and for which platforms there are images."""

    descriptor: Descriptor
    platforms: tuple[OfferedPlatform, ...] = ()
