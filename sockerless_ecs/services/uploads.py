"""What is copied into a container before it starts: kept until it has, so that no task takes it along."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import trio

from sockerless_ecs.agent import AgentClient, AgentLost
from sockerless_ecs.errors import InvalidParameter, NotFound, Unavailable
from sockerless_ecs.model.container import ContainerId
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.spooled import (
    PIECE_BYTES,
    Spooled,
    read_note,
    told_of_the_disk,
    unlink,
    write_note,
)

LIMIT_BYTES = 1 << 30
"""Of one container's uploads together, unpacked."""
_TAR, _NOTE, _PART = ".tar", ".json", ".part"
_NOT_YET = (State.CREATED, State.STARTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an upload goes, and how."""

    path: str
    no_overwrite_dir_non_dir: bool = False
    copy_uid_gid: bool = False
    user: str = ""
    """To whom it belongs then: the container's user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """One upload; this note beside its tar makes it kept."""

    target: Target
    size: int
    delivered_to: str
    """The task that has it."""


@dataclass(slots=True)
class _Owed:
    """The uploads of one container, by number in the order in which they came."""

    kept: dict[int, _Kept] = field(default_factory=dict)
    receiving: int = 0
    """Bytes of bodies that are still to be kept."""
    lock: trio.Lock = field(default_factory=trio.Lock)
    """One reaches the container after the other, and a start waits for those on the way."""

    @property
    def size(self) -> int:
        return self.receiving + sum(one.size for one in self.kept.values())


class Writer(Protocol):
    """What is asked of an agent here (`agent.files`)."""

    async def write_archive(
        self,
        agent: AgentClient,
        path: str,
        tar: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
        limit_bytes: int,
        user: str,
    ) -> None:
        """Unpack a tar below a directory."""


class Uploads:
    """Owns a folder: of each upload `<container>-<number>.tar`, 0600, and its note.

    The next daemon takes them up. With a store that forgets, the folder is a temporary one.
    """

    def __init__(
        self, *, ledger: Ledger, files: Writer, folder: Path | None, limit_bytes: int = LIMIT_BYTES
    ) -> None:
        self._ledger = ledger
        self._files = files
        self._temporary = folder is None
        self._folder = folder
        self._limit = limit_bytes
        self._owed: dict[ContainerId, _Owed] = {}
        self._parts = 0

    def take_up(self) -> None:
        """At the start of the daemon: read what is owed to containers, and sweep what is owed to none."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            container_id, _, number = path.stem.partition("-")
            live = self._ledger.get(ContainerId(container_id))
            waits = live is not None and live.record.state in _NOT_YET
            note = read_note(path.with_suffix(_NOTE), _Kept) if path.suffix in (_TAR, _NOTE) else None
            if waits and note is not None and number.isdecimal():
                owed = self._owed.setdefault(ContainerId(container_id), _Owed())
                owed.kept[int(number)] = note
            else:
                unlink([path])

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._temporary and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @asynccontextmanager
    async def received(self, live: Live, body: AsyncIterator[bytes]) -> AsyncGenerator[Spooled]:
        """The whole body on disk; gone when this is left, unless `write` has kept it.

        Raises `InvalidParameter` when the container's uploads would become too large: nothing of this one has
        reached the container then.
        """
        self._parts += 1
        spooled = await Spooled.make(self._made_folder() / f"{live.id}-{self._parts}{_PART}")
        owed = self._owed.setdefault(live.id, _Owed())
        try:
            await self._receive(owed, spooled, body)
            yield spooled
        finally:
            owed.receiving -= spooled.size
            if not owed.size and self._owed.get(live.id) is owed:
                del self._owed[live.id]
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(unlink, [spooled.path])

    async def write(self, live: Live, agent: AgentClient, spooled: Spooled, target: Target) -> None:
        """Give it to the agent of the prepared task, and keep it until the container has started.

        Raises `AgentLost` when it has to be given to another task. A cancellation keeps nothing.
        """
        owed = self._owed.setdefault(live.id, _Owed())
        async with owed.lock:
            arn = _arn(live)
            await self._give(agent, aiter(spooled), target)
            if self._ledger.get(live.id) is not live or live.leaving:
                raise NotFound(f"No such container: {live.id}")
            if _arn(live) != arn:
                raise AgentLost("the task that had the files was given up")
            if live.record.state in _NOT_YET:
                with trio.CancelScope(shield=True):
                    await self._keep(
                        owed, live.id, spooled, _Kept(target=target, size=spooled.size, delivered_to=arn)
                    )

    async def deliver(self, live: Live, agent: AgentClient) -> None:
        """Give a task, in order, what it does not have yet; waits for what is on its way there."""
        owed = self._owed.get(live.id)
        if owed is None:
            return
        async with owed.lock:
            arn = _arn(live)
            for number, kept in tuple(owed.kept.items()):
                if kept.delivered_to == arn:
                    continue
                stem = self._stem(live.id, number)
                await self._give(agent, aiter(Spooled(stem.with_suffix(_TAR), kept.size)), kept.target)
                owed.kept[number] = now = replace(kept, delivered_to=arn)
                with told_of_the_disk():
                    await trio.to_thread.run_sync(write_note, stem.with_suffix(_NOTE), now)

    def has(self, container_id: ContainerId) -> bool:
        """Whether anything was copied into it that its start, or its task, still has to have."""
        return container_id in self._owed

    async def drop(self, container_id: ContainerId) -> None:
        """It has started, or is removed: its uploads are owed to nobody any more."""
        owed = self._owed.pop(container_id, None)
        if owed is None or not owed.kept:
            return
        stems = [self._stem(container_id, number) for number in owed.kept]
        paths = [stem.with_suffix(suffix) for stem in stems for suffix in (_NOTE, _TAR)]
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(unlink, paths)

    async def _receive(self, owed: _Owed, spooled: Spooled, body: AsyncIterator[bytes]) -> None:
        pieces: list[bytes] = []
        waiting = 0
        async for piece in body:
            waiting += len(piece)
            pieces.append(piece)
            if owed.size + waiting > self._limit:
                raise InvalidParameter(
                    f"more than {self._limit >> 20} MiB were to be copied into a container that has not "
                    "started, which is all that is kept for its start: copy the rest once it runs"
                )
            if waiting >= PIECE_BYTES:
                await self._append(owed, spooled, pieces)
                pieces, waiting = [], 0
        await self._append(owed, spooled, pieces, last=True)

    async def _append(
        self, owed: _Owed, spooled: Spooled, pieces: list[bytes], *, last: bool = False
    ) -> None:
        before = spooled.size
        await spooled.append(pieces, last=last)
        owed.receiving += spooled.size - before

    async def _give(self, agent: AgentClient, tar: AsyncIterator[bytes], target: Target) -> None:
        await self._files.write_archive(
            agent,
            target.path,
            tar,
            no_overwrite_dir_non_dir=target.no_overwrite_dir_non_dir,
            copy_uid_gid=target.copy_uid_gid,
            limit_bytes=self._limit,
            user=target.user,
        )

    async def _keep(self, owed: _Owed, container_id: ContainerId, spooled: Spooled, kept: _Kept) -> None:
        number = max(owed.kept, default=0) + 1
        stem = self._stem(container_id, number)

        def keep() -> None:
            spooled.path.rename(stem.with_suffix(_TAR))
            write_note(stem.with_suffix(_NOTE), kept)

        owed.kept[number] = kept
        try:
            with told_of_the_disk():
                await trio.to_thread.run_sync(keep)
        except Unavailable:
            del owed.kept[number]
            raise

    def _stem(self, container_id: ContainerId, number: int) -> Path:
        return self._made_folder() / f"{container_id}-{number:06}"

    def _made_folder(self) -> Path:
        if self._folder is None:
            with told_of_the_disk():
                self._folder = Path(tempfile.mkdtemp(prefix="sockerless-uploads-"))
        return self._folder


def _arn(live: Live) -> str:
    """Of its task; raises `AgentLost` when that was given up."""
    task = live.record.task
    if task is None or task.arn is None:
        raise AgentLost("the container's task was given up")
    return task.arn
