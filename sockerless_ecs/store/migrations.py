"""The versions of the database's schema, and the way from each to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

Migration = Callable[[sqlite3.Connection], None]
"""Brings a database one version on, within a transaction that its caller opens and commits."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The newest schema, and the steps towards it: `migrations[0]` leads from version 1 to 2, and so on."""

    script: str
    migrations: tuple[Migration, ...] = ()

    @property
    def version(self) -> int:
        """The version that `script` makes and that the last migration leads to."""
        return len(self.migrations) + 1


def current_schema() -> Schema:
    """The schema of this release. Released migrations are never changed, only added to."""
    script = files(__package__).joinpath("schema.sql").read_text("utf-8")
    return Schema(script=script, migrations=(_image_files,))


def _image_files(connection: sqlite3.Connection) -> None:
    """Images' configuration files, by digest."""
    connection.execute("CREATE TABLE image_files (key TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL)")
