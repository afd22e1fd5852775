"""SQLite whose every error is one of ours: refused by the disk or another program, or damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from shared.errors import StorageFailed

LOCKED_SECONDS = 0.2
"""How long a write waits for another program's lock. We are the only writer; whoever else has a lock is a person's tool or
a backup, and the loop must not stand still for it."""

_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})


class Damaged(StorageFailed):
    """The database file is not what we wrote."""


def refused(error: sqlite3.Error) -> StorageFailed:
    """The error as ours."""
    kind = Damaged if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE else StorageFailed
    return kind(f"The database refuses: {error}. Free space or repair it; what runs goes on.")


class _Cursor(sqlite3.Cursor):
    """Every error of SQLite's is a StorageFailed, also one that only a later row brings."""

    def execute(self, sql: str, values: Any = ()) -> _Cursor:
        try:
            super().execute(sql, values)
        except sqlite3.Error as error:
            raise refused(error) from error
        return self

    def fetchone(self) -> Any:
        try:
            return super().fetchone()
        except sqlite3.Error as error:
            raise refused(error) from error

    def fetchall(self) -> list[Any]:
        return list(self)

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except sqlite3.Error as error:
            raise refused(error) from error


class Connection(sqlite3.Connection):
    """One whose cursors are such."""

    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, values: Any = ()) -> _Cursor:
        cursor: _Cursor = self.cursor()
        return cursor.execute(sql, values)


def connect(path: Path) -> Connection:
    """A connection in which every transaction is begun by hand. Raise sqlite3.Error."""
    return sqlite3.connect(path, isolation_level=None, timeout=LOCKED_SECONDS, factory=Connection)
