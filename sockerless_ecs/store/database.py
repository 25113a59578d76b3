"""The SQLite file itself: made, checked, brought up to date, opened."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sockerless_ecs.errors import StoreUnusable
from sockerless_ecs.store.files import draft_of, make_private, make_private_folder, publish
from sockerless_ecs.store.lock import FileLock
from sockerless_ecs.store.migrations import Schema

_APPLICATION_ID = 0x50C4E855
"""Stands in the file's header: this is ours."""
_KEPT = "It was left as it is; it is never reset by itself"


class Database:
    """An open, locked, current database: one connection, for one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: FileLock) -> None:
        self.path = path
        self.connection = connection
        self._lock = lock

    def close(self) -> None:
        """Fold the log into the file, then let the next daemon have it."""
        try:
            self.connection.close()
        finally:
            # After the connection: closing any descriptor of the file drops SQLite's own locks on it.
            self._lock.release()


def open_database(path: Path, schema: Schema) -> Database:
    """The database at `path`, made if it is not there; blocking.

    Raises `StoreUnusable` when it is corrupt, newer, foreign, in use or out of reach.
    """
    try:
        if not path.exists():
            _create(path, schema)
        lock = FileLock(path)
        try:
            version = _check(path, schema)
            make_private(path)
            return Database(path, _connect(path, schema, version), lock)
        except BaseException:
            lock.release()
            raise
    except sqlite3.Error as error:
        raise StoreUnusable(f"the state database {path} cannot be used: {error}. {_KEPT}") from error
    except OSError as error:
        raise StoreUnusable(f"the state database {path} cannot be used: {error.strerror}") from error


def _create(path: Path, schema: Schema) -> None:
    """Write the whole empty database beside its place, then publish it: nobody ever sees half of one."""
    make_private_folder(path.parent)
    draft = draft_of(path)
    draft.touch(0o600)
    try:
        with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {schema.version}")
            connection.executescript(schema.script)
            connection.execute("PRAGMA journal_mode = WAL")
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    publish(draft, path)


def _check(path: Path, schema: Schema) -> int:
    """The version of an existing database, read without writing; `StoreUnusable` if it is not for us."""
    if path.stat().st_size == 0:
        raise StoreUnusable(f"{path} is empty, not a state database. {_KEPT}: move it away to begin anew")
    # Read-only, so that looking at a file that is refused does not fold its log into it.
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        if _pragma(connection, "application_id") != _APPLICATION_ID:
            raise StoreUnusable(f"{path} is a database of some other program. {_KEPT}")
        version = _pragma(connection, "user_version")
        if not 1 <= version <= schema.version:
            raise StoreUnusable(
                f"the state database {path} has version {version}, this release knows up to "
                f"{schema.version}: use the newer release that wrote it. {_KEPT}"
            )
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise StoreUnusable(f"the state database {path} is damaged: {verdict}. {_KEPT}")
    return version


def _connect(path: Path, schema: Schema, version: int) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=64)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        # A commit reaches the disk before it returns, so that even a machine that loses its power keeps an
        # exit that the agent was told is safe. Commits that wait together share one write.
        connection.execute("PRAGMA synchronous = FULL")
        # Tokens that are deleted are overwritten.
        connection.execute("PRAGMA secure_delete = ON")
        _migrate(connection, schema, version)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, schema: Schema, version: int) -> None:
    """Each step is a transaction with its version number: one that fails leaves the version before it."""
    for number, migration in enumerate(schema.migrations[version - 1 :], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            migration(connection)
            connection.execute(f"PRAGMA user_version = {number}")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    (value,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(value)
