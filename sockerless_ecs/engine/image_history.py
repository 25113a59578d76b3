"""How an image came to be, as its configuration file tells it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sockerless_ecs.engine.values import ImageStep
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.moment import written_ns
from sockerless_ecs.registry.config import Step

_ELSEWHERE = "<missing>"
"""What Docker calls the images that a builder made on the way."""


def history(image: Image, steps: Iterable[Step], tags: Iterable[str]) -> Sequence[ImageStep]:
    """The steps, newest first; the newest is the image itself, with its tags.

    Layers belong to the steps that are not empty, in order; where there are more such steps than layers the
    last ones have made nothing.
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
    if told:
        told[-1] = replace(told[-1], id=image.id, tags=tuple(tags))
    return told[::-1]
