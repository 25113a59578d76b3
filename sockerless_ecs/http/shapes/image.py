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


class PrunedImagesView(Answer, frozen=True, kw_only=True):
    """What a prune took away; null, as Docker has it, where there was nothing."""

    images_deleted: list[ImageDeletedView] | None
    space_reclaimed: int


class ImageHistoryView(Answer, frozen=True, kw_only=True):
    """One step of an image's making."""

    comment: str
    created: int
    created_by: str
    id: str
    size: int
    tags: list[str] | None


class SearchResultView(msgspec.Struct, frozen=True, kw_only=True):
    """What a registry's index has found."""

    star_count: int
    is_official: bool
    name: str
    is_automated: bool
    description: str


class DescriptorView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a registry has under a name."""

    media_type: str
    digest: str
    size: int


class PlatformView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an image is made for."""

    architecture: str
    os: str
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: list[str] = msgspec.field(default_factory=list, name="os.features")
    variant: str = ""


class DistributionView(Answer, frozen=True, kw_only=True):
    """What a name means at its registry, and for whom."""

    descriptor: DescriptorView
    platforms: list[PlatformView]


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


class PushedView(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What a push has left in the registry."""

    tag: str
    digest: str
    size: int


class ProgressLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """One line of the answer to a pull, a load or a push."""

    stream: str = ""
    status: str = ""
    progress_detail: ProgressBar | msgspec.UnsetType = msgspec.UNSET
    id: str = ""
    aux: PushedView | msgspec.UnsetType = msgspec.UNSET


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
