"""One daemon per file: an advisory lock that lasts as long as the process."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from sockerless_ecs.errors import StoreUnusable


class FileLock:
    """An exclusive lock on an existing file, held from construction until `release` or the process's end.

    Raises `StoreUnusable` naming the holder when another process has it.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StoreUnusable(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(self._fd)
            os.close(self._fd)
            raise StoreUnusable(
                f"{path} is in use by {holder}: two daemons never share their state. "
                "Stop the other one, or give this one its own store.path"
            ) from None
        except OSError as error:
            os.close(self._fd)
            raise StoreUnusable(f"{path} cannot be locked: {error.strerror}") from error

    def release(self) -> None:
        """Let the next one have it; harmless when repeated."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _holder(fd: int) -> str:
    """Who holds the lock, as far as the kernel tells: inode numbers stand in /proc/locks."""
    inode = str(os.fstat(fd).st_ino)
    try:
        lines = Path("/proc/locks").read_text("ascii").splitlines()
    except OSError:
        return "another process"
    for line in lines:
        match line.split():
            case [_, "FLOCK", _, _, pid, place, *_] if place.rsplit(":", 1)[-1] == inode and int(pid) > 0:
                return f"process {pid}"
    return "another process"
