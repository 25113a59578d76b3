"""What a store promises: every kind of record, changed in transactions and read back whole."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from sockerless_ecs.model.cleanup import CleanupJob, KnownDefinition
from sockerless_ecs.model.container import Container, ContainerId, Run, RunId
from sockerless_ecs.model.exec import Exec
from sockerless_ecs.model.image import Image, ImageFile, ImageRef
from sockerless_ecs.model.network import Network
from sockerless_ecs.model.volume import Volume

Record = Container | Run | Image | ImageFile | Network | Volume | Exec | CleanupJob | KnownDefinition
R = TypeVar("R", bound=Record)


@dataclass(frozen=True, slots=True)
class Put:
    """Keep this record, in place of the one with the same key."""

    record: Record


@dataclass(frozen=True, slots=True)
class Delete:
    """Forget a record; no error when there is none."""

    kind: type[Record]
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All records at one moment, by key; but for those that are only ever looked up one at a time."""

    containers: Mapping[ContainerId, Container] = field(default_factory=dict)
    runs: Mapping[RunId, Run] = field(default_factory=dict)
    images: Mapping[ImageRef, Image] = field(default_factory=dict)
    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    execs: Mapping[str, Exec] = field(default_factory=dict)
    cleanup_jobs: Mapping[str, CleanupJob] = field(default_factory=dict)
    definitions: Mapping[str, KnownDefinition] = field(default_factory=dict)


class Store(Protocol):
    """Where records live. After `aclose` every call raises `trio.ClosedResourceError`."""

    async def commit(self, *changes: Put | Delete) -> None:
        """Apply the changes in order, all or none, durable when this returns.

        Commits take effect in the order in which they were called. Once called it happens: cancelling
        neither stops nor abandons it. Raises `StoreUnusable` when nothing could be written.
        """

    async def load(self) -> Snapshot:
        """Everything; raises `StoreUnusable` naming the record that cannot be read."""

    async def get(self, kind: type[R], key: str) -> R | None:
        """One record, or None."""

    async def aclose(self) -> None:
        """Finish the commits already called, then let go of the database; harmless when repeated."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record: the table it is kept in (a field of `Snapshot`) and what its key is."""

    table: str
    record: type[Record]
    key: Callable[[Any], str]
    resident: bool = True
    """Whether a snapshot has it."""


KINDS: Mapping[type, Kind] = {
    kind.record: kind
    for kind in (
        Kind("containers", Container, lambda container: container.id),
        Kind("runs", Run, lambda run: run.id),
        Kind("images", Image, lambda image: image.ref),
        Kind("image_files", ImageFile, lambda file: file.id, resident=False),
        Kind("networks", Network, lambda network: network.id),
        Kind("volumes", Volume, lambda volume: volume.name),
        Kind("execs", Exec, lambda instance: instance.id),
        Kind("cleanup_jobs", CleanupJob, lambda job: job.id),
        Kind("definitions", KnownDefinition, lambda definition: definition.hash),
    )
}
