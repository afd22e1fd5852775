"""The database: sessions, messages, reading positions, settings, and the journal of events (`event_journal`).

One connection, one thread, write-ahead log. What was promised to a client is synced (`durable=True`: `synchronous=FULL`);
everything else survives a crash of the supervisor, and a machine crash sets it back at most a moment, which recovery from
transcript and hook log repairs. Events appended in a transaction get their sequence number there and are published
after the commit: a number that was seen is never given twice, and none is skipped.
Over 400 lines: every statement on sessions and messages stands here; what is no statement is in the room's other modules.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from shared.bus.event_data import EventData, data_of
from shared.bus.messages import Event, Until
from shared.errors import StorageFailed
from supervisor import clock
from supervisor.store.event_journal import EventJournal, now_ms
from supervisor.store.message_index import OPEN, ORDER, WAITING, MessageIndex
from supervisor.store.migrations import STEPS, Step, migrate
from supervisor.store.notification_tables import NotificationStore
from supervisor.store.records import MessageRecord, SessionRecord
from supervisor.store.rows import MESSAGE_COLUMNS, SESSION_COLUMNS, body, message_of, session_of
from supervisor.store.sqlite import Damaged, connect, refused
from supervisor.store.wal import WriteAheadLog

_log = logging.getLogger("pilotlight.supervisor")

NOTED_SECONDS = 3600.0
"""How often what the clocks say is written down."""

__all__ = ["Damaged", "MessageRecord", "SessionRecord", "Store", "now_ms"]

_SAVE_SESSION = (
    f"INSERT INTO sessions({','.join(SESSION_COLUMNS)},body) VALUES({','.join('?' * (len(SESSION_COLUMNS) + 1))}) "
    f"ON CONFLICT(id) DO UPDATE SET {','.join(f'{name}=excluded.{name}' for name in (*SESSION_COLUMNS[1:], 'body'))}"
)

PROBE_BYTES = 256 * 1024
PAGE_OF_SESSIONS = 100
"""How many are read without a pause (measured: 4 ms)."""

PAGE_BYTES = 4 * 1024 * 1024
"""How much of messages is read for one page: whoever asks for more gets the rest with the next."""


class Store:
    """Everything that must survive. Used from the supervisor's loop only."""

    def __init__(self, path: Path, steps: Sequence[Step] = STEPS) -> None:
        self._path = path
        self._depth = 0
        self._known: clock.Known | None = None
        self._noted = -inf
        self.publish: Callable[[list[Event]], None] = lambda events: None
        """Told of what is kept; what it raises is logged and undoes nothing (publishing.Publisher)."""

        self.refusal: StorageFailed | None = None
        try:
            self._db = connect(path)
        except sqlite3.Error as error:
            raise refused(error) from error
        try:
            path.chmod(0o600)
            self.migration = migrate(self._db, path, steps)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.execute("PRAGMA wal_autocheckpoint=500")
            self._db.execute("PRAGMA cache_size=-1000")  # kB; the machine keeps the file's pages anyway
            self._db.execute("INSERT OR IGNORE INTO meta VALUES('epoch', ?)", (uuid.uuid4().hex[:12],))
            self.journal = EventJournal(self._db)
            self.index = MessageIndex(self._db)
            self.wal = WriteAheadLog(self._db, path)
            self.notifications = NotificationStore(self._db, self.transaction)
        except OSError as error:
            self._db.close()
            raise StorageFailed(f"The database {path} cannot be opened: {error.strerror}.") from error
        except BaseException:
            self._db.close()
            raise
        self.epoch = self.journal.epoch = self.meta("epoch") or ""

    def probe(self) -> None:
        """Raise StorageFailed unless a write of some size succeeds now; then the last refusal is forgotten."""
        self.set_meta("probe", "." * PROBE_BYTES)
        self.set_meta("probe", "")
        self.refusal = None

    def verify(self) -> None:
        """Raise Damaged when the file's structure is not sound (measured: 60 ms for 67 MB), or a session cannot be read."""
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if found is None or found[0] != "ok":
            raise Damaged(
                f"The database {self._path} is damaged: {' '.join(str((found or ['unreadable'])[0]).split())}."
            )
        for record in self.sessions():
            self.open_messages(record.id)

    @classmethod
    def remains(cls, path: Path) -> tuple[list[SessionRecord], list[MessageRecord]]:
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

    def release_memory(self) -> bool:
        """Let go of the pages that SQLite keeps, and of what the log has too much. False: nothing that needs to be told."""
        with suppress(StorageFailed):  # what is wrong with the database is found where it matters
            self._db.execute("PRAGMA shrink_memory")
            self.wal.shrink()
        return False

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    @contextmanager
    def transaction(self, durable: bool = False) -> Iterator[None]:
        """All or nothing, then publish. Nested uses join the outer one. Raise StorageFailed when the disk refuses."""
        if self._depth:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
            return
        if durable:
            self._db.execute("PRAGMA synchronous=FULL")
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._depth = 1
            yield
            self._db.execute("COMMIT")
        except BaseException as error:
            self.journal.undone()
            if isinstance(error, StorageFailed):
                self.refusal = self.refusal or error
            if self._db.in_transaction:
                with suppress(StorageFailed):
                    self._db.execute("ROLLBACK")
            raise
        finally:
            self._depth = 0
            if durable:
                self._db.execute("PRAGMA synchronous=NORMAL")
        if events := self.journal.committed():
            try:
                self.publish(events)
            except Exception:  # the boundary: our callers undo in memory what fails here, and this is kept
                _log.exception("publishing_failed", extra={"fields": {"seq": events[0].seq}})

    # -- sessions ------------------------------------------------------------------------------------------------

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
        where, values = ["(created_at, id) > (?, ?)"], [*(after or (-(2**62), ""))]  # type: tuple[list[str], list[Any]]
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

    # -- messages ------------------------------------------------------------------------------------------------

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
        known = [self.message(identity) for identity in self.index.of_prompts(session_id, prompt_ids)]
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

    # -- events --------------------------------------------------------------------------------------------------

    def append(self, event: EventData | str, session: str | None = None, data: dict[str, Any] | None = None) -> None:
        """Add to the journal; published when the transaction commits. By its name and `data` only what has no type: a kind of
        another release."""
        kind, said = (event, data or {}) if isinstance(event, str) else (event.kind, data_of(event))
        with self.transaction():
            self.journal.append(kind, session, said)

    def head(self) -> int:
        """The newest sequence number that is committed."""
        return self.journal.head

    def oldest(self) -> int:
        """The oldest sequence number that is kept."""
        return self.journal.oldest()

    def events(self, since: int, limit: int, session: str | None, kinds: list[str] | None) -> list[Event]:
        """Events behind `since`, oldest first."""
        return self.journal.since(since, limit, session, kinds)

    def events_before(
        self, seq: int | None, limit: int, session: str | None, kinds: list[str] | None, actor: str | None = None
    ) -> list[Event]:
        """Events in front of `seq` (None: all), newest first; of one actor, if it is named."""
        return self.journal.before(seq, limit, session, kinds, actor)

    def count_events(self) -> dict[str, int]:
        """How many events of each kind are kept."""
        return self.journal.count()

    def prune(self, keep_days: float, keep_count: int, keep_mb: float = inf) -> None:
        """Drop what the journal no longer keeps, and idempotency keys older than a week. Cheap when there is nothing to
        drop."""
        present = self.removal_ms()
        first = self.journal.surplus(present - int(keep_days * 86_400_000), keep_count, keep_mb * 1024 * 1024)
        if first is not None:
            with self.transaction():
                self.journal.drop(first)
        before = present - 7 * 86_400_000
        if self._db.execute("SELECT 1 FROM keys WHERE at < ? LIMIT 1", (before,)).fetchone():
            with self.transaction():
                self._db.execute("DELETE FROM keys WHERE at < ?", (before,))

    def removal_ms(self) -> int:
        """The time (milliseconds since the epoch) by which is judged what is removed by its age: `clock.believed`."""
        with suppress(StorageFailed):
            if self._known is None and (stored := self.meta("clock")):
                self._known = msgspec.json.decode(stored, type=clock.Known)
        present, known = clock.believed(self._known)
        if self._known is None or known.boot != self._known.boot or known.wall - self._noted > NOTED_SECONDS:
            with suppress(StorageFailed):  # what is remembered in memory has to do until the database takes words again
                self.set_meta("clock", msgspec.json.encode(known).decode())
                self._noted = known.wall
        self._known = known
        return int(present * 1000)

    # -- reading positions, keys, settings ---------------------------------------------------------------------------

    def position(self, session_id: str, name: str) -> int:
        """How far a log of a session was read."""
        row = self._db.execute(
            "SELECT position FROM tails WHERE session_id=? AND name=?", (session_id, name)
        ).fetchone()
        return int(row[0]) if row else 0

    def set_position(self, session_id: str, name: str, position: int) -> None:
        """Remember how far a log was read, in the transaction of its effects."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO tails VALUES(?,?,?)", (session_id, name, position))

    def forget_positions(self, session_id: str) -> None:
        """The logs in a session's folder are gone; where its transcripts were read to stays true."""
        with self.transaction():
            self._db.execute("DELETE FROM tails WHERE session_id=? AND name NOT LIKE 'transcript:%'", (session_id,))

    def recall(self, key: str) -> Any:
        """What a request with this key was answered; None when it is new."""
        row = self._db.execute("SELECT result FROM keys WHERE key=?", (key,)).fetchone()
        return msgspec.json.decode(row[0]) if row else None

    def remember(self, key: str, result: Any) -> None:
        """Keep the answer for repeats of the request."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO keys VALUES(?,?,?)", (key, now_ms(), msgspec.json.encode(result)))

    def meta(self, key: str) -> str | None:
        """One setting."""
        row = self._db.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return str(row[0]) if row else None

    def drop_meta(self, key: str) -> None:
        """Forget one setting."""
        with self.transaction():
            self._db.execute("DELETE FROM meta WHERE key=?", (key,))

    def set_meta(self, key: str, value: str) -> None:
        """Store one setting."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES(?,?)", (key, value))
