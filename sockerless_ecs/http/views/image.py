"""Images as inspect and list show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sockerless_ecs.http.shapes.image import ImageSummaryView, ImageView, MetadataView, RootFSView
from sockerless_ecs.http.times import ZERO_TIME, rfc3339
from sockerless_ecs.http.views.container import config_view
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.reference import familiar, familiar_name, parse


def image_view(image: Image, records: Sequence[Image]) -> ImageView:
    """What inspect shows of `image`, of which `records` hold all names."""
    return ImageView(
        id=image.id,
        repo_tags=_tags(records),
        repo_digests=_digests(records),
        created=image.created or ZERO_TIME,
        size=image.size_bytes,
        virtual_size=image.size_bytes,
        config=config_view(image.config, image=""),
        architecture=image.architecture,
        os=image.os,
        root_fs=RootFSView(type="layers", layers=list(image.layers)),
        metadata=MetadataView(last_tag_time=rfc3339(max(record.pulled_ns for record in records))),
        author=image.author,
        variant=image.variant,
    )


def image_summaries(images: Iterable[Image]) -> list[ImageSummaryView]:
    """What a list shows: one line per image, whatever number of names it has."""
    by_id: dict[str, list[Image]] = {}
    for image in images:
        by_id.setdefault(image.id, []).append(image)
    return [_summary(records) for records in by_id.values()]


def _summary(records: Sequence[Image]) -> ImageSummaryView:
    image = records[0]
    return ImageSummaryView(
        id=image.id,
        parent_id="",
        repo_tags=_tags(records),
        repo_digests=_digests(records),
        created=_unix(image.created),
        size=image.size_bytes,
        shared_size=-1,
        virtual_size=image.size_bytes,
        labels=dict(image.config.labels),
        containers=-1,
    )


def _tags(records: Iterable[Image]) -> list[str]:
    references = (parse(record.ref) for record in records)
    return sorted({familiar(reference) for reference in references if reference.digest is None})


def _digests(records: Iterable[Image]) -> list[str]:
    return sorted({f"{familiar_name(parse(record.ref))}@{record.digest}" for record in records})


def _unix(created: str) -> int:
    try:
        return int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        return 0
