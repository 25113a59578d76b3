"""What killed agents leave behind: adopted by the tests' process, and ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37


@contextmanager
def orphans_ended() -> Iterator[None]:
    """Every process that was begun inside, by whomever, has ended afterwards.

    An agent that is killed cannot end its container; its task's namespaces do, where it has any.
    """
    before, adopted = children(), _adopts()
    _adopt(True)
    try:
        yield
        while left := children() - before:  # what they had begun comes to us in turn
            for pid in left:
                os.kill(pid, signal.SIGKILL)  # ours, so at worst a zombie
                os.waitpid(pid, 0)
    finally:
        _adopt(adopted)


def children() -> set[int]:
    """The processes whose parent this one is."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):  # it has just ended
                state = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(state[1]) == os.getpid():
                    found.add(int(folder.name))
    return found


def _adopts() -> bool:
    found = ctypes.c_int()
    _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(found))
    return bool(found)


def _adopt(wanted: bool) -> None:
    _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted))


def _prctl(option: int, value: Any) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
