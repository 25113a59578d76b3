"""What a container engine offers: the one contract that every front end speaks to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sockerless_ecs.engine.values import (
    AttachOptions,
    CommitRequest,
    Created,
    Credentials,
    DiskUsage,
    ImageRemoved,
    ImagesPruned,
    ImageStep,
    ImportRequest,
    LoggedIn,
    PullProgress,
    SystemInfo,
    TerminalSize,
)
from sockerless_ecs.model.container import Container, ContainerUpdate, CreateRequest, ExitStatus
from sockerless_ecs.model.event import EngineEvent
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.files import Change, PathStat
from sockerless_ecs.model.image import Image
from sockerless_ecs.model.log import LogLine, LogOptions
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.offers import FoundRepository, Offer
from sockerless_ecs.model.usage import ProcessTable, Usage
from sockerless_ecs.model.volume import Volume

Filters = Mapping[str, Sequence[str]]
"""Docker's list filters, already parsed: `{"label": ["a=b"], "status": ["running"]}`."""


class Streams(Protocol):
    """An attached process: its output and its standard input. One task may receive while another sends."""

    @property
    def tty(self) -> bool:
        """Whether what comes is a terminal's raw bytes, else Docker's 8-byte frames."""

    async def receive(self) -> bytes:
        """Some of the output; `b""` once all of it was given, or the client has typed the detach keys.

        Raises Unavailable when the process's agent was lost for good.
        """

    async def send(self, data: bytes) -> None:
        """Standard input, waiting while the process does not read; dropped once nothing reads it any more."""

    async def send_eof(self) -> None:
        """The client has no more input: it closed its side, or is gone."""


class Archive(Protocol):
    """Files on their way out: a tar."""

    @property
    def stat(self) -> PathStat:
        """What was asked for."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The tar's bytes; raises Unavailable when it is cut short."""


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

    async def stop(self, ref: str, grace_seconds: float | None = None, signal: str = "") -> None:
        """`signal` (empty = the container's stop signal), then SIGKILL.

        Seconds: None = the container's own timeout, negative = wait for ever.
        """

    async def kill(self, ref: str, signal: str = "SIGKILL") -> None:
        """Any signal, by name or number; Conflict when not running."""

    async def restart(self, ref: str, grace_seconds: float | None = None, signal: str = "") -> None:
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

    async def update(self, ref: str, wanted: ContainerUpdate) -> Sequence[str]:
        """Change what can be; the warnings. Conflict for what a running task cannot change."""

    async def resize(self, ref: str, size: TerminalSize) -> None:
        """The terminal's size; Conflict when it does not run. Without a terminal there is nothing to do."""

    def attach(self, ref: str, options: AttachOptions) -> AbstractAsyncContextManager[Streams]:
        """The main process's streams; entering raises what is wrong with the request.

        A container that has not started is attached to its next run, from its first byte. Leaving detaches;
        the process goes on (its standard input ends if the container has `stdin_once`).
        """

    async def top(self, ref: str, ps_args: str = "") -> ProcessTable:
        """Its processes; Conflict when not running, InvalidParameter for arguments that are not known."""

    async def usage(self, ref: str) -> Usage | None:
        """One sample; None when it does not run."""

    async def changes(self, ref: str) -> Sequence[Change]:
        """What differs from the image, by path."""

    def export(self, ref: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Its whole file system as a tar, volumes and kernel file systems left out."""

    async def stat_path(self, ref: str, path: str) -> PathStat:
        """NotFound when there is no such path."""

    def read_archive(self, ref: str, path: str) -> AbstractAsyncContextManager[Archive]:
        """A tar of a path, named by its base name; entering raises NotFound."""

    async def write_archive(
        self,
        ref: str,
        path: str,
        body: AsyncIterator[bytes],
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
    ) -> None:
        """Unpack a tar (plain, gzip, bzip2, xz or zstd) below a directory; NotFound when there is none.

        InvalidParameter for what is no tar, leaves the directory or is too large. A failure half-way leaves
        what was unpacked so far, as in Docker.
        """

    async def commit(self, ref: str, wanted: CommitRequest) -> str:
        """An image of its files and its configuration; the image's id.

        InvalidParameter for a bad name or change, Conflict when its files went with their task,
        Unimplemented where no agent can read them. Cancelled or failed it records nothing, and the container
        goes on.
        """


class Execs(Protocol):
    """More processes in a running container. Unknown: NotFound, `No such exec instance: …`."""

    async def create(self, ref: str, request: Exec) -> str:
        """The new exec's id; Conflict when the container does not run or is paused."""

    def attached(
        self, exec_id: str, *, tty: bool = False, size: TerminalSize | None = None
    ) -> AbstractAsyncContextManager[Streams]:
        """Run it with its streams; entering raises Conflict when it has run or its container does not.

        What keeps its command from starting is told in its streams, as Docker does, and by its exit code
        (126, 127). Its exit code is known once `receive` has given all. Leaving does not end it.
        """

    async def start(self, exec_id: str, *, tty: bool = False, size: TerminalSize | None = None) -> None:
        """Run it with nobody attached; returns once it runs."""

    async def resize(self, exec_id: str, size: TerminalSize) -> None:
        """The terminal's size; NotFound when it has ended. Without a terminal there is nothing to do."""

    async def inspect(self, exec_id: str) -> Exec:
        """Its record."""


class Images(Protocol):
    """Images, known by their metadata: ECS pulls the layers itself."""

    def pull(
        self,
        reference: str,
        credentials: Credentials | None,
        platform: str | None = None,
        *,
        all_tags: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """Progress; entering raises NotFound, Unauthorized or InvalidParameter before any answer.

        `all_tags` is for a repository's name: with later tags also iterating raises.
        """

    async def inspect(self, name: str, platform: str | None = None) -> Image:
        """By reference or id; NotFound also for one that was made for another platform."""

    async def names(self, image_id: str) -> Sequence[Image]:
        """Every record with this id (its tags and digests)."""

    async def list(self, filters: Filters) -> Sequence[Image]:
        """All that were pulled."""

    def load(
        self, body: AsyncIterator[bytes], platform: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """From a tar (docker-archive or OCI layout), streamed to ECR; the last lines name what was loaded.

        Entering or iterating raises InvalidParameter for what is no image or has none for `platform`,
        Unavailable when ECR fails.
        """

    def push(
        self, reference: str, tag: str, credentials: Credentials | None, platform: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """To the registry that its name says: one tag, or every tag of a repository where `tag` is empty.

        Calling raises InvalidParameter for what is no name; all else is raised by iterating.
        """

    def save(
        self, names: Sequence[str], platform: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A tar of images; entering raises NotFound, leaving what broke on the way."""

    def import_(
        self, wanted: ImportRequest, body: AsyncIterator[bytes]
    ) -> AbstractAsyncContextManager[AsyncIterator[PullProgress]]:
        """A tar of a file system, as an image of one layer; the last line is its id.

        Calling or entering raises what is wrong with the request, iterating InvalidParameter for what is no
        tar, Unavailable when ECR or the address fails.
        """

    async def tag(self, name: str, repository: str, tag: str) -> None:
        """One more name."""

    async def remove(
        self, name: str, *, force: bool = False, platforms: Sequence[str] = ()
    ) -> Sequence[ImageRemoved]:
        """Forget a name, and with the last one the image; Conflict while a container uses it."""

    async def history(self, name: str, platform: str | None = None) -> Sequence[ImageStep]:
        """How it came to be, newest first; Unavailable when its registry must be asked and is silent."""

    async def prune(self, filters: Filters) -> ImagesPruned:
        """Forget what no container uses: what has no tag, with `dangling=false` all of it."""


class Registries(Protocol):
    """What registries have, asked without pulling any of it."""

    async def search(
        self, term: str, *, limit: int = 0, filters: Filters, credentials: Credentials | None = None
    ) -> Sequence[FoundRepository]:
        """What the registry in the term, or Docker Hub, finds; 0 = as many as usual.

        InvalidParameter for an unknown filter or too many; Unauthorized, or Unavailable with what came.
        """

    async def offer(self, name: str, credentials: Credentials | None = None) -> Offer:
        """What a name means at its registry now; raises as `Images.pull` does."""


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

    async def auth(self, credentials: Credentials) -> LoggedIn:
        """Check credentials with their registry."""

    async def ping(self) -> None:
        """Whether it serves."""

    async def disk_usage(self) -> DiskUsage:
        """What takes room, from memory."""

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
    def registries(self) -> Registries:
        """Registries."""

    @property
    def networks(self) -> Networks:
        """Networks."""

    @property
    def volumes(self) -> Volumes:
        """Volumes."""

    @property
    def system(self) -> System:
        """The engine itself."""

    @property
    def revision(self) -> int:
        """Rises whenever what inspect or a list shows has changed: rendered answers keep till then."""

    def capabilities(self) -> Mapping[str, object]:
        """The seed's document: backend, version, capabilities."""
