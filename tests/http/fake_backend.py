"""A container engine in memory that obeys the contract: containers run until a test says that they end."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Protocol

import trio

from sockerless_ecs.engine.contract import (
    Created,
    Credentials,
    Filters,
    PullProgress,
    SystemInfo,
    Waiting,
)
from sockerless_ecs.errors import (
    Conflict,
    InvalidParameter,
    NotFound,
    NotModified,
    SockerlessError,
    Unimplemented,
)
from sockerless_ecs.model.container import (
    Container,
    ContainerConfig,
    ContainerId,
    CreateRequest,
    ExitStatus,
    RunId,
    Task,
    new_container_id,
)
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.image import Image, ImageConfig, ImageRef
from sockerless_ecs.model.lifecycle import State
from sockerless_ecs.model.log import STDOUT, LogLine, LogOptions
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.reference import from_pull
from sockerless_ecs.model.taskdef import RunTaskRequest
from sockerless_ecs.model.volume import Volume

_KNOWN_FILTERS = frozenset({"id", "label", "name", "status"})
TASK = Task(
    request=RunTaskRequest(
        cluster="c",
        definition_arn="arn:definition",
        client_token="t",
        started_by="s",
        subnets=("subnet-1",),
        security_groups=("sg-1",),
        assign_public_ip=False,
        capacity_provider="FARGATE",
        platform_version="LATEST",
        cpu_units=256,
        memory_mib=512,
        storage_gib=None,
    ),
    agent_token="secret-token",
    requested_ns=1,
    agent_address="10.0.0.7:9111",
)


class FakeWaiting:
    """A wait that a test settles."""

    def __init__(self, forget: Callable[[FakeWaiting], None]) -> None:
        self._forget = forget
        self._done = trio.Event()
        self.status = ExitStatus(code=0)

    def settle(self, status: ExitStatus) -> None:
        self.status = status
        self._done.set()

    @property
    def settled(self) -> bool:
        return self._done.is_set()

    async def outcome(self) -> ExitStatus:
        try:
            await self._done.wait()
        finally:
            self._forget(self)
        return self.status


class Hold(Protocol):
    """What holds every call up while it is waited for; an event will do."""

    async def wait(self) -> None: ...


class FakeContainers:
    """Containers in a dict."""

    def __init__(self, images: FakeImages, publish: Callable[[str, Container], None]) -> None:
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
        self._images = images
        self._publish = publish

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
        lines = self.lines.setdefault(self.find(ref).id, [])
        lines.append(LogLine(len(lines) + 1, 1_700_000_000_123_456_789, stream, data))
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

    async def stop(self, ref: str, grace_seconds: float | None = None) -> None:
        self.calls.append(("stop", ref, str(grace_seconds)))
        if not self.find(ref).state.alive:
            raise NotModified("not running")
        await self._pass()
        self.exit(ref, 143)

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        self.calls.append(("kill", ref, signal))
        await self._pass()
        container = self.find(ref)
        if not container.state.alive:
            raise Conflict(f"Container {container.id} is not running")
        self.exit(ref, 137)

    async def restart(self, ref: str, grace_seconds: float | None = None) -> None:
        self.calls.append(("restart", ref, str(grace_seconds)))
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
        raise Unimplemented(f"pause {ref} is not implemented yet")

    async def unpause(self, ref: str) -> None:
        raise Unimplemented(f"unpause {ref} is not implemented yet")

    async def prune(self, filters: Filters) -> Sequence[str]:
        await self._pass()
        gone = [c.id for c in self.by_id.values() if not c.state.alive]
        for container_id in gone:
            del self.by_id[container_id]
        return gone

    async def attach(self, ref: str) -> None:
        raise Unimplemented("attach is not implemented yet")

    async def _pass(self) -> None:
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        await trio.lowlevel.checkpoint()


class FakeImages:
    """Images that pull finds unless their name says `missing`."""

    def __init__(self) -> None:
        self.by_ref: dict[str, Image] = {}
        self.credentials: Credentials | None = None
        self.fails_on_the_way: SockerlessError | None = None

    @asynccontextmanager
    async def pull(
        self, reference: str, credentials: Credentials | None, platform: str | None = None
    ) -> AsyncIterator[AsyncIterator[PullProgress]]:
        await trio.lowlevel.checkpoint()
        self.credentials = credentials
        wanted = from_pull(reference)
        if "missing" in reference:
            raise NotFound(f"pull access denied for {reference}, repository does not exist")
        image = Image(
            ref=ImageRef(wanted.full),
            id="sha256:" + "a" * 64,
            digest="sha256:" + "b" * 64,
            manifest_digest="sha256:" + "c" * 64,
            config=ImageConfig(env=("PATH=/bin",), cmd=("sh",)),
            architecture="amd64",
            created="2026-01-02T03:04:05Z",
            size_bytes=7,
            layers=("sha256:" + "d" * 64,),
            pulled_ns=1_700_000_000_000_000_000,
        )

        async def progress() -> AsyncGenerator[PullProgress, None]:
            await trio.lowlevel.checkpoint()
            yield PullProgress(status="Pulling from library/alpine", id="3")
            if self.fails_on_the_way:
                raise self.fails_on_the_way
            self.by_ref[image.ref] = image
            yield PullProgress(status=f"Status: Downloaded newer image for {reference}")

        async with aclosing(progress()) as lines:
            yield lines

    async def inspect(self, name: str) -> Image:
        await trio.lowlevel.checkpoint()
        for image in self.by_ref.values():
            if name in (image.ref, image.id) or from_pull(name).full == image.ref:
                return image
        raise NotFound(f"No such image: {name}")

    async def names(self, image_id: str) -> Sequence[Image]:
        await trio.lowlevel.checkpoint()
        return [image for image in self.by_ref.values() if image.id == image_id]

    async def list(self, filters: Filters) -> Sequence[Image]:
        await trio.lowlevel.checkpoint()
        return list(self.by_ref.values())

    async def load(self) -> None:
        raise Unimplemented("image load is not implemented yet")

    async def tag(self, name: str, repository: str, tag: str) -> None:
        raise Unimplemented("image tag is not implemented yet")

    async def remove(self, name: str, *, force: bool = False) -> None:
        raise Unimplemented(f"image remove {name} is not implemented yet")


class FakeExecs:
    """None yet."""

    async def create(self, ref: str, request: Exec) -> str:
        raise Unimplemented("exec create is not implemented yet")

    async def start(self, exec_id: str) -> None:
        raise Unimplemented("exec start is not implemented yet")

    async def inspect(self, exec_id: str) -> Exec:
        raise Unimplemented("exec inspect is not implemented yet")


class FakeNetworks:
    """None yet."""

    async def create(self, network: Network) -> str:
        raise Unimplemented("network create is not implemented yet")

    async def list(self, filters: Filters) -> Sequence[Network]:
        raise Unimplemented("network list is not implemented yet")

    async def inspect(self, ref: str) -> Network:
        raise Unimplemented("network inspect is not implemented yet")

    async def connect(self, ref: str, container: str) -> None:
        raise Unimplemented("network connect is not implemented yet")

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        raise Unimplemented("network disconnect is not implemented yet")

    async def remove(self, ref: str) -> None:
        raise Unimplemented("network remove is not implemented yet")

    async def prune(self, filters: Filters) -> Sequence[str]:
        raise Unimplemented("network prune is not implemented yet")


class FakeVolumes:
    """None yet."""

    async def create(self, volume: Volume) -> Volume:
        raise Unimplemented("volume create is not implemented yet")

    async def list(self, filters: Filters) -> Sequence[Volume]:
        raise Unimplemented("volume list is not implemented yet")

    async def inspect(self, name: str) -> Volume:
        raise Unimplemented("volume inspect is not implemented yet")

    async def remove(self, name: str, *, force: bool = False) -> None:
        raise Unimplemented("volume remove is not implemented yet")

    async def prune(self, filters: Filters) -> Sequence[str]:
        raise Unimplemented("volume prune is not implemented yet")


class FakeSystem:
    """Facts that never change, and events that tests make."""

    def __init__(self) -> None:
        self.history: list[EngineEvent] = []
        self.listeners: set[trio.MemorySendChannel[EngineEvent]] = set()

    def publish(self, action: str, container: Container) -> None:
        event = EngineEvent(
            type="container",
            action=action,
            actor_id=container.id,
            time_ns=time.time_ns(),
            attributes={"image": container.config.image, "name": container.name},
        )
        self.history.append(event)
        for listener in self.listeners:
            listener.send_nowait(event)

    async def info(self) -> SystemInfo:
        await trio.lowlevel.checkpoint()
        return SystemInfo(
            id="i",
            name="fake",
            version="0.1.0",
            containers=0,
            running=0,
            paused=0,
            stopped=0,
            images=0,
            architecture="x86_64",
            cpus=16,
            memory_bytes=120 << 30,
        )

    async def auth(self, credentials: Credentials) -> str:
        raise Unimplemented("auth is not implemented yet")

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()

    async def disk_usage(self) -> None:
        raise Unimplemented("system df is not implemented yet")

    @asynccontextmanager
    async def events(
        self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters
    ) -> AsyncIterator[AsyncIterator[EngineEvent]]:
        await trio.lowlevel.checkpoint()
        if "nonsense" in filters:
            raise InvalidParameter("invalid filter 'nonsense'")
        send, receive = trio.open_memory_channel[EngineEvent](100)
        for event in self.history if since_ns else ():
            send.send_nowait(event)
        self.listeners.add(send)
        if until_ns:
            send.close()
        try:
            yield receive
        finally:
            self.listeners.discard(send)


class FakeBackend:
    """The whole contract."""

    def __init__(self) -> None:
        self.system = FakeSystem()
        self.images = FakeImages()
        self.containers = FakeContainers(self.images, self.system.publish)
        self.execs = FakeExecs()
        self.networks = FakeNetworks()
        self.volumes = FakeVolumes()

    def capabilities(self) -> Mapping[str, object]:
        return {"backend": "ecs", "version": "0.1.0", "capabilities": {"logs": True, "agent_required": True}}

    async def pulled(self, reference: str = "alpine:3") -> None:
        async with self.images.pull(reference, None) as progress:
            async for _ in progress:
                pass

    async def container(self, name: str = "c", **config: object) -> ContainerId:
        """A created container of an image that is there."""
        await self.pulled()
        request = CreateRequest(name=name, config=ContainerConfig(image="alpine:3", **config))  # type: ignore[arg-type]
        return ContainerId((await self.containers.create(request)).id)
