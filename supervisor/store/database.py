"""The database itself: its connection and transactions, the journal of events, reading positions, and what is kept by a name.

One connection, one thread, write-ahead log. What was promised to a client is synced (`durable=True`: `synchronous=FULL`);
everything else survives a crash of the supervisor, and a machine crash sets it back at most a moment, which recovery from
transcript and hook log repairs. Events appended in a transaction get their sequence number there and are published
after the commit: a number that was seen is never given twice, and none is skipped.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any

import msgspec

from shared.bus.event_data import EventData, data_of
from shared.bus.messages import Event
from shared.errors import StorageFailed
from supervisor import clock
from supervisor.store.event_journal import EventJournal, now_ms
from supervisor.store.migrations import STEPS, Step, migrate
from supervisor.store.notification_tables import NotificationStore
from supervisor.store.sqlite import connect, refused
from supervisor.store.wal import WriteAheadLog

_log = logging.getLogger("pilotlight.supervisor")

NOTED_SECONDS = 3600.0
"""How often what the clocks say is written down."""

_JOURNAL = "journal_size"

PROBE_BYTES = 256 * 1024

STRETCH_OF_EVENTS = 5000
"""How many are looked at without a pause (measured: 3 ms; of 200,000 at once 120, and 340 for an actor)."""


class Database:
    """One file of SQLite, and what is in it beside sessions and messages. Used from the supervisor's loop only."""

    def __init__(self, path: Path, steps: Sequence[Step] = STEPS) -> None:
        self._path = path
        self._depth = 0
        self._known: clock.Known | None = None
        self._noted = -inf
        self._journal_noted = ""
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
            self.journal = EventJournal(self._db, self.meta(_JOURNAL))
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

    def release_memory(self) -> bool:
        """Let go of the pages that SQLite keeps, and of what the log has too much. False: nothing that needs to be told."""
        with suppress(StorageFailed):  # what is wrong with the database is found where it matters
            self._db.execute("PRAGMA shrink_memory")
            self.wal.shrink()
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._journal_noted:
            with suppress(StorageFailed):  # what is not noted is measured by the next
                self._note_journal()
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

    # -- events ---------------------------------------------------------------------------------------------------------

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

    def events_before(self, seq: int | None, limit: int, session: str, kinds: list[str] | None) -> list[Event]:
        """Events of a session in front of `seq` (None: all), newest first."""
        return self.journal.before(seq, limit, session, kinds)

    async def find_events(
        self, seq: int, limit: int, session: str | None, kinds: list[str] | None, until: int
    ) -> list[Event]:
        """As `events`, up to `until`, looked for in stretches between which everything else has its turn: what is asked for may
        be rare."""
        found: list[Event] = []
        place = max(seq, self.oldest() - 1)
        while place < until and len(found) < limit:
            if session:
                following = self.journal.next_of(session, place)
                if following is None:
                    break
                place = following - 1
            end = min(until, place + STRETCH_OF_EVENTS)
            found += self.journal.since(place, limit - len(found), session, kinds, end)
            place = end
            await asyncio.sleep(0)
        return found

    async def find_events_before(
        self, seq: int | None, limit: int, session: str | None, kinds: list[str] | None, actor: str | None = None
    ) -> list[Event]:
        """As `events_before`, in stretches as `find_events`; of one actor, if it is named."""
        found: list[Event] = []
        place, oldest = min(self.head() + 1, self.head() + 1 if seq is None else seq), self.oldest()
        while place > oldest and len(found) < limit:
            if session:
                last = self.journal.last_of(session, place)
                if last is None:
                    break
                place = last + 1
            begin = max(oldest, place - STRETCH_OF_EVENTS)
            found += self.journal.before(place, limit - len(found), session, kinds, actor, begin)
            place = begin
            await asyncio.sleep(0)
        return found

    def prune(self, keep_days: float, keep_count: int, keep_mb: float = inf) -> None:
        """Drop what the journal no longer keeps, and idempotency keys older than a week. Cheap when there is nothing to
        drop."""
        present = self.removal_ms()
        first = self.journal.surplus(present - int(keep_days * 86_400_000), keep_count, keep_mb * 1024 * 1024)
        if first is not None:
            with self.transaction():
                self.journal.drop(first)
        self._note_journal()
        before = present - 7 * 86_400_000
        if self._db.execute("SELECT 1 FROM keys WHERE at < ? LIMIT 1", (before,)).fetchone():
            with self.transaction():
                self._db.execute("DELETE FROM keys WHERE at < ?", (before,))

    def _note_journal(self) -> None:
        noted = self.journal.note()
        if noted != self._journal_noted:
            self.set_meta(_JOURNAL, noted)
            self._journal_noted = noted

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

    # -- reading positions, keys, settings ------------------------------------------------------------------------------

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

    def transcript_positions(self, session_id: str) -> dict[str, int]:
        """How far the transcripts of a session were read."""
        sql = "SELECT name, position FROM tails WHERE session_id=? AND name LIKE 'transcript:%'"
        return {str(name): int(position) for name, position in self._db.execute(sql, (session_id,))}

    def keys_of(self, session_id: str) -> dict[str, msgspec.Raw]:
        """What requests about this session were answered, by their keys (idempotency.name)."""
        rows = self._db.execute("SELECT key, result FROM keys WHERE instr(key, ?)", (f" {session_id} ",))
        return {str(key): msgspec.Raw(result) for key, result in rows}

    def take_keys(self, keys: dict[str, msgspec.Raw]) -> None:
        """Answers that another node has given."""
        with self.transaction():
            for key, result in keys.items():
                self._db.execute("INSERT OR REPLACE INTO keys VALUES(?,?,?)", (key, now_ms(), bytes(result)))

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

    def metas(self, prefix: str) -> list[str]:
        """All settings whose name begins so."""
        rows = self._db.execute("SELECT value FROM meta WHERE key > ? AND key < ?", (prefix, prefix + "\U0010ffff"))
        return [str(value) for (value,) in rows]

    def drop_meta(self, key: str) -> None:
        """Forget one setting."""
        with self.transaction():
            self._db.execute("DELETE FROM meta WHERE key=?", (key,))

    def set_meta(self, key: str, value: str) -> None:
        """Store one setting."""
        with self.transaction():
            self._db.execute("INSERT OR REPLACE INTO meta VALUES(?,?)", (key, value))
