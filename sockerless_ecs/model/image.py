"""What an image is: its configuration and the digest that Fargate pulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from sockerless_ecs.model.container import Healthcheck

ImageRef = NewType("ImageRef", str)
"""A full reference: `docker.io/library/alpine:3`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """The execution part of an OCI image configuration."""

    user: str = ""
    env: tuple[str, ...] = ()
    cmd: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    exposed_ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stop_signal: str = ""
    healthcheck: Healthcheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One name of an image that was pulled or loaded: one record per full reference.

    An image that lost its last name, or never had one, is kept under its id.
    """

    ref: ImageRef
    id: str
    """`sha256:…` of the image configuration."""
    digest: str
    """`sha256:…` of what the reference named (an index or a manifest); empty where only we gave the name."""
    manifest_digest: str
    """`sha256:…` of the platform's manifest: what goes into a task definition."""
    config: ImageConfig
    architecture: str
    os: str = "linux"
    variant: str = ""
    created: str = ""
    author: str = ""
    size_bytes: int = 0
    layers: tuple[str, ...] = ()
    """The uncompressed layers' digests (diff ids)."""
    pulled_ns: int = 0
    repository: str = ""
    """Where it really is (`<registry>/<repository>`); empty = where its reference says."""

    @property
    def nameless(self) -> bool:
        """Whether it has no name but its id."""
        return self.ref == self.id
