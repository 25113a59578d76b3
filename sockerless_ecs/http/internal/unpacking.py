"""Files into a container for a frontend whose clients expect that missing directories are made."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

import trio

from sockerless_ecs.errors import NotFound
from sockerless_ecs.http.handlers import files
from sockerless_ecs.http.route import Call, Reply

_DIRECTORY_MODE = 0o755


async def write(call: Call) -> Reply:
    """Unpack a tar below a directory, which is made first with those above it if it is not there."""
    container = await call.backend.containers.inspect(call.ref)
    await _make(call, container.id, PurePosixPath("/", files.wanted_path(call)))
    return await files.write(call)


async def _make(call: Call, container_id: str, path: PurePosixPath) -> None:
    above, missing = path, []
    while above != above.parent:
        try:
            await call.backend.containers.stat_path(container_id, str(above))
            break
        except NotFound:
            missing.append(above)
            above = above.parent
    if missing:
        names = [str(one.relative_to(above)) for one in reversed(missing)]
        await call.backend.containers.write_archive(container_id, str(above), _directories(names))


async def _directories(names: list[str]) -> AsyncIterator[bytes]:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, _DIRECTORY_MODE
            tar.addfile(entry)
    await trio.lowlevel.checkpoint()
    yield packed.getvalue()
