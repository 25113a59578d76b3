"""The folder of a sandbox: made, locked while it is used, swept when its owner died without a chance to."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sockerless_ecs.errors import Conflict

_PREFIX = "sockerless-sandbox-"
_LOCK = "sandbox.lock"


@contextmanager
def state_folder(wanted: Path | None) -> Iterator[Path]:
    """The folder that was asked for, or a temporary one that is gone afterwards.

    Raises:
        Conflict: Another sandbox uses the folder.
    """
    if wanted is not None:
        wanted.mkdir(parents=True, exist_ok=True)
        with _locked(wanted):
            yield wanted.resolve()
        return
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    # The runner may give up root: what is below must be reachable for it.
    folder.chmod(0o711)
    try:
        with _locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another sandbox uses {folder}") from None
        yield


def _sweep() -> None:
    """Remove temporary folders whose sandbox was killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            with (folder / _LOCK).open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, being made, or somebody else's
