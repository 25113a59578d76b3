"""What the sandbox asks of the task runner and of the registry: their doors, as this room sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from sockerless_ecs.registry import Login
from sockerless_ecs.sandbox.registry.resolve import ResolvedImage
from sockerless_ecs.sandbox.runner.spec import Event, Task


class TaskRunner(Protocol):
    """Runs tasks as local processes."""

    def unpack(self, archive: Path, digest: str) -> str:
        """The name of a layer, unpacked once."""
        ...

    def run(self, task: Task) -> str:
        """Start a task; its address."""
        ...

    def stop(self, task_id: str, *, kill_after: float) -> None:
        """SIGTERM for every container, SIGKILL after that many seconds."""
        ...

    def log_path(self, task_id: str, container: str) -> Path:
        """The file that a container's output is appended to."""
        ...

    def forget(self, task_id: str) -> None:
        """Drop what is left of a stopped task."""
        ...

    def allow(
        self, source: str, target: str, port_from: int = 0, port_to: int = 65535, protocol: str = "tcp"
    ) -> None:
        """Open a security group to another, or to an IPv4 range."""
        ...

    def revoke(
        self, source: str, target: str, port_from: int = 0, port_to: int = 65535, protocol: str = "tcp"
    ) -> None:
        """Take that back."""
        ...

    def events(self) -> Iterator[Event]:
        """What happens to tasks, until the runner ends."""
        ...


class Images(Protocol):
    """Where images come from."""

    def resolve(self, reference: str, architecture: str, login: Login | None = None) -> ResolvedImage:
        """The image a reference means, for whoever logs in so; raises `ImageNotFound`."""
        ...
