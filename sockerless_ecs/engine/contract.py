"""What a container engine offers: the one contract that every front end speaks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sockerless_ecs.model.container import Container, CreateRequest, ExitStatus
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.log import LogLine, LogOptions
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.volume import Volume

Filters = Mapping[str, Sequence[str]]
"""Docker's list filters, already parsed: `{"label": ["a=b"], "status": ["running"]}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The answer to a create."""

    id: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemInfo:
    """What `info` tells."""

    id: str
    name: str
    version: str
    containers: int
    running: int
    paused: int
    stopped: int
    images: int
    architecture: str
    """`x86_64` or `aarch64`: of the tasks, not of the daemon's machine."""
    cpus: int
    """Of the largest Fargate task."""
    memory_bytes: int
    """Of the largest Fargate task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullProgress:
    """One line of a pull's answer."""

    status: str
    id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a user gave for a registry. Never logged."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    server_address: str = ""


class Waiting(Protocol):
    """A registered wait: it sees every exit that comes after it was made."""

    @property
    def settled(self) -> bool:
        """Whether `outcome` answers at once."""

    async def outcome(self) -> ExitStatus:
        """The exit that was waited for. Cancelling it forgets the wait."""


class Containers(Protocol):
    """Containers. `ref`: an id, an id prefix or a name; unknown: NotFound, ambiguous: InvalidParameter."""

    async def create(self, request: CreateRequest) -> Created:
        """Conflict when the name is in use; NotFound when the image was not pulled."""

    async def start(self, ref: str) -> None:
        """Returns once the process runs; NotModified if it does. Cancelling leaves the start going on."""

    async def inspect(self, ref: str) -> Container:
        """The container's record."""

    async def list(
        self, filters: Filters, *, include_stopped: bool, limit: int | None = None
    ) -> Sequence[Container]:
        """Newest first; InvalidParameter for an unknown filter."""

    def logs(
        self, ref: str, options: LogOptions
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[LogLine]]]:
        """Batches of lines; entering raises what is wrong with the request."""

    async def stop(self, ref: str, grace_seconds: float | None = None) -> None:
        """The stop signal, then SIGKILL; None = the container's own timeout, negative = wait for ever."""

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Any signal, by name or number; Conflict when not running."""

    async def restart(self, ref: str, grace_seconds: float | None = None) -> None:
        """Stop if running, then start."""

    async def remove(self, ref: str, *, force: bool = False, volumes: bool = False) -> None:
        """Conflict when it runs and `force` is not given. What is left in AWS becomes clean-up jobs."""

    async def wait(self, ref: str, condition: str = "not-running") -> Waiting:
        """`not-running`, `next-exit` or `removed`; registered before this returns."""

    async def rename(self, ref: str, name: str) -> None:
        """Conflict when the name is in use."""

    async def pause(self, ref: str) -> None:
        """Freeze the processes."""

    async def unpause(self, ref: str) -> None:
        """Let them go on."""

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove what is stopped; the ids that went."""

    async def attach(self, ref: str) -> None:
        """Streams of the main process."""


class Execs(Protocol):
    """More processes in a running container."""

    async def create(self, ref: str, request: Exec) -> str:
        """The new exec's id."""

    async def start(self, exec_id: str) -> None:
        """Run it."""

    async def inspect(self, exec_id: str) -> Exec:
        """Its record."""


class Images(Protocol):
    """Images, known by their metadata: ECS pulls the layers itself."""

    def pull(
        self, reference: str, credentials: Credentials | None, platform: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """Progress; entering raises NotFound, Unauthorized or InvalidParameter before any answer."""

    async def inspect(self, name: str) -> Image:
        """By reference or id."""

    async def names(self, image_id: str) -> Sequence[Image]:
        """Every record with this id (its tags and digests)."""

    async def list(self, filters: Filters) -> Sequence[Image]:
        """All that were pulled."""

    async def load(self) -> None:
        """From a tar."""

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """One more name."""

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Forget it."""


class Networks(Protocol):
    """Networks."""

    async def create(self, network: Network) -> str:
        """The new network's id."""

    async def list(self, filters: Filters) -> Sequence[Network]:
        """All."""

    async def inspect(self, ref: str) -> Network:
        """By id, prefix or name."""

    async def connect(self, ref: str, container: str) -> None:
        """Put a container on it."""

    async def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        """Take a container off it."""

    async def remove(self, ref: str) -> None:
        """Conflict while in use."""

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove what nobody uses."""


class Volumes(Protocol):
    """Volumes."""

    async def create(self, volume: Volume) -> Volume:
        """Idempotent by name."""

    async def list(self, filters: Filters) -> Sequence[Volume]:
        """All."""

    async def inspect(self, name: str) -> Volume:
        """By name."""

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Conflict while in use."""

    async def prune(self, filters: Filters) -> Sequence[str]:
        """Remove what nobody uses."""


class System(Protocol):
    """The engine itself."""

    async def info(self) -> SystemInfo:
        """Counts and sizes, from memory."""

    async def auth(self, credentials: Credentials) -> str:
        """Check credentials with their registry; the status line."""

    async def ping(self) -> None:
        """Whether it serves."""

    async def disk_usage(self) -> None:
        """What takes room."""

    def events(
        self, *, since_ns: int = 0, until_ns: int = 0, filters: Filters
    ) -> AbstractAsyncContextManager[AsyncIterator[EngineEvent]]:
        """History since `since_ns`, then what comes until `until_ns`; InvalidParameter: unknown filter."""


class Backend(Protocol):
    """The whole contract. What is not built raises Unimplemented naming the operation."""

    @property
    def containers(self) -> Containers:
        """Containers."""

    @property
    def execs(self) -> Execs:
        """Execs."""

    @property
    def images(self) -> Images:
        """Images."""

    @property
    def networks(self) -> Networks:
        """Networks."""

    @property
    def volumes(self) -> Volumes:
        """Volumes."""

    @property
    def system(self) -> System:
        """The engine itself."""

    def capabilities(self) -> Mapping[str, object]:
        """The seed's document: backend, version, capabilities."""
