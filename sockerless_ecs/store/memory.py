"""A store that forgets when the process ends."""

from __future__ import annotations

from typing import Any, cast

import trio

from sockerless_ecs.store.contract import KINDS, Delete, Put, R, Record, Snapshot


class MemoryStore:
    """The contract of `Store` without a disk."""

    def __init__(self) -> None:
        self._records: dict[type, dict[str, Record]] = {kind: {} for kind in KINDS}
        self._closed = False

    async def commit(self, *changes: Put | Delete) -> None:
        """Apply the changes in order; cancelling does not stop it."""
        self._require_open()
        for change in changes:
            match change:
                case Put(record):
                    kind = KINDS[type(record)]
                    self._records[kind.record][kind.key(record)] = record
                case Delete(kind=record_type, key=key):
                    self._records[record_type].pop(key, None)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def load(self) -> Snapshot:
        """Everything."""
        self._require_open()
        await trio.lowlevel.checkpoint()
        tables: dict[str, Any] = {
            KINDS[kind].table: dict(records)
            for kind, records in self._records.items()
            if KINDS[kind].resident
        }
        return Snapshot(**tables)

    async def get(self, kind: type[R], key: str) -> R | None:
        """One record, or None."""
        self._require_open()
        await trio.lowlevel.checkpoint()
        return cast("R | None", self._records[kind].get(key))

    async def aclose(self) -> None:
        """Let go of everything."""
        self._closed = True
        await trio.lowlevel.checkpoint()

    def _require_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the store is closed")
