"""Which paths an image has: its layers laid upon each other, by their names alone."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol

import trio

from sockerless_ecs.errors import InvalidParameter, Unavailable, Unimplemented
from sockerless_ecs.model.reference import Reference, familiar
from sockerless_ecs.registry.client import RegistryClient
from sockerless_ecs.registry.compression import Unpacked
from sockerless_ecs.registry.layer_names import MOST_ENTRIES, LayerNames
from sockerless_ecs.registry.manifest import is_foreign

_LAYER_BYTES = 1 << 40
_KEPT_ENTRIES = 1_000_000
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"

Node = dict[str, "Node | None"]
"""A directory: its names; what is none is None."""


class Tree:
    """The paths of an image."""

    def __init__(self) -> None:
        self._root: Node = {}
        self.size = 0
        """How many names were ever added: what it takes of memory, at most."""

    def has(self, path: str) -> bool:
        """Whether there is such a path, of whatever kind."""
        above, _, name = path.rpartition("/")
        return not name or name in self.names(above)

    def names(self, path: str) -> AbstractSet[str]:
        """What a directory has; nothing if it is none."""
        node: Node | None = self._root
        for part in _parts(path):
            node = node.get(part) if node is not None else None
        return frozenset() if node is None else node.keys()

    def apply(self, layer: Iterable[tuple[str, bool]]) -> None:
        """Lay a layer upon it. What the layer takes away is taken from those below, wherever it says so."""
        added = []
        for path, is_directory in layer:
            above, _, name = path.rpartition("/")
            if name == _OPAQUE:
                self._clear(above)
            elif name.startswith(_WHITEOUT):
                self._clear(above, name.removeprefix(_WHITEOUT))
            elif name:
                added.append((above, name, is_directory))
        for above, name, is_directory in added:
            self._add(above, name, is_directory=is_directory)

    def _clear(self, path: str, name: str = "") -> None:
        node: Node | None = self._root
        for part in _parts(path):
            node = node.get(part) if node is not None else None
        if node is None:
            return
        if name:
            node.pop(name, None)
        else:
            node.clear()

    def _add(self, above: str, name: str, *, is_directory: bool) -> None:
        self.size += 1
        node = self._root
        for part in _parts(above):
            below = node.get(part)
            if below is None:
                below = node[part] = {}
            node = below
        if not is_directory:
            node[name] = None
        elif node.get(name) is None:
            node[name] = {}


class Contents(Protocol):
    """Knows what images have."""

    async def tree(self, image_id: str, reference: Reference) -> Tree:
        """The paths of the image that a reference by manifest digest names."""


class ImageContents:
    """Reads layers once for each image, one image at a time, and keeps what fits."""

    def __init__(self, registry: RegistryClient, kept_entries: int = _KEPT_ENTRIES) -> None:
        self._registry = registry
        self._kept_entries = kept_entries
        self._kept: dict[str, Tree] = {}
        self._lock = trio.Lock()

    async def tree(self, image_id: str, reference: Reference) -> Tree:
        """The paths of the image; raises `Unavailable` or `NotFound` when its layers cannot be read.

        Raises `Unimplemented` for an image whose layers no registry may have.
        """
        async with self._lock:
            if (tree := self._kept.pop(image_id, None)) is None:
                tree = await self._read(reference)
            self._kept[image_id] = tree  # now the newest
            while len(self._kept) > 1 and sum(one.size for one in self._kept.values()) > self._kept_entries:
                del self._kept[next(iter(self._kept))]
        return tree

    async def _read(self, reference: Reference) -> Tree:
        tree = Tree()
        _, manifest = await self._registry.raw_manifest(reference)
        for layer in manifest.layers:
            if is_foreign(layer):
                raise Unimplemented(
                    f"the files of {familiar(reference)} cannot be listed: it has a layer that is not in its "
                    "registry"
                )
            names = LayerNames()
            async with self._registry.open_blob(reference, layer.digest) as blob:
                try:
                    async for piece in Unpacked(blob, _LAYER_BYTES):
                        await trio.to_thread.run_sync(names.feed, piece)
                except InvalidParameter as error:
                    raise Unavailable(f"a layer of {familiar(reference)}: {error.message}") from error
            names.finish()
            await trio.to_thread.run_sync(tree.apply, names.entries)
            if tree.size > MOST_ENTRIES:
                raise Unimplemented(
                    f"the files of {familiar(reference)} cannot be listed: it has more than {MOST_ENTRIES}"
                )
        return tree


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part]
