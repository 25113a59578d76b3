"""Private files: made whole or not at all, and only for their owner's eyes."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from sockerless_ecs.errors import StoreUnusable

_PRIVATE_FILE, _PRIVATE_FOLDER = 0o600, 0o700


def make_private_folder(folder: Path) -> None:
    """Make the folder and those above it, mode 0700; what exists is left as it is."""
    try:
        for missing in reversed([part for part in (folder, *folder.parents) if not part.exists()]):
            missing.mkdir(_PRIVATE_FOLDER, exist_ok=True)
    except OSError as error:
        raise StoreUnusable(f"the folder {folder} cannot be made: {error.strerror}") from error


def make_private(path: Path) -> None:
    """Take a file's permissions away from everybody but its owner."""
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(_PRIVATE_FILE)


def draft_of(path: Path) -> Path:
    """Where the first version of `path` is written before it is published."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")


def publish(draft: Path, path: Path) -> bool:
    """Make a finished draft appear at `path`, durably; False, and nothing changed, if somebody was first."""
    try:
        _sync(draft)
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    _sync(path.parent)
    return True


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
