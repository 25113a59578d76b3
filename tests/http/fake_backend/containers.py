"""Containers in a dict."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Protocol

import trio

from sockerless_ecs.engine.contract import Filters, Waiting
from sockerless_ecs.engine.values import AttachOptions, CommitRequest, Created, TerminalSize
from sockerless_ecs.errors import Conflict, InvalidParameter, NotFound, NotModified
from sockerless_ecs.model.container import (
    Container,
    ContainerUpdate,
    CreateRequest,
    ExitStatus,
    RunId,
    new_container_id,
)
from sockerless_ecs.model.files import Change, ChangeKind, PathStat
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDOUT, LogLine, LogOptions
from sockerless_ecs.model.signals import parse
from sockerless_ecs.model.usage import ProcessTable, Usage
from tests.http.fake_backend.files import FakeArchive, FakeFiles
from tests.http.fake_backend.images import FakeImages
from tests.http.fake_backend.streams import FakeStreams
from tests.http.fake_backend.waits import TASK, FakeWaiting

_KNOWN_FILTERS = frozenset({"id", "label", "name", "status"})


class Hold(Protocol):
    """What holds every call up while it is waited for; an event will do."""

    async def wait(self) -> None: ...


class FakeContainers:
    """Containers in a dict."""

    def __init__(
        self,
        images: FakeImages,
        publish: Callable[[str, Container], None],
        changed: Callable[[], None],
    ) -> None:
        self.by_id: dict[str, Container] = {}
        self.requests: list[CreateRequest] = []
        self.calls: list[tuple[str, ...]] = []
        self.waits: dict[str, list[FakeWaiting]] = {}
        self.lines: dict[str, list[LogLine]] = {}
        self.batches: list[Sequence[LogLine]] | None = None
        self.grown = trio.Event()
        self.followers = 0
        self.options: LogOptions | None = None
        self.failure: BaseException | None = None
        self.breaks_off: Exception | None = None
        self.hold: Hold | None = None
        self.on_start: Callable[[Container], None] = lambda _: None
        self.entered = trio.Event()
        self.attached: list[FakeStreams] = []
        self.attach_options: list[AttachOptions] = []
        self.sizes: list[TerminalSize] = []
        self.updates: list[ContainerUpdate] = []
        self.files = FakeFiles()
        self.commits: list[tuple[str, CommitRequest]] = []
        self.used: Usage | None = None
        self._streams: dict[str, list[FakeStreams]] = {}
        self._images = images
        self._publish = publish
        self._changed = changed

    def find(self, ref: str) -> Container:
        if self.failure is not None:
            raise self.failure
        found = [c for c in self.by_id.values() if ref in (c.id, c.name)] or [
            c for c in self.by_id.values() if ref and c.id.startswith(ref)
        ]
        if not found:
            raise NotFound(f"No such container: {ref}")
        if len(found) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {ref}")
        return found[0]

    def change(self, container: Container, **changes: object) -> Container:
        changed = replace(container, **changes)  # type: ignore[arg-type]
        self.by_id[container.id] = changed
        self._changed()
        return changed

    async def create(self, request: CreateRequest) -> Created:
        await self._pass()
        if any(c.name == request.name for c in self.by_id.values()):
            raise Conflict(f'Conflict. The container name "/{request.name}" is already in use')
        image = await self._images.inspect(request.config.image)
        container = Container(
            id=new_container_id(),
            name=request.name or f"quick_{len(self.by_id)}",
            created_ns=time.time_ns(),
            config=request.config,
            host=request.host,
            image_id=image.id,
            image_digest=image.manifest_digest,
            image_pull=f"{image.ref}@{image.manifest_digest}",
            architecture="X86_64",
            task_definition_arn="arn:definition",
        )
        self.by_id[container.id] = container
        self._changed()
        self.requests.append(request)
        self._publish("create", container)
        return Created(id=container.id, warnings=request.warnings)

    async def start(self, ref: str) -> None:
        container = self.find(ref)
        await self._pass()
        if container.state.alive:
            raise NotModified("already running")
        self.change(container, state=State.RUNNING, task=TASK, run_id=RunId("r"), started_ns=time.time_ns())
        self._publish("start", container)
        self.on_start(self.by_id[container.id])

    def exit(self, ref: str, code: int) -> None:
        """The process ends."""
        container = self.find(ref)
        for streams in self._streams.pop(container.id, []):
            streams.end()
        self.change(container, state=State.EXITED, exit_code=code, finished_ns=time.time_ns())
        for waiting in self.waits.pop(container.id, []):
            waiting.settle(ExitStatus(code=code))
        self._wake()
        self._publish("die", container)

    async def inspect(self, ref: str) -> Container:
        await self._pass()
        return self.find(ref)

    async def list(
        self, filters: Filters, *, include_stopped: bool, limit: int | None = None
    ) -> Sequence[Container]:
        await self._pass()
        for name in filters:
            if name not in _KNOWN_FILTERS:
                raise InvalidParameter(f"invalid filter '{name}'")
        labels = [label.partition("=") for label in filters.get("label", ())]
        found = [
            container
            for container in reversed(self.by_id.values())
            if (include_stopped or container.state.alive)
            and container.state.shown in (filters.get("status") or [container.state.shown])
            and all(
                key in container.config.labels and (not eq or container.config.labels[key] == value)
                for key, eq, value in labels
            )
        ]
        return found[:limit]

    @asynccontextmanager
    async def logs(self, ref: str, options: LogOptions) -> AsyncIterator[AsyncIterator[Sequence[LogLine]]]:
        container = self.find(ref)
        self.options = options
        self.followers += 1
        try:
            async with aclosing(self._batches(container.id, options)) as batches:
                yield batches
        finally:
            self.followers -= 1

    def write(self, ref: str, data: bytes, stream: int = STDOUT) -> None:
        container = self.find(ref)
        lines = self.lines.setdefault(container.id, [])
        lines.append(LogLine(len(lines) + 1, 1_700_000_000_123_456_789, stream, data))
        for streams in self._streams.get(container.id, []):
            streams.say(data, stream)
        self._wake()

    def _wake(self) -> None:
        grown, self.grown = self.grown, trio.Event()
        grown.set()

    async def _batches(
        self, container_id: str, options: LogOptions
    ) -> AsyncGenerator[Sequence[LogLine], None]:
        for batch in self.batches or ():
            yield batch
        if self.breaks_off is not None:
            raise self.breaks_off
        seen, lines = 0, self.lines.get(container_id, [])
        if options.tail is not None:
            seen = max(len(lines) - options.tail, 0)
        while True:
            grown, over = self.grown, self.by_id[container_id].state is State.EXITED
            if fresh := self.lines.get(container_id, [])[seen:]:
                seen += len(fresh)
                yield fresh
            elif over or not options.follow:
                return
            else:
                await grown.wait()

    async def stop(self, ref: str, grace_seconds: float | None = None, signal: str = "") -> None:
        self.calls.append(("stop", ref, str(grace_seconds), signal))
        if not self.find(ref).state.alive:
            raise NotModified("not running")
        await self._pass()
        self.exit(ref, 143)

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        parse(signal)
        self.calls.append(("kill", ref, signal))
        await self._pass()
        self.exit(self.running(ref).id, 137)

    async def restart(self, ref: str, grace_seconds: float | None = None, signal: str = "") -> None:
        self.calls.append(("restart", ref, str(grace_seconds), signal))
        if self.find(ref).state.alive:
            self.exit(ref, 143)
        await self.start(ref)

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        self.calls.append(("remove", ref, str(force), str(volumes)))
        await self._pass()
        container = self.find(ref)
        if container.state.alive and not force:
            raise Conflict(f"You cannot remove a running container {container.id[:12]}. Stop the container")
        del self.by_id[container.id]
        self._changed()
        self._publish("destroy", container)

    async def wait(self, ref: str, condition: str = "not-running") -> Waiting:
        container = self.find(ref)
        await self._pass()
        waits = self.waits.setdefault(container.id, [])
        waiting = FakeWaiting(lambda gone: waits.remove(gone) if gone in waits else None)
        if container.state is State.EXITED and condition == "not-running":
            waiting.settle(ExitStatus(code=container.exit_code))
        else:
            waits.append(waiting)
        return waiting

    async def rename(self, ref: str, name: str) -> None:
        await self._pass()
        self.change(self.find(ref), name=name)

    async def pause(self, ref: str) -> None:
        await self._pass()
        container = self.running(ref)
        if container.state is State.PAUSED:
            raise Conflict(f"Container {container.id} is already paused")
        self.change(container, state=State.PAUSED)

    async def unpause(self, ref: str) -> None:
        await self._pass()
        container = self.find(ref)
        if container.state is not State.PAUSED:
            raise Conflict(f"Container {container.id} is not paused")
        self.change(container, state=State.RUNNING)

    def running(self, ref: str) -> Container:
        """Conflict when it does not run."""
        container = self.find(ref)
        if not container.state.alive:
            raise Conflict(f"Container {container.id} is not running")
        return container

    async def update(self, ref: str, wanted: ContainerUpdate) -> Sequence[str]:
        await self._pass()
        self.find(ref)
        self.updates.append(wanted)
        return ["told"] if wanted.nano_cpus else []

    async def resize(self, ref: str, size: TerminalSize) -> None:
        await self._pass()
        if self.running(ref).config.tty:
            self.sizes.append(size)

    @asynccontextmanager
    async def attach(self, ref: str, options: AttachOptions) -> AsyncIterator[FakeStreams]:
        await self._pass()
        container = self.find(ref)
        if container.state is State.PAUSED:
            raise Conflict(f"Container {ref} is paused, unpause the container before attach")
        if options.detach_keys == "nonsense":
            raise InvalidParameter("Invalid detach keys (nonsense) provided")
        streams = FakeStreams(tty=container.config.tty, echo=container.argv[:1] == ("cat",))
        if not options.stream:
            streams.end()
        self.attached.append(streams)
        self.attach_options.append(options)
        self._streams.setdefault(container.id, []).append(streams)
        try:
            yield streams
        finally:
            streams.left.set()
            if streams in self._streams.get(container.id, []):
                self._streams[container.id].remove(streams)

    async def top(self, ref: str, ps_args: str = "") -> ProcessTable:
        await self._pass()
        self.running(ref)
        if ps_args == "--nope":
            raise InvalidParameter("ps: error: unknown gnu long option")
        return ProcessTable(titles=("PID", "CMD"), rows=(("1", "sleep 9"),))

    async def usage(self, ref: str) -> Usage | None:
        await self._pass()
        return self.used if self.find(ref).state.alive else None

    async def changes(self, ref: str) -> Sequence[Change]:
        await self._pass()
        self.find(ref)
        return [Change(path="/tmp", kind=ChangeKind.MODIFIED), Change(path="/tmp/x", kind=ChangeKind.ADDED)]

    @asynccontextmanager
    async def export(self, ref: str) -> AsyncIterator[AsyncIterator[bytes]]:
        await self._pass()
        self.find(ref)
        async with self.files.read(ref, "/") as archive, aclosing(archive.__aiter__()) as pieces:
            yield pieces

    async def stat_path(self, ref: str, path: str) -> PathStat:
        await self._pass()
        self.find(ref)
        return self.files.stat(ref, path)

    @asynccontextmanager
    async def read_archive(self, ref: str, path: str) -> AsyncIterator[FakeArchive]:
        self.find(ref)
        async with self.files.read(ref, path) as archive:
            yield archive

    async def write_archive(
        self,
        ref: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        await self._pass()
        self.find(ref)
        await self.files.write(ref, path, body, (no_overwrite_dir_non_dir, copy_uid_gid))

    async def commit(self, ref: str, wanted: CommitRequest) -> str:
        self.find(ref)
        await self._pass()
        self.commits.append((ref, wanted))
        return "sha256:" + "f" * 64

    async def prune(self, filters: Filters) -> Sequence[str]:
        await self._pass()
        gone = [c.id for c in self.by_id.values() if not c.state.alive]
        for container_id in gone:
            del self.by_id[container_id]
            self._changed()
        return gone

    async def _pass(self) -> None:
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        await trio.lowlevel.checkpoint()
