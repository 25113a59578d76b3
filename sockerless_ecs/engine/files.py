"""Files of containers: found where they are, copied in and out, compared with the image."""

from __future__ import annotations

import posixpath
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

import trio

from sockerless_ecs.agent import AgentClient, AgentLost, AgentUnreachable, WrongAgent
from sockerless_ecs.engine.changes import Changed, Difference, differences, shown
from sockerless_ecs.engine.contract import Archive
from sockerless_ecs.engine.layering import Layer, packed_paths
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, Unavailable, Unimplemented
from sockerless_ecs.model import reference as references
from sockerless_ecs.model.container import Container
from sockerless_ecs.model.files import Change, PathStat
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.registry import Contents, Tree, Unpacked
from sockerless_ecs.services.events import EventBus
from sockerless_ecs.services.launcher import Launcher
from sockerless_ecs.services.ledger import Ledger, Live
from sockerless_ecs.services.requests import LINGER_LABEL, Place, linger_seconds
from sockerless_ecs.services.supervisor import attributes
from sockerless_ecs.services.uploads import Target, Uploads, Writer

_T = TypeVar("_T")
UNPACKED_BYTES = 10 << 30
"""Of one archive that is copied into a container that runs."""
_HOST_LABEL = "sockerless.sandbox.host"
"""On the sandbox's image that has no layers of its own."""
_AGAIN_SECONDS, _LOOKS = 0.02, 500
_LOST = (AgentLost, AgentUnreachable, WrongAgent)


class AgentFiles(Writer, Protocol):
    """What is asked of an agent about files: the module `agent.files` is that."""

    async def stat_path(self, agent: AgentClient, path: str) -> PathStat:
        """What a path is; raises `NotFound`."""

    def read_archive(self, agent: AgentClient, path: str) -> AbstractAsyncContextManager[Archive]:
        """A tar of a path; entering raises `NotFound`."""

    def changed(self, agent: AgentClient) -> AbstractAsyncContextManager[AsyncIterator[Changed]]:
        """Every path that may differ from the image."""

    def export(self, agent: AgentClient) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A tar of everything."""

    def pack(
        self, agent: AgentClient, paths: Iterable[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A tar of these paths, in their order."""


class Files:
    """A container that has not started has files too: its task is made for them."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        launcher: Launcher,
        uploads: Uploads,
        files: AgentFiles,
        contents: Contents,
        bus: EventBus,
        place: Place,
    ) -> None:
        self._ledger = ledger
        self._launcher = launcher
        self._uploads = uploads
        self._files = files
        self._contents = contents
        self._bus = bus
        self._place = place

    async def stat_path(self, ref: str, path: str) -> PathStat:
        """NotFound in Docker's words when there is no such path."""
        live, wanted = self._ledger.find(ref), rooted(path)
        with _worded(ref, path):
            return await self._ask(live, lambda agent: self._files.stat_path(agent, wanted))

    @asynccontextmanager
    async def read_archive(self, ref: str, path: str) -> AsyncGenerator[Archive]:
        """A tar of a path, as the agent sends it; entering raises NotFound."""
        live, wanted = self._ledger.find(ref), rooted(path)
        async with AsyncExitStack() as stack:

            async def begin(agent: AgentClient) -> Archive:
                return await stack.enter_async_context(self._files.read_archive(agent, wanted))

            with _worded(ref, path):
                archive = await self._ask(live, begin)
            self._tell(live, "archive-path")
            yield archive

    @asynccontextmanager
    async def export(self, ref: str) -> AsyncGenerator[AsyncIterator[bytes]]:
        """A tar of the whole file system, as the agent sends it."""
        live = self._ledger.find(ref)
        async with AsyncExitStack() as stack:

            async def begin(agent: AgentClient) -> AsyncIterator[bytes]:
                return await stack.enter_async_context(self._files.export(agent))

            tar = await self._ask(live, begin)
            self._tell(live, "export")
            yield tar

    async def changes(self, ref: str) -> Sequence[Change]:
        """What differs from the image; Unimplemented for an image whose files cannot be listed."""
        live = self._ledger.find(ref)
        self.check_own(live, "diff")
        tree = await self.tree(live)
        return shown(await self._ask(live, lambda agent: self._compared(live, agent, tree)))

    def check_own(self, live: Live, what: str) -> None:
        """Raises Unimplemented, for `what`, for a container whose image has no files of its own."""
        if _HOST_LABEL in live.record.config.labels:
            raise Unimplemented(
                f"container {what}: the image host stands for the sandbox's own machine and has no files of "
                "its own that a container could be compared with; use another image"
            )

    async def tree(self, live: Live) -> Tree:
        """The files of its image; Unimplemented where they cannot be listed."""
        return await self._contents.tree(live.record.image_id, references.parse(live.record.image_pull))

    def untouched(self, live: Live) -> bool:
        """Whether its files are its image's: it has not started, and nothing was copied into it."""
        return live.record.state is State.CREATED and not self._uploads.has(live.id)

    async def present(self, live: Live) -> None:
        """Have its files where they can be read; raises Conflict when they went with their task."""
        await self._agent(live)

    @asynccontextmanager
    async def layer(self, live: Live, tree: Tree) -> AsyncGenerator[AsyncIterator[bytes] | None]:
        """What it has made of its image, as a layer's tar; None for nothing."""
        found = await self._ask(live, lambda agent: self._compared(live, agent, tree))
        if not found:
            yield None
            return
        async with AsyncExitStack() as stack:

            async def begin(agent: AgentClient) -> AsyncIterator[bytes]:
                return await stack.enter_async_context(self._files.pack(agent, packed_paths(found)))

            yield Layer(found, await self._ask(live, begin))

    async def _compared(self, live: Live, agent: AgentClient, tree: Tree) -> Sequence[Difference]:
        volumes = tuple(f"{volume.rstrip('/')}/" for volume in live.record.config.volumes)
        async with self._files.changed(agent) as changed:
            found = await differences(_OutsideOf(volumes, changed), tree)
        return [replace(one, moved=False) if f"{one.path}/".startswith(volumes) else one for one in found]

    async def write_archive(
        self,
        ref: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        """Unpack a tar, compressed or not, below a directory.

        Into a container that has not started it goes once the whole body has come, and it is kept until the
        start: bounded by the uploads' limit. A failure half-way leaves what was unpacked so far.
        """
        live = self._ledger.find(ref)
        target = Target(
            path=rooted(path),
            no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
            copy_uid_gid=copy_uid_gid,
            user=live.record.config.user,
        )
        _check_writable(live.record, target.path)
        tar = Unpacked(body, UNPACKED_BYTES)
        with _worded(ref, path):
            await self._settled(live)
            if live.record.state is State.CREATED:
                await self._write_before_the_start(live, tar, target)
            else:
                await self._write(live, tar, target)
        self._tell(live, "extract-to-dir")

    async def _write_before_the_start(self, live: Live, tar: Unpacked, target: Target) -> None:
        lost: AgentClient | None = None
        async with self._uploads.received(live, tar) as spooled:
            while live.record.state is State.CREATED:
                agent = await self._launcher.prepare(live, lost=lost)
                try:
                    await self._uploads.write(live, agent, spooled, target)
                except _LOST:
                    if lost is not None:
                        raise
                    lost = agent
                else:
                    return
                await self._settled(live)
            await self._write(live, aiter(spooled), target)  # it has started meanwhile

    async def _write(self, live: Live, tar: AsyncIterator[bytes], target: Target) -> None:
        await self._files.write_archive(
            await self._agent(live),
            target.path,
            tar,
            no_overwrite_dir_non_dir=target.no_overwrite_dir_non_dir,
            copy_uid_gid=target.copy_uid_gid,
            limit_bytes=UNPACKED_BYTES,
            user=target.user,
        )

    async def _ask(self, live: Live, question: Callable[[AgentClient], Awaitable[_T]]) -> _T:
        """Put a question to where the files are; a second time when the first has found nobody there."""
        agent = await self._agent(live)
        try:
            return await question(agent)
        except _LOST:
            return await question(await self._agent(live, lost=agent))

    async def _agent(self, live: Live, lost: AgentClient | None = None) -> AgentClient:
        """The agent that has the files; `lost` is one that has just not answered.

        Raises Conflict when the files went with their task, Unavailable when their agent cannot be found now.
        """
        for _ in range(_LOOKS):
            await self._settled(live)
            record, agent = live.record, live.agent
            if record.state is State.CREATED:
                return await self._launcher.prepare(live, lost=lost)
            if agent is not None and (agent is not lost or record.state.alive):
                return agent
            if record.task is None or agent is not None:
                raise self._gone(record)
            await trio.sleep(_AGAIN_SECONDS)  # its supervisor is about to meet it, or to learn its end
        raise Unavailable(f"the agent of container {live.id} does not answer now: try again")

    async def _settled(self, live: Live) -> None:
        if launch := self._launcher.in_flight(live):
            await launch.settled.wait()
        if self._ledger.get(live.id) is not live:
            raise NotFound(f"No such container: {live.id}")

    def _gone(self, record: Container) -> Conflict:
        seconds = linger_seconds(record, self._place)
        return Conflict(
            f"the file system of container {record.id} is gone: it went with its task, {seconds} seconds "
            f"after the container ended; the label {LINGER_LABEL} keeps it longer"
        )

    def _tell(self, live: Live, action: str) -> None:
        self._bus.emit("container", action, live.id, attributes(live.record))


class _OutsideOf:
    """What has changed in no volume (paths that end in `/`): that is none of the image's."""

    def __init__(self, volumes: tuple[str, ...], changed: AsyncIterator[Changed]) -> None:
        self._volumes = volumes
        self._changed = changed

    def __aiter__(self) -> _OutsideOf:
        return self

    async def __anext__(self) -> Changed:
        while f"{(one := await anext(self._changed)).path}/".startswith(self._volumes):
            pass
        return one


def rooted(path: str) -> str:
    """A path as seen from `/`; what ends in `/` or `/.` still does, since that means a directory."""
    if not path:
        raise InvalidParameter("bad parameter: path cannot be empty")
    if "\0" in path:
        raise InvalidParameter("bad parameter: path contains a null byte")
    clean = posixpath.normpath(f"/{path.lstrip('/')}")
    if path.endswith("/.") or path == ".":
        return f"{clean.rstrip('/')}/."
    if path.endswith("/"):
        return f"{clean.rstrip('/')}/"
    return clean


def _check_writable(record: Container, path: str) -> None:
    in_volume = any(f"{path}/".startswith(f"{volume.rstrip('/')}/") for volume in record.config.volumes)
    if record.host.readonly_rootfs and not in_volume:
        raise InvalidParameter("container rootfs is marked read-only")


@contextmanager
def _worded(ref: str, path: str) -> Iterator[None]:
    """A path that is missing in Docker's words; a container that is missing is told as it is."""
    try:
        yield
    except NotFound as error:
        if error.message.startswith("No such container"):
            raise
        raise NotFound(f"Could not find the file {path} in container {ref}") from error
