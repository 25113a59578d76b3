"""Layers count once, however many images have them."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from sockerless_ecs.model.image import Descriptor, Image, ImageConfig, ImageRef
from sockerless_ecs.model.layers import layers_bytes, shared_bytes


def image(name: int, layers: dict[int, int], tag: int = 0) -> Image:
    """One name of an image; layers by number, with their sizes."""
    return Image(
        ref=ImageRef(f"docker.io/library/i{name}:{tag}"),
        id=f"sha256:{name:064x}",
        digest="",
        manifest_digest="",
        config=ImageConfig(),
        architecture="amd64",
        size_bytes=1000,
        blobs=tuple(Descriptor(digest=f"sha256:{one:064x}", size=size) for one, size in layers.items()),
    )


_SIZES = [7, 1, 30, 500, 2]
_IMAGES = st.lists(st.sets(st.sampled_from(range(len(_SIZES))), min_size=1), max_size=6).map(
    lambda sets: [image(number, {one: _SIZES[one] for one in mine}) for number, mine in enumerate(sets)]
)


def test_a_layer_of_two_images_counts_once_and_is_shared_by_both() -> None:
    images = [image(1, {1: 10, 2: 5}), image(2, {1: 10}), image(3, {3: 2})]
    assert layers_bytes(images) == 17
    assert shared_bytes(images) == {images[0].id: 10, images[1].id: 10, images[2].id: 0}


def test_a_second_name_shares_nothing_with_the_first() -> None:
    images = [image(1, {1: 10}), image(1, {1: 10}, tag=2)]
    assert layers_bytes(images) == 10
    assert shared_bytes(images) == {images[0].id: 0}


def test_an_image_of_which_no_layers_are_known_counts_as_a_whole() -> None:
    old = replace(image(1, {}), size_bytes=100)
    assert layers_bytes([old, image(2, {2: 5})]) == 105
    assert shared_bytes([old]) == {old.id: 0}


@given(_IMAGES)
def test_what_is_not_shared_is_what_would_be_gained_without_the_image(images: list[Image]) -> None:
    shared = shared_bytes(images)
    for one in images:
        others = [other for other in images if other is not one]
        own = sum(layer.size for layer in one.blobs) - shared[one.id]
        assert layers_bytes(images) - layers_bytes(others) == own
