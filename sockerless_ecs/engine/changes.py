"""What a container has made of its image: added, modified, deleted, as `docker diff` tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sockerless_ecs.errors import Unimplemented
from sockerless_ecs.model.files import Change, ChangeKind
from sockerless_ecs.registry import Tree

_MOST = 1_000_000


class Changed(Protocol):
    """A path of the container's file system that may differ from the image."""

    @property
    def path(self) -> str:
        """From `/`."""

    @property
    def directory(self) -> bool:
        """Whether it is one now."""

    @property
    def entries(self) -> Sequence[str]:
        """All that a directory has now."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A path that is not as in the image; a byte that is no UTF-8 is a lone surrogate."""

    path: str
    kind: ChangeKind
    moved: bool = False
    """It came to where it is with all that is below it, of which nothing is told."""


async def differences(changed: AsyncIterator[Changed], image: Tree) -> Sequence[Difference]:
    """By path, each once; the directories above a change are modified, of what went only the top is told.

    Raises Unimplemented for more than can be held.
    """
    found: dict[str, ChangeKind] = {}
    new: dict[str, list[str]] = {}
    moved: set[str] = set()
    async for one in changed:
        if len(found) > _MOST:
            raise Unimplemented(f"the container has changed more than {_MOST} files: they cannot be listed")
        known = image.has(one.path)
        if one.path != "/":
            found[one.path] = ChangeKind.MODIFIED if known else ChangeKind.ADDED
            moved.discard(one.path)
        if not one.directory:
            continue
        below = {f"{one.path.rstrip('/')}/{name}" for name in one.entries}
        if known:
            before = {f"{one.path.rstrip('/')}/{name}" for name in image.names(one.path)}
            found.update(dict.fromkeys(before - below, ChangeKind.DELETED))
            new[one.path] = list(below - before)
        else:  # what was moved to here has not changed itself
            unknown = below - found.keys()
            found.update(dict.fromkeys(unknown, ChangeKind.ADDED))
            moved |= unknown
    _forget_mounted(found, new)
    for path in tuple(found):
        while path := path.rpartition("/")[0]:
            found.setdefault(path, ChangeKind.MODIFIED)
    return [
        Difference(path, found[path], path in moved)
        for path in sorted(found, key=lambda path: path.split("/"))
    ]


def shown(found: Iterable[Difference]) -> Sequence[Change]:
    """As clients are told; names that are no UTF-8 as Docker's JSON has them."""
    return [
        Change(path=one.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), kind=one.kind)
        for one in found
    ]


def _forget_mounted(found: dict[str, ChangeKind], new: Mapping[str, Sequence[str]]) -> None:
    """A directory with new names that nobody reports was changed by what is mounted in it, not by anyone."""
    for path, names in new.items():
        if not found.keys() >= set(names):
            found.pop(path, None)
