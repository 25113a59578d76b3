"""What a container has made of its image: added, modified, deleted, as `docker diff` tells it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from sockerless_ecs.model.files import Change, ChangeKind
from sockerless_ecs.registry import Tree


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


async def changes(changed: AsyncIterator[Changed], image: Tree) -> list[Change]:
    """By path, each once; the directories above a change are modified, of what went only the top is told."""
    found: dict[str, ChangeKind] = {}
    new: dict[str, list[str]] = {}
    async for one in changed:
        known = image.has(one.path)
        if one.path != "/":
            found[one.path] = ChangeKind.MODIFIED if known else ChangeKind.ADDED
        if not one.directory:
            continue
        above = one.path.rstrip("/")
        if known:
            for name in image.names(one.path) - set(one.entries):
                found[f"{above}/{name}"] = ChangeKind.DELETED
            new[one.path] = [f"{above}/{name}" for name in set(one.entries) - image.names(one.path)]
        else:  # what was moved to here has not changed itself
            for name in one.entries:
                found.setdefault(f"{above}/{name}", ChangeKind.ADDED)
    _forget_mounted(found, new)
    for path in tuple(found):
        while path := path.rpartition("/")[0]:
            found.setdefault(path, ChangeKind.MODIFIED)
    return [
        Change(path=_shown(path), kind=found[path])
        for path in sorted(found, key=lambda path: path.split("/"))
    ]


def _forget_mounted(found: dict[str, ChangeKind], new: Mapping[str, Sequence[str]]) -> None:
    """A directory with new names that nobody reports was changed by what is mounted in it, not by anyone."""
    for path, names in new.items():
        if not found.keys() >= set(names):
            found.pop(path, None)


def _shown(path: str) -> str:
    """Names that are no UTF-8 as Docker's JSON has them."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
