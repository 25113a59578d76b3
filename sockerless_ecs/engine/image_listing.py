"""Which images a client asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.moment import moment_ns
from sockerless_ecs.services.ledger import now_ns

Find = Callable[[str], Image]


def listed(images: Sequence[Image], filters: Filters, find: Find) -> Sequence[Image]:
    """The records that pass all filters; raises InvalidParameter, or NotFound for `before` and `since`."""
    filtering.check(filters, filtering.IMAGE)
    before_ns = _bound_ns(filters, find)
    after_ns = max((find(name).created_ns for name in filters.get("since", ())), default=None)
    dangling = filtering.yes_or_no(filters, "dangling")
    tagged = {image.id for image in images if image.tagged}
    patterns = filters.get("reference", ())

    def passes(image: Image) -> bool:
        made_ns = image.created_ns
        return (
            filtering.match_labels(image.config.labels, filters)
            and (before_ns is None or made_ns < before_ns)
            and (after_ns is None or made_ns > after_ns)
            and (dangling is not True or image.id not in tagged)
            and (dangling is not False or not image.nameless)
            and (not patterns or any(_is_called(image, pattern) for pattern in patterns))
        )

    return [image for image in images if passes(image)]


def _bound_ns(filters: Filters, find: Find) -> int | None:
    bounds = [find(name).created_ns for name in filters.get("before", ())]
    bounds += [moment_ns(value, now_ns()) for value in filters.get("until", ())]
    return min(bounds, default=None)


def _is_called(image: Image, pattern: str) -> bool:
    """Whether the short name, with or without its tag, is as a pattern says; `*` does not match a slash."""
    if image.nameless:
        return False
    reference = references.parse(image.ref)
    names = (references.familiar(reference), references.familiar_name(reference), str(image.ref))
    return any(_matches(name, pattern) for name in names)


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
