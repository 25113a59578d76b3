"""The container's files through its agent: stat, archives out and in, the whole file system, changes."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlencode

import msgspec
import trio

from sockerless_ecs.agent.client import AgentClient
from sockerless_ecs.agent.exchange import Upgraded
from sockerless_ecs.agent.protocol import AgentLost
from sockerless_ecs.agent.tls import TlsStream
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, SockerlessError, Unimplemented
from sockerless_ecs.model.files import PathStat

_ANSWER_LIMIT = 64 * 1024
_FRAME_BYTES = 1024 * 1024
_PATHS_AT_ONCE = 200
_FAILURES: dict[str, type[SockerlessError]] = {
    "not_found": NotFound,
    "bad_request": InvalidParameter,
    "read_only": InvalidParameter,
    "too_large": InvalidParameter,
    "conflict": Conflict,
}


@dataclass(frozen=True, slots=True)
class ChangedPath:
    """A path that may differ from the image; `entries` are all names in it if it is a directory.

    Bytes that are no UTF-8 are lone surrogates, as `os.fsdecode` makes them.
    """

    path: str
    directory: bool
    entries: tuple[str, ...]


class AgentArchive:
    """A tar on its way out, and what it is of; iterating raises `AgentLost` when it was cut."""

    def __init__(self, stat: PathStat, upgraded: Upgraded) -> None:
        self.stat = stat
        self._early, self._stream = upgraded.early, upgraded.stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data, self._early = self._early, b""
        if not data:
            data = await self._stream.receive_some()
        if not data:
            raise StopAsyncIteration
        return data


async def stat_path(agent: AgentClient, path: str) -> PathStat:
    """What a path is, a link itself and not its target; raises `NotFound`."""
    with _in_docker_s_words():
        return await agent.call("GET", f"/stat?{_query(path=path)}", PathStat)


@asynccontextmanager
async def read_archive(agent: AgentClient, path: str) -> AsyncGenerator[AgentArchive]:
    """A tar of a path, named by its base name; raises `NotFound`. Who leaves it half-way owes nothing."""
    async with AsyncExitStack() as stack:
        with _in_docker_s_words():
            upgraded = await stack.enter_async_context(agent.upgraded("GET", f"/archive?{_query(path=path)}"))
        told = base64.b64decode(upgraded.headers["sockerless-stat"])
        yield AgentArchive(msgspec.json.decode(told, type=PathStat), upgraded)


@asynccontextmanager
async def export(agent: AgentClient) -> AsyncGenerator[AsyncIterator[bytes]]:
    """A tar of the root file system; volumes and kernel file systems are empty in it."""
    async with agent.upgraded("GET", "/export") as upgraded:
        yield AgentArchive(PathStat(name="/", size=0, mode=0, mtime_ns=0), upgraded)


async def write_archive(
    agent: AgentClient,
    path: str,
    tar: AsyncIterator[bytes],
    *,
    no_overwrite_dir_non_dir: bool = False,
    copy_uid_gid: bool = False,
    limit_bytes: int = 0,
    user: str = "",
) -> None:
    """Unpack a plain tar below a directory.

    With `copy_uid_gid` everything belongs to the container's `user`, if it has one (empty: that of its
    newest run), else to whom the tar says. Raises `NotFound` (no such directory), `InvalidParameter` (no
    directory, no tar, leaves the directory, more than `limit_bytes` unpacked, read-only), `Conflict` (what
    may not be overwritten) and what `tar` raises. A failure or a cancellation leaves what was unpacked so
    far. A refused upload stops at once: the rest of `tar` is not read.
    """
    query = _query(
        path=path,
        no_overwrite_dir_non_dir=int(no_overwrite_dir_non_dir),
        copy_uid_gid=int(copy_uid_gid),
        limit=limit_bytes,
        user=user,
    )
    async with AsyncExitStack() as stack:
        with _in_docker_s_words():
            upgraded = await stack.enter_async_context(agent.upgraded("PUT", f"/archive?{query}"))
        await _upload(upgraded, tar)


@asynccontextmanager
async def changed(agent: AgentClient) -> AsyncGenerator[AsyncIterator[ChangedPath]]:
    """Every path of the root file system that was changed since the agent started, and perhaps others."""
    async with agent.upgraded("GET", "/changes") as upgraded:
        yield _ChangedPaths(upgraded)


@asynccontextmanager
async def pack(agent: AgentClient, paths: Iterable[str]) -> AsyncGenerator[AsyncIterator[bytes]]:
    """A tar of paths in their order, as a layer has them; one that ends in `/` with all that is below it.

    Paths that are gone are left out, and what is mounted, made for every container, or the agent's own.
    Raises Unimplemented for an agent that is too old for it.
    """
    failure: Exception | None = None
    async with AsyncExitStack() as stack:
        try:
            upgraded = await stack.enter_async_context(agent.upgraded("POST", "/pack"))
        except NotFound as error:
            raise Unimplemented(
                "the container's agent is older than the daemon and packs no layers: start the container anew"
            ) from error
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send_frames, upgraded.stream, _Joined(paths))
            try:
                yield AgentArchive(PathStat(name="/", size=0, mode=0, mtime_ns=0), upgraded)
            except Exception as error:  # noqa: BLE001 - taken past the nursery, which would wrap it
                failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Joined:
    """Paths as bytes, each ended by a zero byte, many to a piece."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = iter(paths)

    def __aiter__(self) -> _Joined:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        piece = b"".join(
            path.encode("utf-8", "surrogateescape") + b"\0" for path in islice(self._paths, _PATHS_AT_ONCE)
        )
        if not piece:
            raise StopAsyncIteration
        return piece


class _ChangedPaths:
    """The lines of `/changes`; it ends with close_notify and raises `AgentLost` when it was cut."""

    def __init__(self, upgraded: Upgraded) -> None:
        self._stream = upgraded.stream
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self._feed(upgraded.early)

    def __aiter__(self) -> _ChangedPaths:
        return self

    async def __anext__(self) -> ChangedPath:
        while not self._lines:
            data = await self._stream.receive_some()
            if not data:
                raise StopAsyncIteration
            self._feed(data)
        told = json.loads(self._lines.popleft())  # msgspec knows no lone surrogates
        return ChangedPath(told["path"], told["directory"], tuple(told["entries"]))

    def _feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)


class _Outcome(msgspec.Struct):
    kind: str = ""
    message: str = ""


async def _upload(upgraded: Upgraded, tar: AsyncIterator[bytes]) -> None:
    """Send while listening: the agent may answer before it was told everything."""
    sent: list[Exception] = []

    async def send() -> None:
        try:
            await _send_frames(upgraded.stream, tar)
        except Exception as error:  # noqa: BLE001 - handed over, so that it comes out as it is
            sent.append(error)
            nursery.cancel_scope.cancel()

    outcome: _Outcome | AgentLost | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        outcome = await _outcome(upgraded)
        nursery.cancel_scope.cancel()
    if sent:
        raise sent[0]
    match outcome:
        case _Outcome(kind=""):
            return
        case _Outcome(kind=kind, message=message):
            raise _FAILURES.get(kind, SockerlessError)(message)
        case AgentLost():
            raise outcome


async def _send_frames(stream: TlsStream, tar: AsyncIterator[bytes]) -> None:
    async for data in tar:
        for start in range(0, len(data), _FRAME_BYTES):
            piece = data[start : start + _FRAME_BYTES]
            if not await _sent(stream, len(piece).to_bytes(8, "big") + piece):
                return
    await _sent(stream, bytes(8))


async def _sent(stream: TlsStream, frame: bytes) -> bool:
    try:
        await stream.send_all(frame)
    except AgentLost:
        return False  # the agent may have answered before it hung up: who listens knows
    return True


async def _outcome(upgraded: Upgraded) -> _Outcome | AgentLost:
    told = upgraded.early
    try:
        while b"\n" not in told and len(told) < _ANSWER_LIMIT:
            data = await upgraded.stream.receive_some()
            if not data:
                return AgentLost("the agent hung up instead of answering")
            told += data
        return msgspec.json.decode(told, type=_Outcome)
    except AgentLost as error:
        return error
    except msgspec.DecodeError as error:
        return AgentLost(f"the agent's answer is none: {error}")


def _query(**values: object) -> str:
    return urlencode(values, errors="surrogateescape")


@contextmanager
def _in_docker_s_words() -> Generator[None]:
    """What the agent says of files is worded for the user already."""
    try:
        yield
    except (NotFound, InvalidParameter, Conflict) as error:
        raise type(error)(error.message.removeprefix("agent: ")) from error
