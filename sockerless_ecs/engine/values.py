"""What the engine is given and what it answers, beside the model's own values."""

from __future__ import annotations

from dataclasses import dataclass, field

from sockerless_ecs.model.container import Container
from sockerless_ecs.model.image import Image, ImageConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The answer to a create."""

    id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """What `info` tells."""

    id: str
    name: str
    version: str
    containers: int
    running: int
    paused: int
    stopped: int
    images: int
    architecture: str
    """`x86_64` or `aarch64`: of the tasks, not of the daemon's machine."""
    cpus: int
    """Of the largest Fargate task."""
    memory_bytes: int
    """Of the largest Fargate task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """One line of the answer to a pull, a load or an import."""

    status: str = ""
    id: str = ""
    stream: str = ""
    """What a client prints as it is: the lines that name what was loaded."""
    current_bytes: int = 0
    total_bytes: int = 0
    """With `current_bytes` how far it is; 0 = a line without a bar."""
    step: bool = False
    """It is about a part of the work (a layer), bar or not."""
    pushed: tuple[str, str, int] | None = None
    """For programs: the tag that the registry has now, the digest and the size of its manifest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What is to become an image, and what it is to be."""

    source: str
    """`-` = the request's body, else an address."""
    repository: str = ""
    """Empty = the image has no name."""
    tag: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    """A Dockerfile's instructions, done to its configuration."""
    platform: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """What is to become of a container's files: an image."""

    repository: str = ""
    """Empty = the image has no name."""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    """While its files are read."""
    changes: tuple[str, ...] = ()
    """A Dockerfile's instructions, done to its configuration."""
    config: ImageConfig | None = None
    """In place of the container's own, which fills in what it leaves out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a user gave for a registry. Never logged."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server_address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedIn:
    """What a registry made of a login. Never logged."""

    status: str
    identity_token: str = field(default="", repr=False)
    """What stands for the password from now on, where the registry gives such a thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRemoved:
    """One step of an image's removal: a name taken away, or the image itself deleted."""

    untagged: str = ""
    deleted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesPruned:
    """What a prune took away."""

    steps: tuple[ImageRemoved, ...] = ()
    reclaimed_bytes: int = 0
    """Of layers that no image has any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageStep:
    """One step of an image's making."""

    id: str
    created_ns: int | None
    """None where it does not say."""
    created_by: str
    comment: str
    size_bytes: int
    """Of the layer that it made, as its registry stores it."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """What `system df` shows: everything this engine keeps."""

    layers_bytes: int
    images: tuple[Image, ...] = ()
    containers: tuple[Container, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachOptions:
    """What a client wants of a container's streams."""

    stream: bool = True
    """What comes from now on; without it only `logs`."""
    logs: bool = False
    """What the current run has written so far, first."""
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    detach_keys: str = ""
    """As the client wrote them (`ctrl-p,ctrl-q`); empty = Docker's default. Only for terminals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalSize:
    """In characters."""

    rows: int
    columns: int
