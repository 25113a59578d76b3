"""What images' layers weigh, each counted once however many images have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from sockerless_ecs.model.image import Image


def layers_bytes(images: Iterable[Image]) -> int:
    """All layers of these images together."""
    layers: dict[str, int] = {}
    for image in images:
        layers.update(_layers(image))
    return sum(layers.values())


def shared_bytes(images: Iterable[Image]) -> Mapping[str, int]:
    """Of each image, by id: the layers that another one of these images has too."""
    layers = {image.id: _layers(image) for image in images}
    owners = Counter(digest for mine in layers.values() for digest in mine)
    return {
        image_id: sum(size for digest, size in mine.items() if owners[digest] > 1)
        for image_id, mine in layers.items()
    }


def _layers(image: Image) -> dict[str, int]:
    """By digest; an image whose layers were never written down counts as one of its own."""
    return {layer.digest: layer.size for layer in image.blobs} or {image.id: image.size_bytes}
