"""One container's output file: read in pieces, its beginning given back to the disk while it grows.

Offsets count from the first byte that the container ever wrote.
"""

from __future__ import annotations

import ctypes
import errno
import io
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_KEEP_SIZE, _PUNCH_HOLE = 1, 2
_IN_MEMORY = 1 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def punch_hole(descriptor: int, start: int, size: int) -> None:
    """Give a part of a file back to the disk; raises `OSError` where the file system cannot."""
    result = _libc.fallocate(
        descriptor, _PUNCH_HOLE | _KEEP_SIZE, ctypes.c_longlong(start), ctypes.c_longlong(size)
    )
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Spool:
    """The file, which the container appends to and somebody else removes. Not thread-safe."""

    def __init__(self, path: Path, punch: Callable[[int, int, int], None] = punch_hole) -> None:
        self._path = path
        self._punch = punch
        self._base = 0
        self._freed = 0
        self._kept: BinaryIO | None = None

    def size(self) -> int:
        """How much was written; 0 while there is no file."""
        try:
            return self._base + self._path.stat().st_size
        except FileNotFoundError:
            return self._base

    def read(self, offset: int, size: int) -> bytes:
        """At most that many bytes from an offset; fewer or none if they are not there."""
        if self._kept is not None:
            self._kept.seek(offset - self._base)
            return self._kept.read(size)
        try:
            with self._path.open("rb") as file:
                file.seek(offset - self._base)
                return file.read(size)
        except FileNotFoundError:
            return b""

    @property
    def base(self) -> int:
        """The offset with which the file begins."""
        return self._base

    def free(self, end: int, at_least: int) -> bool:
        """Give what lies before `end` back to the disk, if it is so much.

        False where only all or nothing can be given: that is what `restart` does.
        """
        if end - self._freed < at_least:
            return True
        try:
            with self._path.open("r+b") as file:
                self._punch(file.fileno(), self._freed - self._base, end - self._freed)
        except FileNotFoundError:
            return True
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            return False
        self._freed = end
        return True

    def restart(self) -> int:
        """Empty the file, and with it what is unread; where the container's next byte will be."""
        with self._path.open("r+b") as file:
            # Its own descriptor appends: it goes on at the new end.
            self._base += file.seek(0, os.SEEK_END)
            file.truncate(0)
        self._freed = self._base
        return self._base

    def keep(self, start: int, end: int) -> None:
        """Hold on to a part: the file is about to be removed."""
        if end - start > _IN_MEMORY:
            with suppress(FileNotFoundError):
                self._kept = self._path.open("rb")  # on disk, without a name, until `drop`
                return
        data = self.read(start, end - start) if end > start else b""
        self._base, self._kept = start, io.BytesIO(data)

    def drop(self) -> None:
        """Nothing more is read."""
        if self._kept is not None:
            self._kept.close()
            self._kept = io.BytesIO()
