"""Images as inspect and list show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import UNSET

from sockerless_ecs.http.shapes.image import ImageSummaryView, ImageView, MetadataView, RootFSView
from sockerless_ecs.http.times import ZERO_TIME, rfc3339
from sockerless_ecs.http.views.container import config_view
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.reference import familiar, familiar_name, parse

_WITHOUT_VIRTUAL_SIZE = (1, 44)
_WITHOUT_NONE = (1, 43)
Version = tuple[int, int]
"""Of the Docker API; (0, 0) is the internal one, which has the fields of old."""


def image_view(image: Image, records: Sequence[Image], version: Version = (0, 0)) -> ImageView:
    """What inspect shows of `image`, of which `records` hold all names."""
    return ImageView(
        id=image.id,
        repo_tags=tags(records),
        repo_digests=digests(records),
        created=image.created or ZERO_TIME,
        author=image.author,
        comment=image.comment,
        config=config_view(image.config, image=""),
        architecture=image.architecture,
        variant=image.variant or UNSET,
        os=image.os,
        size=image.size_bytes,
        virtual_size=image.size_bytes if version < _WITHOUT_VIRTUAL_SIZE else UNSET,
        root_fs=RootFSView(type="layers", layers=list(image.layers)),
        metadata=MetadataView(last_tag_time=rfc3339(max(record.pulled_ns for record in records))),
    )


def image_summaries(
    images: Iterable[Image], version: Version = (0, 0), *, users: Mapping[str, int] | None = None
) -> list[ImageSummaryView]:
    """What a list shows: one line per image, whatever number of names it has; the newest first.

    `users` tells how many containers each image has; without it that is not told.
    """
    by_id: dict[str, list[Image]] = {}
    for image in images:
        by_id.setdefault(image.id, []).append(image)
    found = [_summary(records, version, users) for records in by_id.values()]
    return sorted(found, key=lambda summary: summary.created, reverse=True)


def _summary(records: Sequence[Image], version: Version, users: Mapping[str, int] | None) -> ImageSummaryView:
    image = records[0]
    shown_tags, shown_digests = tags(records), digests(records)
    if (0, 0) < version < _WITHOUT_NONE and not shown_tags and not shown_digests:
        shown_tags, shown_digests = ["<none>:<none>"], ["<none>@<none>"]
    return ImageSummaryView(
        containers=-1 if users is None else users.get(image.id, 0),
        created=_unix(image.created),
        id=image.id,
        labels=dict(image.config.labels) or None,
        repo_digests=shown_digests,
        repo_tags=shown_tags,
        shared_size=-1 if users is None else 0,
        size=image.size_bytes,
        virtual_size=image.size_bytes if version < _WITHOUT_VIRTUAL_SIZE else UNSET,
    )


def tags(records: Iterable[Image]) -> list[str]:
    """The names with a tag, as Docker shows them."""
    references = (parse(record.ref) for record in records if not record.nameless)
    return sorted({familiar(reference) for reference in references if reference.digest is None})


def digests(records: Iterable[Image]) -> list[str]:
    """The names by digest that a registry would know."""
    return sorted(
        {
            f"{familiar_name(parse(record.ref))}@{record.digest}"
            for record in records
            if record.digest and not record.nameless
        }
    )


def _unix(created: str) -> int:
    try:
        return int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        return 0
