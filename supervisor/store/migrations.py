"""The shape of the main database, step by step: `PRAGMA user_version` says how many of the steps it has behind it.

A new database takes all steps, so that there is one way to every shape. What must not regress: a step that was released is never
altered, another one follows it; for each there is a database of the version before in tests/unit/store/databases, written by the
program of that time, and a test that opens it; before a database that holds something is changed, a whole copy of it is
made beside it; a step that fails has changed nothing; a newer database is refused untouched.

New members of a record need no step: they travel as JSON, and a program that does not know them keeps them (store.py).
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared import database
from shared.errors import StorageFailed
from supervisor.store.sqlite import Connection, Damaged, refused

KEPT_COPIES = 3
COPIED_PAGES = 2000

Step = Callable[[Connection], None]

_FIRST = (
    "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS sessions(
    id TEXT PRIMARY KEY, project_path TEXT NOT NULL, created_at INTEGER NOT NULL, last_activity INTEGER NOT NULL,
    state TEXT NOT NULL, conversation_id TEXT NOT NULL, generation INTEGER NOT NULL DEFAULT 0,
    message_count INTEGER NOT NULL DEFAULT 0, ended_at INTEGER, body BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS sessions_open ON sessions(state) WHERE state != 'ended'",
    """CREATE TABLE IF NOT EXISTS messages(
    ord INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, session_id TEXT NOT NULL, state TEXT NOT NULL,
    rank REAL NOT NULL, request_key TEXT UNIQUE, text TEXT NOT NULL, created_at INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS messages_session ON messages(session_id, ord)",
    "DROP INDEX IF EXISTS messages_open",
    """CREATE INDEX IF NOT EXISTS messages_queue ON messages(session_id, state NOT IN ('typed','submitted'), rank)
    WHERE state IN ('accepted','queued','typed','submitted')""",
    "CREATE INDEX IF NOT EXISTS messages_state ON messages(session_id, state)",
    """CREATE TABLE IF NOT EXISTS prompts(
    session_id TEXT NOT NULL, prompt_id TEXT NOT NULL, message TEXT NOT NULL, PRIMARY KEY(session_id, prompt_id))
    WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS tails(
    session_id TEXT NOT NULL, name TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY(session_id, name))""",
    "CREATE TABLE IF NOT EXISTS keys(key TEXT PRIMARY KEY, at INTEGER NOT NULL, result BLOB NOT NULL)",
    """CREATE TABLE IF NOT EXISTS events(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL, session TEXT, data BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS events_session ON events(session, seq)",
)


def first(db: Connection) -> None:
    """From nothing, or from a database of before there were versions: its queue gets an index, its prompts a table."""
    for statement in _FIRST:
        db.execute(statement)
    for session_id, message_id, body in db.execute("SELECT session_id, id, body FROM messages ORDER BY ord"):
        if prompt_id := _prompt_id(body):
            db.execute("INSERT OR REPLACE INTO prompts VALUES(?,?,?)", (session_id, prompt_id, message_id))


def _prompt_id(body: Any) -> str | None:
    try:
        found = msgspec.json.decode(body, type=dict[str, Any]).get("prompt_id")
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
        return None  # it is found to be damaged where it is read
    return found if isinstance(found, str) else None


_NOTIFICATIONS = (
    """CREATE TABLE recipients(id TEXT PRIMARY KEY, body BLOB NOT NULL)""",
    """CREATE TABLE notices(
    ord INTEGER PRIMARY KEY AUTOINCREMENT, recipient TEXT NOT NULL, key TEXT NOT NULL, live INTEGER NOT NULL,
    body BLOB NOT NULL, UNIQUE(recipient, key))""",
    """CREATE INDEX notices_live ON notices(recipient) WHERE live = 1""",
    """CREATE TABLE outbox(
    ord INTEGER PRIMARY KEY AUTOINCREMENT, recipient TEXT NOT NULL, tag TEXT NOT NULL, body BLOB NOT NULL,
    UNIQUE(recipient, tag))""",
    """CREATE TABLE answer_links(hash TEXT PRIMARY KEY, expires INTEGER NOT NULL, body BLOB NOT NULL)""",
    """CREATE TABLE reply_wishes(message TEXT PRIMARY KEY, recipient TEXT NOT NULL)""",
)


def notifications(db: Connection) -> None:
    """Recipients, the log of what they were told, what waits to be sent, links that answer, wishes for replies."""
    for statement in _NOTIFICATIONS:
        db.execute(statement)


def order(db: Connection) -> None:
    """Pages of thousands of sessions are found without reading the others."""
    db.execute("CREATE INDEX sessions_order ON sessions(created_at, id)")
    db.execute("CREATE INDEX sessions_conversation ON sessions(conversation_id)")


_GROWTH = (
    "DROP INDEX IF EXISTS sessions_open",
    "CREATE INDEX sessions_open ON sessions(created_at, id) WHERE state != 'ended'",
    "CREATE INDEX sessions_ended ON sessions(COALESCE(ended_at, 0), id) WHERE state = 'ended'",
    "CREATE INDEX keys_at ON keys(at)",
)


def growth(db: Connection) -> None:
    """Beside ten thousand that have ended, the open ones and those that ended lately are found without reading the others; and so
    are the keys that are old."""
    for statement in _GROWTH:
        db.execute(statement)


STEPS: tuple[Step, ...] = (first, notifications, order, growth)


@dataclass(frozen=True)
class Migration:
    """What was done: from which version to which, and where the copy of the one before is."""

    before: int
    after: int
    copy: Path


def migrate(db: Connection, path: Path, steps: Sequence[Step] = STEPS) -> Migration | None:
    """Bring a database to the newest version; None when nothing that it held had to be changed.

    Raise StorageFailed for a newer one, or when there is no room for the copy; Damaged before a damaged one is changed.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(steps):
        raise StorageFailed(database.too_new(path, version), code="database_newer")
    if version == len(steps):
        return None
    holds = db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is not None
    copy = _copy(db, path, version) if holds else None
    for number, step in enumerate(steps[version:], version + 1):
        _take(db, step, number)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # so that the version is in the file itself (shared/database.py)
    return Migration(version, len(steps), copy) if copy is not None else None


def _take(db: Connection, step: Step, number: int) -> None:
    """One step, wholly or not at all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        step(db)
        db.execute(f"PRAGMA user_version={number:d}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            with suppress(StorageFailed):
                db.execute("ROLLBACK")
        raise


def _copy(db: Connection, path: Path, version: int) -> Path:
    """A whole copy, on the disk before anything is changed; of the earlier ones the newest are kept."""
    found = db.execute("PRAGMA quick_check(1)").fetchone()
    if found is None or found[0] != "ok":
        raise Damaged(f"The database {path} is damaged.")
    copy = database.copy_name(path, version, time.strftime("%Y%m%d-%H%M%S"))
    making = path.with_name(f"{path.name}.copying")
    try:
        making.unlink(missing_ok=True)
        os.close(os.open(making, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        target = sqlite3.connect(making)
        try:
            db.backup(target, pages=COPIED_PAGES)
        finally:
            target.close()
        _sync(making)
        making.rename(copy)
        _sync(copy.parent)
        for old in database.copies(path)[:-KEPT_COPIES]:
            old.unlink()
    except (sqlite3.Error, OSError) as error:
        with suppress(OSError):
            making.unlink(missing_ok=True)
        why = error.strerror if isinstance(error, OSError) else refused(error).message
        raise StorageFailed(
            f"The database {path} has to be changed for this version of pilotlight, and the copy that is made before cannot be "
            f"written: {why} Nothing was changed. Make room for as much as the database takes, and start again."
        ) from error
    return copy


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
