"""Sessions and messages in the database: every statement on them, and no other.

The connection, its transactions and everything else that is kept are in `database`. What must not regress: a long queue is
not read whole for one of its messages, and a row that cannot be read costs no other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from shared.bus.messages import Until
from shared.errors import StorageFailed
from supervisor.store import verification
from supervisor.store.database import Database
from supervisor.store.event_journal import now_ms
from supervisor.store.message_index import OPEN, OPEN_STATES, ORDER, WAITING, MessageIndex
from supervisor.store.migrations import STEPS, Step
from supervisor.store.records import ASLEEP, MessageRecord, SessionRecord
from supervisor.store.rows import MESSAGE_COLUMNS, SESSION_COLUMNS, body, message_of, session_of
from supervisor.store.sqlite import Damaged, connect

__all__ = ["Damaged", "MessageRecord", "SessionRecord", "Store", "now_ms"]

_SAVE_SESSION = (
    f"INSERT INTO sessions({','.join(SESSION_COLUMNS)},body) VALUES({','.join('?' * (len(SESSION_COLUMNS) + 1))}) "
    f"ON CONFLICT(id) DO UPDATE SET {','.join(f'{name}=excluded.{name}' for name in (*SESSION_COLUMNS[1:], 'body'))}"
)

_ENDED = "COALESCE(ended_at, 0)"
"""In the words of the index (migrations.py)."""

_DRAFT = "draft:"
PAGE_OF_SESSIONS = 100
"""How many are read without a pause (measured: 4 ms)."""

PAGE_BYTES = 4 * 1024 * 1024
"""How much of messages is read for one page: whoever asks for more gets the rest with the next."""


class Store(Database):
    """Everything that must survive. Used from the supervisor's loop only."""

    def __init__(self, path: Path, steps: Sequence[Step] = STEPS) -> None:
        super().__init__(path, steps)
        self.index = MessageIndex(self._db)
        self._verified = True

    def verify(self) -> None:
        """Raise Damaged when the file's structure is not sound, of a large one what a start needs of it, or when a session cannot
        be read."""
        self._verified = verification.begin(self._db, self._path)
        for record in self.sessions():
            self.open_messages(record.id)

    async def verify_rest(self) -> None:
        """What `verify` has left, beside the work; then wait until cancelled. Raise Damaged."""
        if not self._verified:
            await verification.verify(self._path)
            self._verified = True
        await asyncio.Event().wait()

    @classmethod
    def readable(cls, path: Path) -> tuple[list[SessionRecord], list[MessageRecord]]:
        """The sessions and the open messages that can still be read from a damaged file."""
        sessions: list[SessionRecord] = []
        messages: list[MessageRecord] = []
        broken = cls.__new__(cls)
        try:
            broken._db = connect(path)
        except sqlite3.Error:
            return sessions, messages
        with suppress(StorageFailed):
            columns = ",".join(SESSION_COLUMNS)
            for row in broken._db.execute(f"SELECT {columns},body FROM sessions NOT INDEXED"):
                with suppress(Damaged):
                    sessions.append(session_of(row))
        with suppress(StorageFailed):
            columns = ",".join(MESSAGE_COLUMNS)
            rows = broken._db.execute(f"SELECT {columns},ord,body FROM messages NOT INDEXED WHERE {OPEN}")
            for row in rows:
                with suppress(Damaged):
                    messages.append(message_of(row))
        broken._db.close()
        return sessions, messages

    # -- sessions -------------------------------------------------------------------------------------------------------

    def save_session(self, record: SessionRecord) -> None:
        """Insert, or write anew."""
        values = [getattr(record, name) for name in SESSION_COLUMNS]
        with self.transaction():
            self._db.execute(_SAVE_SESSION, [*values, body(record, SESSION_COLUMNS)])

    def sessions(self, include_ended: bool = False) -> list[SessionRecord]:
        """Oldest first."""
        where = "" if include_ended else "WHERE state != 'ended'"
        columns = ",".join(SESSION_COLUMNS)
        rows = self._db.execute(f"SELECT {columns},body FROM sessions {where} ORDER BY created_at, id")
        return [session_of(row) for row in rows]

    def page_of_sessions(
        self, after: tuple[int, str] | None, limit: int, ended: bool | None = None, begins_with: str = ""
    ) -> list[SessionRecord]:
        """At most `limit` sessions behind a place (`created_at` and id; None: from the first), oldest first. `ended`: only those
        that have ended, or only the others; `begins_with`: the beginning of their ids."""
        where = ["(created_at, id) > (?, ?)"]
        values: list[Any] = [*(after or (-(2**62), ""))]
        if ended is not None:
            where.append("state = 'ended'" if ended else "state != 'ended'")
        if begins_with:
            where.append("id >= ? AND id < ?")
            values += [begins_with, begins_with + "\U0010ffff"]
        columns = ",".join(SESSION_COLUMNS)
        sql = f"SELECT {columns},body FROM sessions WHERE {' AND '.join(where)} ORDER BY created_at, id LIMIT ?"
        return [session_of(row) for row in self._db.execute(sql, (*values, limit))]

    async def every_session(self, ended: bool | None = None, begins_with: str = "") -> list[SessionRecord]:
        """All of them, oldest first, read in pages between which everything else has its turn: there may be thousands."""
        found: list[SessionRecord] = []
        while True:
            last = (found[-1].created_at, found[-1].id) if found else None
            page = self.page_of_sessions(last, PAGE_OF_SESSIONS, ended, begins_with)
            found += page
            if len(page) < PAGE_OF_SESSIONS:
                return found
            await asyncio.sleep(0)

    def open_ones(self) -> tuple[dict[str, tuple[int, int]], list[str]]:
        """The ids of those that are not ended, without reading them: of those that sleep, each with its last generation and
        activity, and of the others."""
        asleep, others = {}, []
        rows = self._db.execute("SELECT id, state, generation, last_activity FROM sessions WHERE state != 'ended'")
        for name, state, generation, last in rows:
            if state == ASLEEP:
                asleep[str(name)] = (int(generation), int(last))
            else:
                others.append(str(name))
        return asleep, others

    async def ended_since(self, at: int) -> list[SessionRecord]:
        """Those that have ended at this time (milliseconds since the epoch) or later, the latest first; read as by
        `every_session`."""
        found: list[SessionRecord] = []
        while page := self.page_of_ended(found[-1] if found else None):
            found += page
            if (page[-1].ended_at or 0) < at:
                break
            await asyncio.sleep(0)
        return [record for record in found if (record.ended_at or 0) >= at]

    def page_of_ended(self, before: SessionRecord | None) -> list[SessionRecord]:
        """PAGE_OF_SESSIONS that ended before this one (None: the last), the latest first."""
        place = (before.ended_at or 0, before.id) if before is not None else (2**62, "")
        columns = ",".join(SESSION_COLUMNS)
        sql = (
            f"SELECT {columns},body FROM sessions WHERE state = 'ended' AND {_ENDED} <= ? AND ({_ENDED}, id) < (?, ?) "
            f"ORDER BY {_ENDED} DESC, id DESC LIMIT {PAGE_OF_SESSIONS}"
        )
        return [session_of(row) for row in self._db.execute(sql, (place[0], *place))]

    def ended_before(self, at: int) -> set[str]:
        """The ids of those that ended before this time, without reading them (measured: 3 ms for 10,000)."""
        sql = f"SELECT id FROM sessions WHERE state = 'ended' AND {_ENDED} < ?"
        return {str(row[0]) for row in self._db.execute(sql, (at,))}

    def session_of_conversation(self, conversation: str) -> SessionRecord | None:
        """The session that has this conversation now, ended or not."""
        columns = ",".join(SESSION_COLUMNS)
        sql = f"SELECT {columns},body FROM sessions WHERE conversation_id=? ORDER BY created_at LIMIT 1"
        row = self._db.execute(sql, (conversation,)).fetchone()
        return session_of(row) if row else None

    def session(self, session_id: str) -> SessionRecord | None:
        """One session, ended or not."""
        columns = ",".join(SESSION_COLUMNS)
        row = self._db.execute(f"SELECT {columns},body FROM sessions WHERE id=?", (session_id,)).fetchone()
        return session_of(row) if row else None

    # -- messages -------------------------------------------------------------------------------------------------------

    def add_message(self, record: MessageRecord) -> None:
        """Append to the session's queue; `ord` and a missing rank are filled in."""
        values = [getattr(record, name) for name in MESSAGE_COLUMNS]
        with self.transaction():
            cursor = self._db.execute(
                f"INSERT INTO messages({','.join(MESSAGE_COLUMNS)},body) VALUES(?,?,?,?,?,?,?,?)",
                [*values, body(record, MESSAGE_COLUMNS)],
            )
            record.ord = int(cursor.lastrowid or 0)
            if not record.rank:
                record.rank = float(record.ord)
                self._db.execute("UPDATE messages SET rank=? WHERE ord=?", (record.rank, record.ord))
            self._note_prompt(record)

    def save_message(self, record: MessageRecord) -> None:
        """Write a message's progress."""
        with self.transaction():
            self._db.execute(
                "UPDATE messages SET state=?, rank=?, body=? WHERE id=?",
                (record.state, record.rank, body(record, MESSAGE_COLUMNS), record.id),
            )
            self._note_prompt(record)

    def rewrite_message(self, record: MessageRecord) -> None:
        """Write another text of a message that waits."""
        with self.transaction():
            self._db.execute(
                "UPDATE messages SET text=?, body=? WHERE id=?", (record.text, body(record, MESSAGE_COLUMNS), record.id)
            )

    def _note_prompt(self, record: MessageRecord) -> None:
        if record.prompt_id:
            self.index.note_prompt(record.session_id, record.prompt_id, record.id)

    def _messages(self, where: str, *values: object, most: float = inf) -> list[MessageRecord]:
        """Those found, up to the one with which there are `most` bytes of them."""
        columns, found = ",".join(MESSAGE_COLUMNS), []
        for row in self._db.execute(f"SELECT {columns},ord,body FROM messages WHERE {where}", values):
            found.append(message_of(row))
            most -= len(row[5]) + len(row[-1])
            if most <= 0:
                break
        return found

    def message(self, message_id: str) -> MessageRecord | None:
        """One message by id."""
        found = self._messages("id=?", message_id)
        return found[0] if found else None

    def messages_by_key(self, keys: list[str]) -> list[MessageRecord]:
        """The messages that have been made under these keys (request_keys), newest first."""
        return self._messages(f"request_key IN ({','.join('?' * len(keys))}) ORDER BY ord DESC", *keys)

    def open_messages(self, session_id: str, limit: int = -1) -> list[MessageRecord]:
        """What is not settled, in the order of sending: what is under way first."""
        return self._messages(f"session_id=? AND {OPEN} ORDER BY {ORDER} LIMIT {int(limit)}", session_id)

    def next_message(self, session_id: str) -> MessageRecord | None:
        """The one under way, or else the next to be sent."""
        return next(iter(self.open_messages(session_id, 1)), None)

    def queued(self, session_id: str, current: str | None, limit: int) -> list[MessageRecord]:
        """Those that wait, in their order, but not `current`; with long ones (PAGE_BYTES) only the first."""
        where = f"session_id=? AND {OPEN} AND {WAITING} ORDER BY {ORDER} LIMIT {int(limit)}"
        return self._messages(where, session_id, current, most=PAGE_BYTES)

    def is_awaited(self, message_id: str, until: Until) -> bool:
        """Whether a message has still to come as far as somebody waits for."""
        if until == "replied" and (found := self.message(message_id)) is not None and "replied" in found.steps:
            return False
        return self.is_open(message_id)

    def is_open(self, message_id: str) -> bool:
        """Whether a message has still to be settled."""
        return self._db.execute(f"SELECT 1 FROM messages WHERE id=? AND {OPEN}", (message_id,)).fetchone() is not None

    def count_open(self, session_id: str) -> int:
        """How many messages are not settled."""
        return self.index.count(session_id)

    def messages(
        self, session_id: str, after: str | None, limit: int, state: str | None = None
    ) -> tuple[list[MessageRecord], bool]:
        """A page, oldest first, behind the message `after`, and whether more follows. With long messages (PAGE_BYTES) it holds
        fewer than `limit`."""
        where, values = "session_id=?", [session_id]
        if state:
            where += " AND state=?"
            values.append(state)
        start = self._db.execute("SELECT ord FROM messages WHERE id=?", (after,)).fetchone() if after else None
        first = int(start[0]) if start else 0
        page = self._messages(f"{where} AND ord > ? ORDER BY ord LIMIT {int(limit)}", *values, first, most=PAGE_BYTES)
        last = page[-1].ord if page else first
        rest = self._db.execute(f"SELECT 1 FROM messages WHERE {where} AND ord > ? LIMIT 1", (*values, last))
        return page, rest.fetchone() is not None

    def by_prompt(self, session_id: str, prompt_ids: Iterable[str]) -> dict[str, MessageRecord]:
        """The messages of a session by those of these prompt ids that Claude gave them."""
        known = [self.message(message_id) for message_id in self.index.of_prompts(session_id, prompt_ids)]
        return {message.prompt_id: message for message in known if message is not None and message.prompt_id}

    def commands(self, session_id: str, texts: Iterable[str]) -> list[MessageRecord]:
        """The slash commands of a session that were these, in the order of sending."""
        wanted = sorted(set(texts))[:1000]
        marks = ",".join("?" * len(wanted))
        found = (
            self._messages(f"session_id=? AND text IN ({marks}) ORDER BY ord", session_id, *wanted) if wanted else []
        )
        return [message for message in found if message.kind == "command"]

    def step_latencies(self, limit: int = 1000) -> list[dict[str, int]]:
        """The steps of the newest answered messages, for percentiles."""
        rows = self._db.execute(
            "SELECT body FROM messages WHERE state='answered' ORDER BY ord DESC LIMIT ?", (limit,)
        ).fetchall()
        return [msgspec.json.decode(row[0]).get("steps", {}) for row in rows]

    def take_messages(self, session_id: str, records: Iterable[MessageRecord]) -> None:
        """These are the session's messages now, in this order of sending; what has come from another node. A key that was used
        here for something else stays with that."""
        queue = sorted(
            records, key=lambda one: (one.state in OPEN_STATES, one.rank if one.state in OPEN_STATES else one.ord)
        )
        with self.transaction():
            self._db.execute("DELETE FROM prompts WHERE session_id=?", (session_id,))
            self._db.execute("DELETE FROM messages WHERE session_id=?", (session_id,))
            for record in queue:
                if record.request_key is not None and self.messages_by_key([record.request_key]):
                    record.request_key = None
                record.rank = 0.0
                self.add_message(record)

    # -- drafts ------------------------------------------------------------------------------------------------------

    def draft(self, session_id: str) -> str | None:
        """What was kept of what somebody has begun to write in a session."""
        return self.meta(_DRAFT + session_id)

    def keep_draft(self, session_id: str, kept: str | None) -> None:
        """Keep it; None: there is none any more."""
        if kept is None:
            self.drop_meta(_DRAFT + session_id)
        else:
            self.set_meta(_DRAFT + session_id, kept)

    def forget_drafts(self, ended_before: int) -> None:
        """Those of sessions that ended before this time (milliseconds since the epoch) are written on by nobody."""
        with self.transaction():
            self._db.execute(
                "DELETE FROM meta WHERE key > ? AND key < ? AND SUBSTR(key, ?) IN "
                "(SELECT id FROM sessions WHERE state = 'ended' AND ended_at < ?)",
                (_DRAFT, _DRAFT + "\U0010ffff", len(_DRAFT) + 1, ended_before),
            )
