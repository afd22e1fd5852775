"""Whether the database's file is sound: before the start what a start needs, and the rest of a large one beside the work.

SQLite reads every page for it (measured: 60 ms for 67 MB, 1.7 s for 510), nearly all of it the journal, without which everything
can begin. What must not regress: a small file is looked at whole before it is used, and so is one in which damage was found
beside the work, so that the next start puts it aside as ever; a file that another program holds is no damage; the loop never
waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from shared.errors import StorageFailed
from supervisor.store.sqlite import Connection, Damaged, connect, refused

_log = logging.getLogger("pilotlight.supervisor")

WHOLE_BYTES = 64 * 1024 * 1024
AGAIN_SECONDS = 600.0
_NEEDED = ("meta", "sessions", "prompts", "tails", "keys")


def begin(db: Connection, path: Path) -> bool:
    """Look at what a start needs; whether that was all. Raise Damaged."""
    if path.stat().st_size <= WHOLE_BYTES or suspected(path):
        _check(db, path, "1")
        forget(path)
        return True
    for table in _NEEDED:
        _check(db, path, f"'{table}'")
    return False


async def verify(path: Path) -> None:
    """All of it, on another thread; later again when it cannot be read now. Raise Damaged, and it is `suspected`."""
    while True:
        look = _Look(path)
        try:
            await asyncio.to_thread(look.run)
            return
        except Damaged:
            raise
        except (StorageFailed, OSError) as error:
            _log.warning("database_not_verified", extra={"fields": {"why": str(error)}})
        finally:
            look.stop()
        await asyncio.sleep(AGAIN_SECONDS)


def suspected(path: Path) -> bool:
    """Whether damage was found beside the work, so that the next start has to look at all of it."""
    return _mark(path).exists()


def forget(path: Path) -> None:
    """The damaged file was put aside, or it was none."""
    _mark(path).unlink(missing_ok=True)


class _Look:
    """With a connection of its own, for another thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: Connection | None = None
        self._stopped = False

    def run(self) -> None:
        """Raise Damaged; StorageFailed or OSError when it cannot be told."""
        try:
            with closing(connect(self._path)) as self._db:
                if not self._stopped:
                    _check(self._db, self._path, "1")
        except Damaged:
            _mark(self._path).touch(mode=0o600)
            raise
        except sqlite3.Error as error:
            raise refused(error) from error

    def stop(self) -> None:
        """End it, from another thread."""
        self._stopped = True
        if self._db is not None:
            with suppress(sqlite3.ProgrammingError):  # it is over
                self._db.interrupt()


def _check(db: Connection, path: Path, what: str) -> None:
    found = db.execute(f"PRAGMA quick_check({what})").fetchone()
    if found is None or found[0] != "ok":
        raise Damaged(f"The database {path} is damaged: {' '.join(str((found or ['unreadable'])[0]).split())}.")


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
