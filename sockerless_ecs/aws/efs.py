"""EFS: the file system that holds volumes."""

from __future__ import annotations

from dataclasses import dataclass

from sockerless_ecs.aws.calls import Calls
from sockerless_ecs.aws.operations import DESCRIBE_FILE_SYSTEMS
from sockerless_ecs.errors import NotFound


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A file system that exists; usable when its state is `available`."""

    id: str
    state: str
    mount_targets: int


class Efs:
    """EFS of one region."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def file_system(self, file_system_id: str) -> FileSystem | None:
        """The file system, None if there is none of that id in the region."""
        try:
            answer = await self._calls.call(DESCRIBE_FILE_SYSTEMS, FileSystemId=file_system_id)
        except NotFound:
            return None
        found = answer["FileSystems"][0]
        return FileSystem(
            found["FileSystemId"], found["LifeCycleState"], found.get("NumberOfMountTargets", 0)
        )
