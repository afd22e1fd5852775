"""A whole copy of the main database while it is written to, and the proof that it can be read.

What must not regress: the copy is one moment of the database; it is not taken for good before SQLite itself has found it whole.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from supervisor.store.options import Intent, ProcessFacts
from supervisor.store.sqlite import Damaged, refused
from supervisor.store.store import MessageRecord, SessionRecord, Store, now_ms

_UNSETTLED = ("typed", "submitted")


@dataclass(frozen=True)
class Content:
    """What a database holds."""

    sessions: int
    messages: int
    events: int


def copy(source: Path, target: Path) -> Content:
    """Copy it, and read the copy. Raise StorageFailed."""
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as db,
            closing(sqlite3.connect(target)) as to,
        ):
            db.backup(to)
            to.execute("PRAGMA journal_mode=DELETE")
        return content(target)
    except sqlite3.Error as error:
        raise refused(error) from error


def content(path: Path) -> Content:
    """What is in it. Raise Damaged when it is not whole."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as db:
            found = db.execute("PRAGMA integrity_check(1)").fetchone()
            if found is None or found[0] != "ok":
                raise Damaged(f"{path} is not whole: {found[0] if found else 'nothing can be read'}.")
            counts = [
                int(db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # the names are ours
                for table in ("sessions", "messages", "events")
            ]
    except sqlite3.Error as error:
        raise refused(error) from error
    return Content(*counts)


def put_to_sleep(store: Store) -> tuple[int, int]:
    """Of a database that was put back: no process is there any more, so what had one sleeps; a message that was on its way then
    has the fate that nobody knows (`interrupted`). Return how many sessions are open, and how many messages wait."""
    with store.transaction(durable=True):
        sessions = store.sessions()
        for record in sessions:
            asleep(record)
            store.save_session(record)
        waiting = 0
        for message in [found for record in sessions for found in store.open_messages(record.id)]:
            if message.state in _UNSETTLED:
                _cut_off(message)
                store.save_message(message)
            else:
                waiting += 1
    return len(sessions), waiting


def asleep(record: SessionRecord) -> None:
    """It has no process, and nothing is true of it that was of one."""
    record.state, record.child, record.holder, record.socket = "hibernated", None, None, None
    record.turn_prompt, record.background, record.failures, record.asked = None, [], 0, None
    record.process, record.intent = (
        ProcessFacts(),
        Intent(planned=record.intent.planned, recording=record.intent.recording),
    )


def _cut_off(message: MessageRecord) -> None:
    message.state, message.steps = "interrupted", {**message.steps, "interrupted": now_ms()}
    message.error = {
        "code": "restored",
        "message": "It was under way when the backup was made. Look into the conversation before it is sent again.",
        "status": 409,
        "retryable": False,
        "data": {},
    }
