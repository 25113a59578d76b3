"""State that survives."""

from sockerless_ecs.store.contract import Delete, Put, Record, Snapshot, Store
from sockerless_ecs.store.identity import HeldIdentity, Identity, hold_identity, new_identity, new_key_pair
from sockerless_ecs.store.opening import open_store

__all__ = [
    "Delete",
    "HeldIdentity",
    "Identity",
    "Put",
    "Record",
    "Snapshot",
    "Store",
    "hold_identity",
    "new_identity",
    "new_key_pair",
    "open_store",
]
