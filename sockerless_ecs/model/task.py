"""What ECS says of a task: a snapshot of DescribeTasks."""

from __future__ import annotations

from dataclasses import dataclass

OOM_REASON = "OutOfMemoryError"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSnapshot:
    """One container of a task; `exit_code` is final even while the task still deprovisions."""

    name: str
    last_status: str
    exit_code: int | None = None
    reason: str = ""
    image_digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSnapshot:
    """A task at one moment; a higher `version` is newer."""

    arn: str
    version: int
    last_status: str
    desired_status: str
    address: str | None = None
    started_by: str = ""
    launch: str = ""
    """The client token of the RunTask that made it, read back from the main container's override."""
    definition_arn: str = ""
    stop_code: str = ""
    stopped_reason: str = ""
    created_ns: int = 0
    containers: tuple[ContainerSnapshot, ...] = ()

    @property
    def stopped(self) -> bool:
        """Nothing of it runs any more."""
        return self.last_status == "STOPPED"

    def container(self, name: str) -> ContainerSnapshot | None:
        """The container of that name."""
        return next((container for container in self.containers if container.name == name), None)
