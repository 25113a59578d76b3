"""Tars made and read in memory, and an agent asked for them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from sockerless_ecs.agent import AgentClient, files

LIMIT = 1 << 30
Entries = Sequence[tarfile.TarInfo | tuple[tarfile.TarInfo, bytes]]


def member(name: str | bytes, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    """One entry; fields are `tarfile.TarInfo`'s."""
    info = tarfile.TarInfo(name if isinstance(name, str) else name.decode("utf-8", "surrogateescape"))
    info.type = kind
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o644
    for field, value in fields.items():
        setattr(info, field, value)
    return info


def tar_of(members: Entries) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for each in members:
            info, content = each if isinstance(each, tuple) else (each, b"")
            if content:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


async def pieces(data: bytes, size: int = 64 * 1024) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def put(
    agent: AgentClient,
    folder: Path | str,
    members: Entries,
    **options: object,
) -> None:
    wishes = {"limit_bytes": LIMIT, **options}
    async with aclosing(pieces(tar_of(members))) as tar:
        await files.write_archive(agent, str(folder), tar, **wishes)  # type: ignore[arg-type]


async def get_bytes(agent: AgentClient, path: Path | str) -> bytes:
    async with files.read_archive(agent, str(path)) as archive:
        return b"".join([piece async for piece in archive])


async def get(agent: AgentClient, path: Path | str) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    """The entries by name, in order; of a directory the name has no slash at its end."""
    return read(await get_bytes(agent, path))


def read(data: bytes) -> dict[str, tuple[tarfile.TarInfo, bytes]]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as tar:
        for info in tar:
            content = tar.extractfile(info) if info.isreg() else None
            found[info.name] = (info, content.read() if content else b"")
    return found


def raw_names(data: bytes) -> list[str]:
    """The names as they are in the heads, slashes and all; for short ASCII names."""
    names, at = [], 0
    while at < len(data) and data[at]:
        names.append(data[at : at + 100].rstrip(b"\0").decode())
        size = int(data[at + 124 : at + 135], 8)
        at += 512 + (size + 511) // 512 * 512
    return names
