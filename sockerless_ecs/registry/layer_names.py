"""What a layer's tar names, read from its headers as it passes by; its files' contents are skipped."""

from __future__ import annotations

import posixpath
import re
import tarfile

from sockerless_ecs.errors import SockerlessError, Unavailable

_BLOCK = 512
_LONGEST_EXTENSION = 1 << 20
MOST_ENTRIES = 1_000_000
_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")
_MORE_HOLES, _MORE_HOLES_AGAIN = 482, 504
"""Where a block of the old GNU format says that another one with a map of holes follows."""


class LayerNames:
    """Takes a tar in pieces of any size, and keeps the names; raises `failure` for what is no tar."""

    def __init__(
        self, what: str = "a layer of the image", failure: type[SockerlessError] = Unavailable
    ) -> None:
        self._what = what
        self._failure = failure
        self.entries: list[tuple[str, bool]] = []
        """Paths from `/`, and whether they are directories."""
        self._buffer = bytearray()
        self._skip = 0
        self._over = False
        self._extended: dict[str, str] = {}

    def feed(self, data: bytes) -> None:
        """More of it."""
        if self._over or self._skip >= len(data):
            self._skip -= min(self._skip, len(data))
            return
        self._buffer += memoryview(data)[self._skip :]
        self._skip = 0
        position = 0
        while not self._over and (after := self._entry(position)) is not None:
            position = after
        self._skip = max(0, position - len(self._buffer))
        del self._buffer[:position]

    def finish(self) -> None:
        """There is no more; raises when it was cut short."""
        if not self._over and (self._skip or self._buffer):
            raise self._failure(f"{self._what} is cut short")

    def _entry(self, position: int) -> int | None:
        """Take the entry at a position of the buffer: where the next one is, or None for want of bytes."""
        start = position + _BLOCK
        block = bytes(self._buffer[position:start])
        if len(block) < _BLOCK:
            return None
        if not any(block):
            self._over = True
            return start
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._failure(f"{self._what} is no tar: {error}") from error
        if header.type in _EXTENSIONS:
            return self._extension(header, start)
        if header.type == tarfile.GNUTYPE_SPARSE:
            sparse_start = self._past_sparse_map(block[_MORE_HOLES], start)
            if sparse_start is None:
                return None
            start = sparse_start
        size_text = self._extended.get("size", "")
        size = int(size_text) if size_text.isascii() and size_text.isdecimal() else header.size
        if size < 0:
            raise self._failure(f"{self._what} has a file with a size below zero")
        self._keep(self._extended.get("GNU.sparse.name") or self._extended.get("path") or header.name, header)
        self._extended = {}
        has_data = header.isreg() or header.type not in tarfile.SUPPORTED_TYPES
        return start + (_padded(size) if has_data else 0)

    def _extension(self, header: tarfile.TarInfo, start: int) -> int | None:
        if not 0 <= header.size <= _LONGEST_EXTENSION:
            raise self._failure(f"{self._what} has an extended header of more than 1 MiB")
        if len(self._buffer) < start + _padded(header.size):
            return None
        data = bytes(self._buffer[start : start + header.size])
        if header.type == tarfile.GNUTYPE_LONGNAME:
            self._extended["path"] = _text(data.partition(b"\0")[0])
        elif header.type == tarfile.XHDTYPE:
            self._extended |= _records(data)
        return start + _padded(header.size)

    def _past_sparse_map(self, more: int, start: int) -> int | None:
        while more:
            if len(self._buffer) < start + _BLOCK:
                return None
            more = self._buffer[start + _MORE_HOLES_AGAIN]
            start += _BLOCK
        return start

    def _keep(self, name: str, header: tarfile.TarInfo) -> None:
        if len(self.entries) >= MOST_ENTRIES:
            raise self._failure(f"{self._what} has more than {MOST_ENTRIES} files")
        self.entries.append((posixpath.normpath(f"/{name.lstrip('/')}"), header.isdir()))


def _padded(size: int) -> int:
    return size + -size % _BLOCK


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _records(data: bytes) -> dict[str, str]:
    """The records of an extended header."""
    found: dict[str, str] = {}
    position = 0
    while record := _RECORD.match(data, position):
        end = position + int(record[1])
        if end <= record.end():
            break
        found[_text(record[2])] = _text(data[record.end() : end - 1])
        position = end
    return found
