"""From the configured path to a usable store, or a clear refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from sockerless_ecs.store.contract import Store
from sockerless_ecs.store.memory import MemoryStore
from sockerless_ecs.store.sqlite import SqliteStore


async def open_store(where: Path | Literal["memory"]) -> Store:
    """The store at `where`, made when it is not there; close it with `aclose`.

    Raises `StoreUnusable`, the file untouched, when it is corrupt, newer, foreign or in use.
    """
    if where == "memory":
        return MemoryStore()
    return await SqliteStore.open(where)
