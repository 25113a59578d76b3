"""What passes by as a layer: its digest, its digest unpacked, and what kind of layer it is."""

from __future__ import annotations

import hashlib
import tarfile
import zlib

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.registry import manifest

_BLOCK = 512
_PIECE_BYTES = 1 << 20
_RATIO, _RATIO_FROM_BYTES = 500, 1 << 30
"""What grows more than so many times its size, and to so much, is a bomb."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_LAYER = f"{manifest.OCI_LAYER}+zstd"


def layer_type(head: bytes) -> str | None:
    """The media type of a layer by its first bytes; None for what is no layer."""
    if head.startswith(_GZIP):
        return manifest.OCI_LAYER_GZIP
    if head.startswith(_ZSTD):
        return _ZSTD_LAYER
    if not any(head[:_BLOCK]):  # an empty tar, or nothing at all
        return manifest.OCI_LAYER
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    return manifest.OCI_LAYER


class LayerDigest:
    """Digests what it is fed, in a thread if need be."""

    def __init__(self, media_type: str, name: str, *, suspicious_bytes: int = _RATIO_FROM_BYTES) -> None:
        self._name = name
        self._raw = hashlib.sha256()
        self._plain = hashlib.sha256()
        self._inflate = zlib.decompressobj(31) if media_type == manifest.OCI_LAYER_GZIP else None
        self._knows_plain = media_type != _ZSTD_LAYER
        self._read = self._made = 0
        self._suspicious_bytes = suspicious_bytes

    def feed(self, data: bytes) -> None:
        """More of it; raises InvalidParameter for a layer that is corrupt, or made to explode."""
        self._raw.update(data)
        self._read += len(data)
        while self._inflate is not None and data:
            try:
                piece = self._inflate.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise InvalidParameter(f"{self._name}: the layer is corrupt: {error}") from error
            self._plain.update(piece)
            self._made += len(piece)
            if self._made > max(self._suspicious_bytes, _RATIO * self._read):
                raise InvalidParameter(
                    f"{self._name}: the layer unpacks to more than {_RATIO} times its size: refused"
                )
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                data = self._inflate.unused_data.lstrip(b"\0")
                self._inflate = zlib.decompressobj(31) if data else self._inflate

    @property
    def digest(self) -> str:
        """Of what was fed."""
        return f"sha256:{self._raw.hexdigest()}"

    @property
    def diff_id(self) -> str:
        """Of what that unpacks to; empty where it was compressed in a way that is not unpacked here."""
        if not self._knows_plain:
            return ""
        return self.digest if self._inflate is None else f"sha256:{self._plain.hexdigest()}"
