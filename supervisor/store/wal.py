"""The write-ahead log of the main database: kept small, and said to be large when another program keeps it so.

SQLite begins it anew when all of it is in the database and nobody reads it any more. A program that reads in one long
transaction (a person's tool, a backup) keeps all that was written since; then it grows, and the file would stay as large for
good. What must not regress: nothing here waits for a reader.
"""

from __future__ import annotations

from pathlib import Path

from supervisor.store.sqlite import LOCKED_SECONDS, Connection

USUAL_BYTES = 4 * 1024 * 1024
"""What is left of it when it begins anew; twice as much as it has when nobody keeps it."""

LARGE_BYTES = 16 * 1024 * 1024


class WriteAheadLog:
    """The log of one database, which the store owns."""

    def __init__(self, db: Connection, database: Path) -> None:
        self._db = db
        self._path = database.with_name(f"{database.name}-wal")
        db.execute(f"PRAGMA journal_size_limit={USUAL_BYTES}")

    @property
    def size(self) -> int:
        """Its length in bytes."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    @property
    def held(self) -> str | None:
        """Why it is large, for people; None when it is not."""
        if self.size < LARGE_BYTES:
            return None
        return (
            f"The write-ahead log ({self._path}) has {self.size // 1024**2} MB: another program has been reading the database in "
            "one transaction for long. End it; then the log shrinks by itself."
        )

    def shrink(self) -> None:
        """Move what can be moved into the database, and cut the log when that was all. Outside of a transaction. Raise
        StorageFailed."""
        if self.size <= USUAL_BYTES:
            return
        _busy, pages, moved = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages != moved:
            return
        self._db.execute("PRAGMA busy_timeout=0")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self._db.execute(f"PRAGMA busy_timeout={int(LOCKED_SECONDS * 1000)}")
