"""A database of many conversations and a long journal, written in bulk before anything is started.

Sessions are written by the store itself, events by one statement of SQLite, transcripts as the CLI writes them: what is found
afterwards is what a supervisor would have left after months, and nothing is kept outside of the house.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

from supervisor.claude.home import transcript_path
from supervisor.store.records import SessionRecord
from supervisor.store.store import Store
from tests.harness import House

DAY_MS = 86_400_000
SHARED = 100
"""How many conversations have a word in common (`topic`), by which they are found."""

_EVENTS = """WITH RECURSIVE counted(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM counted WHERE n + 1 < :events)
INSERT INTO events(at, kind, session, data) SELECT :first + n * :step,
CASE n % 10 WHEN 0 THEN 'state' WHEN 1 THEN 'message' ELSE 'text' END,
(SELECT id FROM filled WHERE place = n / 20 % :sessions), CAST(:data AS BLOB) FROM counted"""


def topic(number: int) -> str:
    """A word that conversation `number` has in common with some."""
    return f"topic{number // SHARED}"


def fill(house: House, ended: int, asleep: int, events: int) -> list[str]:
    """The ids of all: first those that have ended, then those that sleep. Nothing may run."""
    store, now = Store(house.paths.database), int(time.time() * 1000)
    ids = [str(uuid.uuid4()) for _ in range(ended + asleep)]
    with store.transaction():
        for number, session in enumerate(ids):
            store.save_session(_record(house, session, number, ended, now))
    store.close()
    _fill_journal(house.paths.database, ids, events, now)
    for number, session in enumerate(ids):
        folder = house.paths.session_dir(session)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / "hooks.log").touch(mode=0o600)
        _write_transcript(_transcript(house, session), number, now)
    return ids


def _transcript(house: House, session: str) -> Path:
    return transcript_path(house.claude_home / ".claude", str(house.project), session)


def _record(house: House, session: str, number: int, ended: int, now: int) -> SessionRecord:
    created, over = now - 10 * DAY_MS + number * 1000, number < ended
    state = "ended" if over else "hibernated"
    record = SessionRecord(session, str(house.project), created, now - 3_600_000 - number, state, session)
    record.generation, record.message_count, record.title = 1, 3, f"Conversation {number}"
    record.transcript, record.ready_once = str(_transcript(house, session)), True
    if over:
        record.ended_at, record.end_reason = now - 3_600_000, "killed"
    return record


def _fill_journal(path: Path, ids: list[str], events: int, now: int) -> None:
    """Twenty events of a session after each other, over the last nine days; without their index while they come."""
    data = json.dumps({"message": "m_0", "text": "word " * 20}, separators=(",", ":"))
    db = sqlite3.connect(path, isolation_level=None)
    (index,) = db.execute("SELECT sql FROM sqlite_master WHERE name='events_session'").fetchone()
    db.execute("PRAGMA synchronous=OFF")
    db.execute("BEGIN")
    db.execute("DROP INDEX events_session")
    db.execute("CREATE TEMP TABLE filled(place INTEGER PRIMARY KEY, id TEXT NOT NULL)")
    db.executemany("INSERT INTO filled VALUES(?, ?)", enumerate(ids))
    first = now - 9 * DAY_MS
    step = 9 * DAY_MS // max(1, events)
    db.execute(_EVENTS, {"events": events, "first": first, "step": step, "sessions": len(ids), "data": data})
    db.execute(index)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _write_transcript(path: Path, number: int, now: int) -> None:
    """Three questions, each with its answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    at = datetime.fromtimestamp((now - 3_600_000) / 1000, UTC).isoformat()
    common = {"timestamp": at, "sessionId": path.stem, "cwd": str(path.parent), "isSidechain": False}
    lines = []
    for turn in range(3):
        asked, said = str(uuid.uuid4()), str(uuid.uuid4())
        question = {"role": "user", "content": f"Question {turn} about {topic(number)}, number{number}"}
        content = [{"type": "text", "text": f"Answer {turn} of conversation {number}: " + "some words " * 20}]
        usage = {"input_tokens": 10, "output_tokens": 20}
        reply = {"id": f"msg_{said}", "role": "assistant", "model": "m", "content": content, "usage": usage}
        lines.append({"type": "user", "uuid": asked, "promptId": asked, "message": question, **common})
        lines.append({"type": "assistant", "uuid": said, "parentUuid": asked, "message": reply, **common})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
