"""Files into and out of containers."""

from __future__ import annotations

import base64

import msgspec

from sockerless_ecs.errors import InvalidParameter
from sockerless_ecs.http.route import Call, Output, Reply, Streamed
from sockerless_ecs.http.shapes.container import PathStatView
from sockerless_ecs.http.times import rfc3339
from sockerless_ecs.model.files import PathStat

_STAT = "X-Docker-Container-Path-Stat"
_TAR = "application/x-tar"
_WHOLE = "application/octet-stream"


async def stat(call: Call) -> Reply:
    """Tell in a header what a path is."""
    path = wanted_path(call)
    return Reply(200, headers=_headers(await call.backend.containers.stat_path(call.ref, path)))


async def read(call: Call) -> Streamed:
    """A tar of a path."""
    path = wanted_path(call)

    async def produce(output: Output) -> None:
        async with call.backend.containers.read_archive(call.ref, path) as archive:
            await output.begin(_TAR, _headers(archive.stat))
            async for data in archive:
                await output.write(data)

    return Streamed(produce)


async def write(call: Call) -> Reply:
    """Unpack a tar below a directory."""
    await call.backend.containers.write_archive(
        call.ref,
        wanted_path(call),
        call.stream_body(),
        no_overwrite_dir_non_dir=call.query.flag("noOverwriteDirNonDir"),
        copy_uid_gid=call.query.flag("copyUIDGID"),
    )
    return Reply(200)


async def export(call: Call) -> Streamed:
    """The whole file system."""

    async def produce(output: Output) -> None:
        async with call.backend.containers.export(call.ref) as pieces:
            await output.begin(_WHOLE)
            async for data in pieces:
                await output.write(data)

    return Streamed(produce)


def wanted_path(call: Call) -> str:
    """The path in the query."""
    path = call.query.text("path")
    if not path:
        raise InvalidParameter("bad parameter: path cannot be empty")
    return path


def _headers(stat: PathStat) -> dict[str, str]:
    told = PathStatView(
        name=stat.name,
        size=stat.size,
        mode=stat.mode,
        mtime=rfc3339(stat.mtime_ns),
        link_target=stat.link_target,
    )
    return {_STAT: base64.b64encode(msgspec.json.encode(told)).decode("ascii")}
