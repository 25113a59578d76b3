"""Files of a container, in a dict of paths: a directory's content is None."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

import trio

from sockerless_ecs.errors import InvalidParameter, NotFound, Unavailable
from sockerless_ecs.model.files import PathStat

_DIRECTORY = 1 << 31
_MTIME_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True, slots=True)
class FakeArchive:
    """Files on their way out."""

    stat: PathStat
    data: bytes
    piece_bytes: int
    broken: bool = False

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, len(self.data), self.piece_bytes):
            await trio.lowlevel.checkpoint()
            yield self.data[start : start + self.piece_bytes]
            if self.broken:
                raise Unavailable("the agent is gone")


class FakeFiles:
    """One file system for every container."""

    def __init__(self) -> None:
        self.content: dict[str, bytes | None] = {"/": None, "/etc": None, "/etc/name": b"sockerless\n"}
        self.piece_bytes = 1 << 16
        self.broken = False
        self.written: list[tuple[str, bool, bool]] = []

    def stat(self, ref: str, path: str) -> PathStat:
        """What a path is."""
        wanted = str(PurePosixPath("/", path))
        if wanted not in self.content:
            raise NotFound(f"Could not find the file {path} in container {ref}")
        content = self.content[wanted]
        return PathStat(
            name=PurePosixPath(wanted).name or "/",
            size=0 if content is None else len(content),
            mode=_DIRECTORY | 0o755 if content is None else 0o644,
            mtime_ns=_MTIME_NS,
        )

    @asynccontextmanager
    async def read(self, ref: str, path: str) -> AsyncIterator[FakeArchive]:
        await trio.lowlevel.checkpoint()
        stat, packed = self.stat(ref, path), io.BytesIO()
        content = self.content[str(PurePosixPath("/", path))]
        with tarfile.open(fileobj=packed, mode="w") as tar:
            entry = tarfile.TarInfo(stat.name)
            entry.size = stat.size
            entry.type = tarfile.DIRTYPE if stat.is_directory else tarfile.REGTYPE
            tar.addfile(entry, io.BytesIO(content or b""))
        yield FakeArchive(stat, packed.getvalue(), self.piece_bytes, self.broken)

    async def write(
        self, ref: str, path: str, body: AsyncIterator[bytes], options: tuple[bool, bool]
    ) -> None:
        if not self.stat(ref, path).is_directory:
            raise InvalidParameter("extraction point is not a directory")
        packed = b"".join([piece async for piece in body])
        self.written.append((path, *options))
        try:
            with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
                for entry in tar:
                    found = tar.extractfile(entry)
                    target = str(PurePosixPath("/", path, entry.name))
                    self.content[target] = found.read() if found else None
        except tarfile.TarError as error:
            if packed:
                raise InvalidParameter(f"Error processing tar file: {error}") from None
