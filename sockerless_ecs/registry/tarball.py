"""A tar read as it arrives, once and in its own order; no file of it is ever made."""

from __future__ import annotations

import posixpath
import re
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sockerless_ecs.errors import InvalidParameter

_BLOCK = 512
_PIECE = 1 << 18
_LONGEST_EXTENSION = 1 << 20
_MOST_ENTRIES = 10_000
_PAX = re.compile(rb"(?P<length>[0-9]{1,7}) (?P<key>[^=]+)=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file of the archive, or a link; folders are left out."""

    name: str
    """Relative, without `.` and `..`."""
    size: int
    target: str | None = None
    """For a link: the name, within the archive, that it stands for."""


class Tarball:
    """The entries of a tar, one at a time; of the current one the content.

    Every method raises InvalidParameter for what is no tar, is cut short, or names what lies outside it.
    """

    def __init__(self, plain: AsyncIterator[bytes]) -> None:
        self._plain = plain
        self._buffer = bytearray()
        self._left = self._padding = 0
        self._entries = 0

    async def next(self) -> Entry | None:
        """The next file or link, past what was not read of the last one; None at the end."""
        await self._skip()
        extended: dict[str, str] = {}
        while (header := await self._header()) is not None:
            self._entries += 1
            if self._entries > _MOST_ENTRIES:
                raise InvalidParameter(f"the archive has more than {_MOST_ENTRIES} entries: refused")
            if header.type in _EXTENSIONS:
                extended |= _extension(header.type, await self._extension(header.size))
                continue
            entry = _entry(header, extended)
            extended = {}
            self._left = entry.size if entry is not None else header.size if header.isreg() else 0
            self._padding = -self._left % _BLOCK
            if entry is not None:
                return entry
            await self._skip()
        await self._drain()
        return None

    async def read(self, most: int) -> bytes:
        """The next bytes of the current entry, as many as asked for unless it ends; `b""` at its end."""
        wanted = min(most, self._left)
        data = await self._take(wanted)
        self._left -= wanted
        return data

    async def _skip(self) -> None:
        left = self._left + self._padding
        self._left = self._padding = 0
        while left:
            left -= len(await self._take(min(left, _PIECE)))

    async def _header(self) -> tarfile.TarInfo | None:
        block = await self._take(_BLOCK)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise InvalidParameter(f"not a tar archive: {error}") from error

    async def _extension(self, size: int) -> bytes:
        if size > _LONGEST_EXTENSION:
            raise InvalidParameter("the archive has an extended header of more than 1 MiB: refused")
        self._left, self._padding = size, -size % _BLOCK
        data = await self.read(size)
        await self._skip()
        return data

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            piece = await anext(self._plain, b"")
            if not piece:
                raise InvalidParameter("not a whole tar archive: unexpected EOF")
            self._buffer += piece
        with memoryview(self._buffer) as buffer:
            data = bytes(buffer[:size])
        del self._buffer[:size]
        return data

    async def _drain(self) -> None:
        """Read to the end: the client has still to send it, and then waits for the answer."""
        self._buffer.clear()
        while await anext(self._plain, b""):
            pass


_EXTENSIONS = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """What an entry before the real one says of it."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(data.rstrip(b"\0"))}
    if kind == tarfile.GNUTYPE_LONGLINK:
        return {"linkpath": _text(data.rstrip(b"\0"))}
    if kind == tarfile.XGLTYPE:
        return {}
    found: dict[str, str] = {}
    position = 0
    while position < len(data) and (record := _PAX.match(data, position)):
        end = position + int(record["length"])
        if end <= record.end():
            break
        found[_text(record["key"])] = _text(data[record.end() : end - 1])
        position = end
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _entry(header: tarfile.TarInfo, extended: dict[str, str]) -> Entry | None:
    if header.isdir():
        return None
    size_text = extended.get("size", "")
    size = int(size_text) if size_text.isascii() and size_text.isdecimal() else header.size
    name = extended.get("path", header.name)
    inside = _inside(name, name)
    if any(key.startswith("GNU.sparse") for key in extended):
        raise InvalidParameter(f"{name}: sparse files cannot be loaded")
    if header.issym() or header.islnk():
        link = extended.get("linkpath", header.linkname)
        around = posixpath.dirname(inside) if header.issym() else ""
        return Entry(name=inside, size=0, target=_inside(posixpath.join(around, link), name))
    if not header.isreg():
        raise InvalidParameter(f"{name}: the archive has something that is neither file, folder nor link")
    if size < 0:
        raise InvalidParameter(f"{name}: the archive gives it a size below zero")
    return Entry(name=inside, size=size)


def _inside(path: str, name: str) -> str:
    """A path within the archive; raises InvalidParameter for one that leads out of it."""
    clean = posixpath.normpath(path)
    if path.startswith("/") or clean == ".." or clean.startswith("../") or "\0" in path:
        raise InvalidParameter(f"{name}: it leads out of the archive: refused")
    return clean
