"""A store in one SQLite file: a document per record, a transaction per commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import trio

from sockerless_ecs.errors import StoreUnusable
from sockerless_ecs.store.contract import KINDS, Delete, Kind, Put, R, Snapshot
from sockerless_ecs.store.database import Database, open_database
from sockerless_ecs.store.migrations import Schema, current_schema

_T = TypeVar("_T")
_Statement = tuple[str, tuple[str, ...]]

_PUT: dict[type, str] = {
    kind: f"INSERT INTO {KINDS[kind].table} (key, document) VALUES (?, ?) "  # noqa: S608  a table of KINDS
    "ON CONFLICT (key) DO UPDATE SET document = excluded.document"
    for kind in KINDS
}
_DELETE: dict[type, str] = {kind: f"DELETE FROM {KINDS[kind].table} WHERE key = ?" for kind in KINDS}  # noqa: S608
_GET: dict[type, str] = {kind: f"SELECT document FROM {KINDS[kind].table} WHERE key = ?" for kind in KINDS}  # noqa: S608
_ALL: dict[type, str] = {kind: f"SELECT key, document FROM {KINDS[kind].table}" for kind in KINDS}  # noqa: S608


class _Batch:
    """Commits that wait for the disk together, and how it went."""

    def __init__(self) -> None:
        self.statements: list[_Statement] = []
        self.written = False
        self.failure: sqlite3.Error | None = None


class SqliteStore:
    """The contract of `Store` on one connection, used by one thread at a time that is never abandoned."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {
            kind: msgspec.json.Decoder(kind) for kind in KINDS
        }
        self._encoder = msgspec.json.Encoder()
        self._turn = trio.StrictFIFOLock()
        self._thread = trio.CapacityLimiter(1)
        self._waiting = _Batch()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, schema: Schema | None = None) -> SqliteStore:
        """Open or make the database at `path`; raises `StoreUnusable`. A cancelled open leaves it closed."""
        database = await trio.to_thread.run_sync(open_database, path, schema or current_schema())
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
        except trio.Cancelled:
            database.close()
            raise
        return cls(database)

    async def commit(self, *changes: Put | Delete) -> None:
        """Apply the changes, all or none, in order; cancelling neither stops nor abandons it."""
        self._require_open()
        batch = self._waiting
        batch.statements.extend([self._statement(change) for change in changes])
        with trio.CancelScope(shield=True):
            async with self._turn:
                if not batch.written:
                    # First of those that waited: write for all of them. Later commits form the next batch.
                    self._waiting = _Batch()
                    await self._write(batch)
        if batch.failure is not None:
            message = f"the state database {self._database.path} cannot be written: {batch.failure}"
            raise StoreUnusable(message) from batch.failure

    async def load(self) -> Snapshot:
        """Everything, in one read transaction."""
        return await self._read(self._load)

    async def get(self, kind: type[R], key: str) -> R | None:
        """One record, or None."""
        return await self._read(partial(self._get, kind, key))

    async def aclose(self) -> None:
        """Finish the commits already called, then close the database and release its lock."""
        if self._closed:
            await trio.lowlevel.checkpoint()
            return
        self._closed = True
        with trio.CancelScope(shield=True):
            async with self._turn:
                await trio.to_thread.run_sync(self._database.close, limiter=self._thread)

    def _require_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError("the store is closed")

    def _statement(self, change: Put | Delete) -> _Statement:
        match change:
            case Put(record):
                kind = KINDS[type(record)]
                return _PUT[kind.record], (kind.key(record), self._encoder.encode(record).decode())
            case Delete(kind=record_type, key=key):
                return _DELETE[record_type], (key,)

    async def _write(self, batch: _Batch) -> None:
        try:
            await trio.to_thread.run_sync(self._execute, batch.statements, limiter=self._thread)
        except sqlite3.Error as error:
            batch.failure = error
        finally:
            batch.written = True

    def _execute(self, statements: Sequence[_Statement]) -> None:
        connection = self._database.connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            for sql, parameters in statements:
                connection.execute(sql, parameters)
            connection.execute("COMMIT")
        except BaseException:
            # A full disk has already rolled back by itself.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    async def _read(self, read: Callable[[], _T]) -> _T:
        self._require_open()
        async with self._turn:
            try:
                return await trio.to_thread.run_sync(read, limiter=self._thread)
            except sqlite3.Error as error:
                message = f"the state database {self._database.path} cannot be read: {error}"
                raise StoreUnusable(message) from error

    def _load(self) -> Snapshot:
        connection = self._database.connection
        connection.execute("BEGIN")
        try:
            tables: dict[str, Any] = {
                kind.table: {
                    key: self._decoded(kind, key, document)
                    for key, document in connection.execute(_ALL[record_type])
                }
                for record_type, kind in KINDS.items()
                if kind.resident
            }
        finally:
            connection.execute("ROLLBACK")
        return Snapshot(**tables)

    def _get(self, record_type: type[R], key: str) -> R | None:
        row = self._database.connection.execute(_GET[record_type], (key,)).fetchone()
        return None if row is None else self._decoded(KINDS[record_type], key, row[0])

    def _decoded(self, kind: Kind, key: str, document: str) -> Any:
        try:
            return self._decoders[kind.record].decode(document)
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise StoreUnusable(
                f"the state database {self._database.path} is damaged: record {key} of {kind.table} "
                f"cannot be read: {error}. It was left as it is"
            ) from error
