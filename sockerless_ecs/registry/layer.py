"""What passes by as a layer: its digest, its digest unpacked, and what kind of layer it is."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Callable, Mapping

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.registry import manifest
from sockerless_ecs.registry.compression import FAULTS, Codec, gzip_codec, zstd_codec

_BLOCK = 512
_PIECE_BYTES = 1 << 20
_RATIO, _RATIO_FROM_BYTES = 500, 1 << 30
"""What grows more than so many times its size, and to so much, is a bomb."""
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_ZSTD_LAYER = f"{manifest.OCI_LAYER}+zstd"
_CODECS: Mapping[str, Callable[[], Codec]] = {
    manifest.OCI_LAYER_GZIP: gzip_codec,
    _ZSTD_LAYER: zstd_codec,
}


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
        self._codec = _CODECS.get(media_type)
        self._stream: Codec | None = None
        self._read = self._made = 0
        self._suspicious_bytes = suspicious_bytes

    def feed(self, data: bytes) -> None:
        """More of it; raises InvalidParameter for a layer that is corrupt, or made to explode."""
        self._raw.update(data)
        self._read += len(data)
        if self._codec is not None:
            self._feed(data, self._codec)

    def _feed(self, data: bytes, codec: Callable[[], Codec]) -> None:
        """One stream may follow another; zeros may stand between them, and at the end."""
        while True:
            if self._stream is None:
                data = data.lstrip(b"\0")
                self._stream = codec() if data else None
            if self._stream is None or (self._stream.needs_input and not data):
                return
            data = self._unpack(data, self._stream)

    def _unpack(self, data: bytes, stream: Codec) -> bytes:
        """Take it in; what is left of it is behind the stream's end."""
        try:
            piece = stream.decompress(data, _PIECE_BYTES)
        except FAULTS as error:
            raise InvalidParameter(f"{self._name}: the layer is corrupt: {error}") from error
        self._plain.update(piece)
        self._made += len(piece)
        if self._made > max(self._suspicious_bytes, _RATIO * self._read):
            raise InvalidParameter(
                f"{self._name}: the layer unpacks to more than {_RATIO} times its size: refused"
            )
        if not stream.eof:
            return b""
        self._stream = None
        return stream.unused_data

    @property
    def digest(self) -> str:
        """Of what was fed."""
        return f"sha256:{self._raw.hexdigest()}"

    @property
    def diff_id(self) -> str:
        """Of what that unpacks to."""
        return self.digest if self._codec is None else f"sha256:{self._plain.hexdigest()}"
