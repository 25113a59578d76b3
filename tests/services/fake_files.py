"""The files of fake agents: what was unpacked where, and what reading gives."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import trio

from sockerless_ecs.agent import AgentClient
from sockerless_ecs.agent.files import ChangedPath
from sockerless_ecs.errors import InvalidParameter, NotFound
from sockerless_ecs.model.files import PathStat
from sockerless_ecs.model.reference import Reference
from sockerless_ecs.registry import ImageContents, Tree
from tests.services.fake_agent import FakeClient


class Write(NamedTuple):
    """One tar that an agent has unpacked."""

    path: str
    data: bytes
    no_overwrite_dir_non_dir: bool = False
    copy_uid_gid: bool = False


class Hold(Protocol):
    """What an agent waits for."""

    async def wait(self) -> None: ...


@dataclass
class Disk:
    """What the container of one agent has."""

    writes: list[Write] = field(default_factory=list)
    stats: dict[str, PathStat] = field(default_factory=dict)
    tars: dict[str, list[bytes | Exception]] = field(default_factory=dict)
    changed: list[ChangedPath] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)
    packed: list[list[str]] = field(default_factory=list)
    """The paths of each layer that was packed; its tar is under `layer`."""
    paused: list[bool] = field(default_factory=list)
    """Whether the processes stood still when a layer was packed."""
    hold: trio.Event | None = None
    """Writes are whole at the agent, and are not answered before this is set."""
    while_packing: Hold | None = None


class FakeArchive:
    """A tar on its way out; a piece that is an exception is raised."""

    def __init__(self, stat: PathStat | None, pieces: Sequence[bytes | Exception]) -> None:
        self._stat, self._pieces = stat, list(pieces)

    @property
    def stat(self) -> PathStat:
        assert self._stat is not None
        return self._stat

    def __aiter__(self) -> FakeArchive:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._pieces:
            raise StopAsyncIteration
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        return piece


class FakeContents(ImageContents):
    """Every image has the same files."""

    def __init__(self) -> None:
        self.image = Tree()
        self.asked: list[tuple[str, Reference]] = []

    async def tree(self, image_id: str, reference: Reference) -> Tree:
        await trio.lowlevel.checkpoint()
        self.asked.append((image_id, reference))
        return self.image


class FakeChanges:
    """Changed paths on their way."""

    def __init__(self, changed: Sequence[ChangedPath]) -> None:
        self._left = list(changed)

    def __aiter__(self) -> FakeChanges:
        return self

    async def __anext__(self) -> ChangedPath:
        await trio.lowlevel.checkpoint()
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop(0)


class FakeFiles:
    """Stands in for `agent.files`."""

    def __init__(self) -> None:
        self._disks: dict[int, Disk] = {}

    def disk(self, client: AgentClient) -> Disk:
        """Of the agent behind a client."""
        assert isinstance(client, FakeClient)
        return self._disks.setdefault(id(client.agent), Disk())

    async def stat_path(self, agent: AgentClient, path: str) -> PathStat:
        assert isinstance(agent, FakeClient)
        await agent._reach("stat")
        stats = self.disk(agent).stats
        if path not in stats:
            raise NotFound("agent: no such path")
        return stats[path]

    @asynccontextmanager
    async def read_archive(self, agent: AgentClient, path: str) -> AsyncGenerator[FakeArchive]:
        stat = await self.stat_path(agent, path)
        yield FakeArchive(stat, self.disk(agent).tars.get(path, []))

    @asynccontextmanager
    async def changed(self, agent: AgentClient) -> AsyncGenerator[AsyncIterator[ChangedPath]]:
        assert isinstance(agent, FakeClient)
        await agent._reach("changes")
        yield FakeChanges(self.disk(agent).changed)

    @asynccontextmanager
    async def export(self, agent: AgentClient) -> AsyncGenerator[AsyncIterator[bytes]]:
        assert isinstance(agent, FakeClient)
        await agent._reach("export")
        yield FakeArchive(None, self.disk(agent).tars["/"])

    @asynccontextmanager
    async def pack(self, agent: AgentClient, paths: Iterable[str]) -> AsyncGenerator[AsyncIterator[bytes]]:
        assert isinstance(agent, FakeClient)
        await agent._reach("pack")
        disk = self.disk(agent)
        disk.packed.append(list(paths))
        disk.paused.append(agent.agent.paused)
        if disk.while_packing is not None:
            await disk.while_packing.wait()
        yield FakeArchive(None, disk.tars.get("layer", [bytes(1024)]))

    async def write_archive(
        self,
        agent: AgentClient,
        path: str,
        tar: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
        limit_bytes: int = 0,
        user: str = "",
    ) -> None:
        assert isinstance(agent, FakeClient)
        await agent._reach("write")
        disk = self.disk(agent)
        data = b"".join([piece async for piece in tar])
        await agent._reach("written")
        if len(data) > limit_bytes:
            raise InvalidParameter("agent: too large")
        disk.limits.append(limit_bytes)
        disk.writes.append(Write(path, data, no_overwrite_dir_non_dir, copy_uid_gid))
        if disk.hold is not None:
            await disk.hold.wait()
