"""Images as Docker shows them."""

from __future__ import annotations

import msgspec

from sockerless_ecs.http.shapes.container import ConfigView
from sockerless_ecs.http.shapes.naming import Answer, Request


class RootFSView(Answer, frozen=True, kw_only=True):
    """The layers."""

    type: str
    layers: list[str]


class MetadataView(Answer, frozen=True, kw_only=True):
    """What is known here and nowhere else."""

    last_tag_time: str


class GraphDriverView(Answer, frozen=True, kw_only=True):
    """Who keeps the layers: Fargate, out of sight."""

    data: dict[str, str] | None = None
    name: str = "fargate"


class ImageView(Answer, frozen=True, kw_only=True):
    """What inspect shows."""

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    parent: str = ""
    comment: str = ""
    created: str
    docker_version: str = ""
    author: str = ""
    config: ConfigView
    architecture: str
    variant: str | msgspec.UnsetType = msgspec.UNSET
    os: str
    size: int
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET
    graph_driver: GraphDriverView = GraphDriverView()
    root_fs: RootFSView = msgspec.field(name="RootFS")
    metadata: MetadataView


class ImageSummaryView(Answer, frozen=True, kw_only=True):
    """What a list shows."""

    containers: int = -1
    created: int
    id: str
    labels: dict[str, str] | None
    parent_id: str = ""
    repo_digests: list[str]
    repo_tags: list[str]
    shared_size: int = -1
    size: int
    virtual_size: int | msgspec.UnsetType = msgspec.UNSET


class ImageDeletedView(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """One name or image that went."""

    untagged: str = ""
    deleted: str = ""


class CommittedView(Answer, frozen=True, kw_only=True):
    """The image that a container has become."""

    id: str


class PullBody(Request, frozen=True, kw_only=True):
    """What a frontend asks to be pulled."""

    reference: str
    auth: str | None = None
    platform: str | None = None


class ProgressBar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a line's work is, in bytes."""

    current: int = 0
    total: int = 0


class ProgressLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One line of the answer to a pull or a load."""

    stream: str = ""
    status: str = ""
    progress_detail: ProgressBar | msgspec.UnsetType = msgspec.UNSET
    id: str = ""


class _Detail(msgspec.Struct, frozen=True, kw_only=True):
    message: str


class ProgressErrorLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last line of what failed on the way."""

    error_detail: _Detail
    error: str

    @classmethod
    def of(cls, message: str) -> ProgressErrorLine:
        """Said twice, as clients look in either place."""
        return cls(error_detail=_Detail(message=message), error=message)
