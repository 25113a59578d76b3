"""Files of a container as Docker speaks of them: a path's stat, a change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStat:
    """What a path is. `mode` is Go's `os.FileMode`: permissions and type bits (`1<<31` = directory)."""

    name: str
    size: int
    mode: int
    mtime_ns: int
    link_target: str = ""

    @property
    def is_directory(self) -> bool:
        """Whether it is one (a symbolic link to one is not)."""
        return bool(self.mode & 1 << 31)


class ChangeKind(IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A path of the container's own file system that is not as in the image."""

    path: str
    kind: ChangeKind
