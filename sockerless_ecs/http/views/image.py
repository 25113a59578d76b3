"""Images as inspect and list show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import UNSET

from sockerless_ecs.engine.values import ImagesPruned, ImageStep
from sockerless_ecs.http.shapes.image import (
    DescriptorView,
    DistributionView,
    ImageDeletedView,
    ImageHistoryView,
    ImageSummaryView,
    ImageView,
    MetadataView,
    PlatformView,
    PrunedImagesView,
    RootFSView,
    SearchResultView,
)
from sockerless_ecs.http.times import SECOND_NS, ZERO_SECONDS, ZERO_TIME, rfc3339
from sockerless_ecs.http.views.container import config_view
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.offers import FoundRepository, Offer
from sockerless_ecs.model.reference import familiar_name, parse, shown_tags

_WITHOUT_VIRTUAL_SIZE = (1, 44)
_WITHOUT_NONE = (1, 43)
Version = tuple[int, int]
"""Of the Docker API; (0, 0) is the internal one, which has the fields of old."""


def image_view(image: Image, records: Sequence[Image], version: Version = (0, 0)) -> ImageView:
    """What inspect shows of `image`, of which `records` hold all names."""
    return ImageView(
        id=image.id,
        repo_tags=shown_tags(records),
        repo_digests=digests(records),
        parent=image.parent,
        comment=image.comment,
        created=image.created or ZERO_TIME,
        docker_version=image.docker_version,
        author=image.author,
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
    images: Iterable[Image],
    version: Version = (0, 0),
    *,
    users: Mapping[str, int] | None = None,
    shared: Mapping[str, int] | None = None,
) -> list[ImageSummaryView]:
    """What a list shows: one line per image, whatever number of names it has; the newest first.

    `users` tells how many containers each image has, `shared` how much of it others have too; without them
    that is not told.
    """
    by_id: dict[str, list[Image]] = {}
    for image in images:
        by_id.setdefault(image.id, []).append(image)
    found = [_summary(records, version, users, shared) for records in by_id.values()]
    return sorted(found, key=lambda summary: summary.created, reverse=True)


def _summary(
    records: Sequence[Image],
    version: Version,
    users: Mapping[str, int] | None,
    shared: Mapping[str, int] | None,
) -> ImageSummaryView:
    image = records[0]
    tags, shown_digests = shown_tags(records), digests(records)
    if (0, 0) < version < _WITHOUT_NONE and not tags and not shown_digests:
        tags, shown_digests = ["<none>:<none>"], ["<none>@<none>"]
    return ImageSummaryView(
        containers=-1 if users is None else users.get(image.id, 0),
        created=image.created_ns // SECOND_NS,
        id=image.id,
        labels=dict(image.config.labels) or None,
        parent_id=image.parent,
        repo_digests=shown_digests,
        repo_tags=tags,
        shared_size=-1 if shared is None else shared.get(image.id, 0),
        size=image.size_bytes,
        virtual_size=image.size_bytes if version < _WITHOUT_VIRTUAL_SIZE else UNSET,
    )


def digests(records: Iterable[Image]) -> list[str]:
    """The names by digest that a registry would know, in the order of the whole ones."""
    named = {
        (parse(record.ref).name, record.digest) for record in records if record.digest and not record.nameless
    }
    return [f"{familiar_name(parse(name))}@{digest}" for name, digest in sorted(named)]


def history_view(steps: Iterable[ImageStep]) -> list[ImageHistoryView]:
    """How an image came to be, the newest step first."""
    return [
        ImageHistoryView(
            comment=step.comment,
            created=ZERO_SECONDS if step.created_ns is None else step.created_ns // SECOND_NS,
            created_by=step.created_by,
            id=step.id,
            size=step.size_bytes,
            tags=list(step.tags) or None,
        )
        for step in steps
    ]


def pruned_view(pruned: ImagesPruned) -> PrunedImagesView:
    """What a prune took away."""
    steps = [ImageDeletedView(untagged=step.untagged, deleted=step.deleted) for step in pruned.steps]
    return PrunedImagesView(images_deleted=steps or None, space_reclaimed=pruned.reclaimed_bytes)


def search_view(found: Iterable[FoundRepository]) -> list[SearchResultView]:
    """What a registry's index has found."""
    return [
        SearchResultView(
            star_count=one.stars,
            is_official=one.official,
            name=one.name,
            is_automated=one.automated,
            description=one.description,
        )
        for one in found
    ]


def distribution_view(offer: Offer) -> DistributionView:
    """What a name means at its registry."""
    found = offer.descriptor
    return DistributionView(
        descriptor=DescriptorView(media_type=found.media_type, digest=found.digest, size=found.size),
        platforms=[
            PlatformView(
                architecture=one.architecture,
                os=one.os,
                os_version=one.os_version,
                os_features=list(one.os_features),
                variant=one.variant,
            )
            for one in offer.platforms
        ],
    )
