"""What passes by as a layer is known for what it is."""

from __future__ import annotations

import gzip

import pytest

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer import LayerDigest, layer_type
from sockerless_ecs.registry.manifest import OCI_LAYER, OCI_LAYER_GZIP
from tests.engine.bundles import layer

LAYER = layer({"a": b"a" * 100_000})
MIB = 1 << 20


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (LAYER, OCI_LAYER),
        (b"", OCI_LAYER),
        (bytes(1024), OCI_LAYER),
        (gzip.compress(LAYER), OCI_LAYER_GZIP),
        (b"\x28\xb5\x2f\xfd", f"{OCI_LAYER}+zstd"),
        (b'{"a":1}', None),
        (b"1.0", None),
        (b"x" * 1024, None),
    ],
)
def test_a_layer_is_known_by_how_it_begins(head: bytes, kind: str | None) -> None:
    assert layer_type(head[:512]) == kind


@pytest.mark.parametrize("size", [1, 100, 1 << 20])
def test_both_digests_come_from_one_pass(size: int) -> None:
    squeezed = gzip.compress(LAYER[:60_000]) + gzip.compress(LAYER[60_000:]) + bytes(7)
    digest = LayerDigest(OCI_LAYER_GZIP, "a")
    for start in range(0, len(squeezed), size):
        digest.feed(squeezed[start : start + size])
    assert (digest.digest, digest.diff_id) == (digest_of(squeezed), digest_of(LAYER))
    plain = LayerDigest(OCI_LAYER, "a")
    plain.feed(LAYER)
    assert plain.digest == plain.diff_id == digest_of(LAYER)


def test_what_is_not_unpacked_here_has_no_second_digest() -> None:
    digest = LayerDigest(f"{OCI_LAYER}+zstd", "a")
    digest.feed(b"\x28\xb5\x2f\xfd")
    assert digest.diff_id == ""


def test_a_corrupt_layer_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="a: the layer is corrupt"):
        LayerDigest(OCI_LAYER_GZIP, "a").feed(b"\x1f\x8b\x08" + b"x" * 100)


def test_a_bomb_is_refused_before_it_has_gone_off() -> None:
    digest = LayerDigest(OCI_LAYER_GZIP, "a", suspicious_bytes=4 * MIB)
    digest.feed(gzip.compress(bytes(4 * MIB)))
    with pytest.raises(InvalidParameter, match="a: the layer unpacks to more than 500 times its size"):
        digest.feed(gzip.compress(bytes(8 * MIB)))
