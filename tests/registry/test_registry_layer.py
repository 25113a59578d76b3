"""What passes by as a layer is known for what it is."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable

import pytest

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.registry.digest import digest_of
from sockerless_ecs.registry.layer import LayerDigest, layer_type
from sockerless_ecs.registry.manifest import OCI_LAYER, OCI_LAYER_GZIP
from tests.engine.bundles import layer

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

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
@pytest.mark.parametrize(
    ("kind", "compress", "rest"),
    [(OCI_LAYER_GZIP, gzip.compress, bytes(7)), (f"{OCI_LAYER}+zstd", zstd.compress, b"")],
)
def test_both_digests_come_from_one_pass(
    size: int, kind: str, compress: Callable[[bytes], bytes], rest: bytes
) -> None:
    squeezed = compress(LAYER[:60_000]) + compress(LAYER[60_000:]) + rest
    digest = LayerDigest(kind, "a")
    for start in range(0, len(squeezed), size):
        digest.feed(squeezed[start : start + size])
    assert (digest.digest, digest.diff_id) == (digest_of(squeezed), digest_of(LAYER))
    plain = LayerDigest(OCI_LAYER, "a")
    plain.feed(LAYER)
    assert plain.digest == plain.diff_id == digest_of(LAYER)


@pytest.mark.parametrize(
    ("kind", "head"), [(OCI_LAYER_GZIP, b"\x1f\x8b\x08"), (f"{OCI_LAYER}+zstd", b"\x28\xb5\x2f\xfd")]
)
def test_a_corrupt_layer_is_refused(kind: str, head: bytes) -> None:
    with pytest.raises(InvalidParameter, match="a: the layer is corrupt"):
        LayerDigest(kind, "a").feed(head + b"\xff" * 100)


@pytest.mark.parametrize(
    ("kind", "compress"), [(OCI_LAYER_GZIP, gzip.compress), (f"{OCI_LAYER}+zstd", zstd.compress)]
)
def test_a_bomb_is_refused_before_it_has_gone_off(kind: str, compress: Callable[[bytes], bytes]) -> None:
    digest = LayerDigest(kind, "a", suspicious_bytes=4 * MIB)
    digest.feed(compress(bytes(4 * MIB)))
    with pytest.raises(InvalidParameter, match="a: the layer unpacks to more than 500 times its size"):
        digest.feed(compress(bytes(8 * MIB)))
