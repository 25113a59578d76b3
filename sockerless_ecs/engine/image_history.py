"""How an image came to be, as its configuration file tells it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from sockerless_ecs.engine.values import ImageStep
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.moment import written_ns
from sockerless_ecs.model.reference import shown_tags
from sockerless_ecs.registry.config import Step

_ELSEWHERE = "<missing>"
"""What Docker calls the images that a builder made on the way."""


def history(image: Image, steps: Iterable[Step], of: Callable[[str], Sequence[Image]]) -> Sequence[ImageStep]:
    """The steps, newest first: the image itself, its parents as far as they are here, what was elsewhere.

    `of` gives all records of an image. Layers belong to the steps that are not empty, in order; where there
    are more such steps than layers the last ones have made nothing.
    """
    sizes = iter([layer.size for layer in image.blobs])
    told = [
        ImageStep(
            id=_ELSEWHERE,
            created_ns=written_ns(step.created or ""),
            created_by=step.created_by or "",
            comment=step.comment or "",
            size_bytes=0 if step.empty_layer else next(sizes, 0),
        )
        for step in steps
    ]
    made, records = told[::-1], of(image.id)
    for number, step in enumerate(made):
        if not records:
            break
        made[number] = replace(step, id=records[0].id, tags=tuple(shown_tags(records)))
        records = of(records[0].parent)
    return made
