"""What an image is: its configuration and the digest that Fargate pulls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NewType

from sockerless_ecs.model.container import Healthcheck
from sockerless_ecs.model.moment import written_ns

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
    on_build: tuple[str, ...] = ()
    """Instructions for who builds upon it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A file of a registry by its content: a layer, or a configuration."""

    digest: str
    """`sha256:…` of its bytes as they are stored there."""
    size: int
    """In bytes, as stored there."""
    media_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFile:
    """An image's configuration file, as its registry has it: kept by its digest, which is the image's id."""

    id: str
    text: str
    """JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One name of an image that was pulled or loaded: one record per full reference.

    An image that lost its last name, or never had one, is kept under its id.
    """

    ref: ImageRef
    id: str
    """`sha256:…` of the image configuration."""
    digest: str
    """`sha256:…` of what the registry has under this name (an index or a manifest); empty where only we
    gave the name."""
    manifest_digest: str
    """`sha256:…` of the platform's manifest: what goes into a task definition."""
    config: ImageConfig
    architecture: str
    os: str = "linux"
    variant: str = ""
    created: str = ""
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    size_bytes: int = 0
    """Of its layers, as its registry stores them."""
    layers: tuple[str, ...] = ()
    """The uncompressed layers' digests (diff ids), lowest first."""
    blobs: tuple[Descriptor, ...] = ()
    """The layers as their registry has them, lowest first."""
    pulled_ns: int = 0
    repository: str = ""
    """Where it really is (`<registry>/<repository>`); empty = where its reference says."""
    parent: str = ""
    """The id of the image whose container was committed as this one; empty = it was made elsewhere."""
    credentials_arn: str = ""
    """The secret that is kept for Fargate to log in there, from the last pull; empty = none is."""

    @property
    def nameless(self) -> bool:
        """Whether it has no name but its id."""
        return self.ref == self.id

    @property
    def tagged(self) -> bool:
        """Whether its name is a tag, rather than a digest or its id."""
        return not self.nameless and "@" not in self.ref

    @property
    def created_ns(self) -> int:
        """When it was made; 0 where it does not say."""
        return written_ns(self.created) or 0
