"""Which images a client asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from fnmatch import fnmatchcase

from sockerless_ecs.engine.contract import Filters
from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.model import filters as filtering
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.moment import moment_ns
from sockerless_ecs.services.ledger import now_ns

_YES, _NO = frozenset(("1", "t", "true")), frozenset(("0", "f", "false"))
_SECOND_NS = 1_000_000_000
Find = Callable[[str], Image]


def listed(images: Sequence[Image], filters: Filters, find: Find) -> Sequence[Image]:
    """The records that pass all filters; raises InvalidParameter, or NotFound for `before` and `since`."""
    filtering.check(filters, filtering.IMAGE)
    before_ns = _bound_ns(filters, find)
    after_ns = max((_made_ns(find(name)) for name in filters.get("since", ())), default=None)
    dangling = _dangling(filters)
    tagged = {image.id for image in images if _has_tag(image)}
    patterns = filters.get("reference", ())

    def passes(image: Image) -> bool:
        made_ns = _made_ns(image)
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
    bounds = [_made_ns(find(name)) for name in filters.get("before", ())]
    until = filters.get("until", ())
    if len(until) > 1:
        raise InvalidParameter("more than one until filter specified")
    bounds += [moment_ns(value, now_ns()) for value in until]
    return min(bounds, default=None)


def _dangling(filters: Filters) -> bool | None:
    values = [value.lower() for value in filters.get("dangling", ())]
    if not values:
        return None
    for value in values:
        if value not in _YES | _NO:
            raise InvalidParameter(f"invalid filter 'dangling={value}'")
    if len({value in _YES for value in values}) > 1:
        raise InvalidParameter(f"invalid filter 'dangling={' '.join(values)}'")
    return values[0] in _YES


def _has_tag(image: Image) -> bool:
    return not image.nameless and references.parse(image.ref).digest is None


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


def _made_ns(image: Image) -> int:
    try:
        return int(datetime.fromisoformat(image.created).timestamp() * _SECOND_NS)
    except ValueError:
        return 0
