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


class ImageView(Answer, frozen=True, kw_only=True):
    """What inspect shows."""

    id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: str
    size: int
    virtual_size: int
    config: ConfigView
    architecture: str
    os: str
    root_fs: RootFSView = msgspec.field(name="RootFS")
    metadata: MetadataView
    author: str = ""
    parent: str = ""
    comment: str = ""
    docker_version: str = ""
    variant: str = ""


class ImageSummaryView(Answer, frozen=True, kw_only=True):
    """What a list shows."""

    id: str
    parent_id: str
    repo_tags: list[str]
    repo_digests: list[str]
    created: int
    size: int
    shared_size: int
    virtual_size: int
    labels: dict[str, str]
    containers: int


class ImageDeletedView(Answer, frozen=True, kw_only=True, omit_defaults=True):
    """One name or image that went."""

    untagged: str = ""
    deleted: str = ""


class PullBody(Request, frozen=True, kw_only=True):
    """What a frontend asks to be pulled."""

    reference: str
    auth: str | None = None
    platform: str | None = None


class PullLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a pull's answer."""

    status: str
    id: str = ""


class _Detail(msgspec.Struct, frozen=True, kw_only=True):
    message: str


class PullErrorLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The last line of a pull that failed on the way."""

    error_detail: _Detail
    error: str

    @classmethod
    def of(cls, message: str) -> PullErrorLine:
        """Said twice, as clients look in either place."""
        return cls(error_detail=_Detail(message=message), error=message)
