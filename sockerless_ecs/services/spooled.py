"""Bodies on disk: written and read in threads, a piece at a time, and for their owner's eyes only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import trio

from sockerless_ecs.errors import Unavailable

_T = TypeVar("_T")
PIECE_BYTES = 1 << 20
_PRIVATE = 0o600


class Spooled:
    """A file that a body is written to; it can be read several times."""

    def __init__(self, path: Path, size: int = 0) -> None:
        self.path = path
        self.size = size

    @classmethod
    async def make(cls, path: Path) -> Spooled:
        """An empty one, in a folder that is made if it is missing; raises `Unavailable`."""

        def make() -> None:
            path.parent.mkdir(0o700, exist_ok=True)
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE))

        with told_of_the_disk():
            await trio.to_thread.run_sync(make)
        return cls(path)

    async def append(self, pieces: Sequence[bytes], *, last: bool = False) -> None:
        """Add to it; after the last it is durable. Raises `Unavailable`."""

        def append() -> None:
            with self.path.open("ab") as file:
                for piece in pieces:
                    file.write(piece)
                if last:
                    file.flush()
                    os.fsync(file.fileno())

        with told_of_the_disk():
            await trio.to_thread.run_sync(append)
        self.size += sum(map(len, pieces))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _Reader(self.path, self.size)


class _Reader:
    """The bytes of a file, from its beginning; one that is shorter than it was raises `Unavailable`."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size, self._at = path, size, 0

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> bytes:
        if self._at >= self._size:
            raise StopAsyncIteration
        with told_of_the_disk():
            data = await trio.to_thread.run_sync(self._read)
        if not data:
            raise Unavailable(f"{self._path} is cut short: what was copied into the container is lost")
        self._at += len(data)
        return data

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            file.seek(self._at)
            return file.read(min(PIECE_BYTES, self._size - self._at))


@contextmanager
def told_of_the_disk() -> Iterator[None]:
    """What the disk refuses, in our words."""
    try:
        yield
    except OSError as error:
        raise Unavailable(f"what is copied into the container cannot be kept: {error}") from error


def write_note(path: Path, note: object) -> None:
    """Write a value beside a spooled file, whole or not at all."""
    draft = path.with_suffix(".new")
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE), "wb"
    ) as file:
        file.write(msgspec.json.encode(note))
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def read_note(path: Path, kind: type[_T]) -> _T | None:
    """The value; None when it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def unlink(paths: Iterable[Path]) -> None:
    """Remove files; those that are gone or cannot be removed are left to the next sweep."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue
