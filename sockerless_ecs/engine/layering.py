"""What a container has made of its image as a layer: what it took away first, then what its agent packs."""

from __future__ import annotations

import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import islice

import trio

from sockerless_ecs.engine.changes import Difference
from sockerless_ecs.model.files import ChangeKind

_WHITEOUT = ".wh."
_AT_ONCE = 100
_MADE_FOR_EACH = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/.dockerenv", "/proc", "/sys", "/dev")
"""What no container can take away: it is made anew for the next one."""


def packed_paths(found: Iterable[Difference]) -> Sequence[str]:
    """What to ask an agent for; what came here as a whole ends in `/`."""
    return [one.path + "/" * one.moved for one in found if one.kind is not ChangeKind.DELETED]


class Layer:
    """The tar of a layer. An iterator, not a generator: who leaves it half-way owes it nothing."""

    def __init__(self, found: Iterable[Difference], packed: AsyncIterator[bytes]) -> None:
        self._whiteouts = _whiteouts(one.path for one in found if one.kind is ChangeKind.DELETED)
        self._packed = packed

    def __aiter__(self) -> Layer:
        return self

    async def __anext__(self) -> bytes:
        if piece := b"".join(islice(self._whiteouts, _AT_ONCE)):
            await trio.lowlevel.checkpoint()
            return piece
        return await anext(self._packed)


def _whiteouts(paths: Iterable[str]) -> Iterator[bytes]:
    """An empty file for each, whose name says what it takes away from the layers below."""
    for path in paths:
        if not any(f"{path}/".startswith(f"{made}/") for made in _MADE_FOR_EACH):
            above, _, name = path.lstrip("/").rpartition("/")
            entry = tarfile.TarInfo(f"{above}/{_WHITEOUT}{name}".lstrip("/"))
            entry.mode = 0o600
            yield entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
