"""The event journal in the database: numbered without gaps, kept within bounds of age, number and bytes.

The store owns the connection and begins and ends its transactions; it tells the journal how each of them ended. What
must not regress: a number that was seen is never given twice, and none is skipped; only the beginning is ever dropped, so
that what is missing is one gap; a health pass looks at what it drops and at nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shared.bus.messages import VERSION, Event
from supervisor import clock
from supervisor.store.sqlite import Connection

DROPPED_AT_ONCE = 5000
"""How many go in one health pass (measured: 20 ms): after a long absence, or with smaller bounds, the rest goes in the next."""

ROW_BYTES = 128
"""What an event takes beside its data: number, time, kind, session, and the session's entry in the index."""


def now_ms() -> int:
    """Milliseconds since the epoch."""
    return int(clock.wall() * 1000)


class EventJournal:
    """The events. `head` is the newest number that is committed, `bytes` what all that are kept take, roughly."""

    def __init__(self, db: Connection, noted: str | None = None) -> None:
        self._db = db
        self.epoch = self.node = ""
        self._outgoing: list[Event] = []
        self._incoming_bytes = 0
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name='events'").fetchone()
        self.head = int(row[0]) if row else 0
        self.bytes = self._size(noted)

    def note(self) -> str:
        """What the next program needs, so that it does not measure everything (two million events: a second): the first and the
        last number that is kept, and the bytes of all between them."""
        return f"{self.oldest()} {self.head} {self.bytes}"

    def _size(self, noted: str | None) -> int:
        """By what was noted and what came since; by everything, when something was dropped since, or nothing was noted. SQLite
        tells lengths without reading the data."""
        words = (noted or "").split()
        if len(words) == 3 and all(word.isdecimal() for word in words):
            oldest, last, size = map(int, words)
            if oldest == self.oldest() and last <= self.head:
                return size + self._measure(f"seq > {last}")
        return self._measure("seq >= 0")

    def append(self, kind: str, session: str | None, data: dict[str, Any]) -> None:
        """Add an event, within a transaction."""
        at, body = now_ms(), msgspec.json.encode(data)
        cursor = self._db.execute("INSERT INTO events(at,kind,session,data) VALUES(?,?,?,?)", (at, kind, session, body))
        self._incoming_bytes += len(body) + ROW_BYTES
        self._outgoing.append(self._event(int(cursor.lastrowid or 0), at, kind, session, data))

    def committed(self) -> list[Event]:
        """The transaction holds: what it has added, to be published."""
        events, self._outgoing = self._outgoing, []
        self.bytes, self._incoming_bytes = self.bytes + self._incoming_bytes, 0
        if events:
            self.head = events[-1].seq
        return events

    def undone(self) -> None:
        """The transaction never was."""
        self._outgoing.clear()
        self._incoming_bytes = 0

    def next_of(self, session: str, seq: int) -> int | None:
        """The number of the first event of a session behind another; None when there is none. From the index alone."""
        row = self._db.execute("SELECT MIN(seq) FROM events WHERE session = ? AND seq > ?", (session, seq)).fetchone()
        return None if row[0] is None else int(row[0])

    def last_of(self, session: str, seq: int) -> int | None:
        """The number of the last event of a session in front of another; None when there is none."""
        row = self._db.execute("SELECT MAX(seq) FROM events WHERE session = ? AND seq < ?", (session, seq)).fetchone()
        return None if row[0] is None else int(row[0])

    def oldest(self) -> int:
        """The oldest number that is kept."""
        row = self._db.execute("SELECT MIN(seq) FROM events").fetchone()
        return int(row[0]) if row[0] is not None else self.head + 1

    def since(
        self, seq: int, limit: int, session: str | None, kinds: list[str] | None, until: int | None = None
    ) -> list[Event]:
        """Events behind a number, oldest first; up to `until`, which is one of them, if it is given."""
        where, values = "seq > ?", [seq]  # type: tuple[str, list[Any]]
        if until is not None:
            where += " AND seq <= ?"
            values.append(until)
        if session:
            where += " AND session = ?"
            values.append(session)
        if kinds:
            where += f" AND kind IN ({','.join('?' * len(kinds))})"
            values += kinds
        return self._read(f"{where} ORDER BY seq", limit, values)

    def before(
        self,
        seq: int | None,
        limit: int,
        session: str | None,
        kinds: list[str] | None,
        actor: str | None = None,
        down_to: int = 0,
    ) -> list[Event]:
        """Events in front of a number (None: all), newest first, down to another one. `actor`: those that it did."""
        where, values = "seq >= ?", [down_to]  # type: tuple[str, list[Any]]
        if seq is not None:
            where += " AND seq < ?"
            values.append(seq)
        if session:
            where += " AND session = ?"
            values.append(session)
        if kinds:
            where += f" AND kind IN ({','.join('?' * len(kinds))})"
            values += kinds
        if actor:
            where += " AND INSTR(data, ?)"  # most are refused without being parsed (measured: a sixth of the time)
            values.append(msgspec.json.encode(actor))
            where += " AND ? IN (CAST(data AS TEXT) ->> '$.actor', CAST(data AS TEXT) ->> '$.by')"
            values.append(actor)
        return self._read(f"{where} ORDER BY seq DESC", limit, values)

    def surplus(self, since: int, keep_count: int, keep_bytes: float) -> int | None:
        """The number before which everything has to go now, so that nothing is older than `since` (milliseconds since the epoch),
        or the first part of it (DROPPED_AT_ONCE); None when nothing has to."""
        oldest = self.oldest()
        end = min(oldest + DROPPED_AT_ONCE, self.head + 1)
        row = self._db.execute(
            "SELECT seq FROM events WHERE seq < ? AND at >= ? ORDER BY seq LIMIT 1", (end, since)
        ).fetchone()
        first = max(row[0] if row else end, self.head - keep_count + 1, self._first_within(keep_bytes, end))
        first = min(first, end)
        return first if first > oldest else None

    def drop(self, before: int) -> None:
        """Drop the beginning, within a transaction."""
        self._incoming_bytes -= self._measure(f"seq < {int(before)}")
        self._db.execute("DELETE FROM events WHERE seq < ?", (before,))

    def _first_within(self, keep_bytes: float, end: int) -> int:
        excess = self.bytes - keep_bytes
        if excess <= 0:
            return 0
        for seq, size in self._db.execute("SELECT seq, LENGTH(data) FROM events WHERE seq < ? ORDER BY seq", (end,)):
            excess -= size + ROW_BYTES
            if excess <= 0:
                return int(seq) + 1
        return end

    def _read(self, where: str, limit: int, values: list[Any]) -> list[Event]:
        rows = self._db.execute(f"SELECT seq,at,kind,session,data FROM events WHERE {where} LIMIT ?", (*values, limit))
        return [
            self._event(number, at, kind, owner, msgspec.json.decode(data)) for number, at, kind, owner, data in rows
        ]

    def _measure(self, where: str) -> int:
        row = self._db.execute(f"SELECT COUNT(*), SUM(LENGTH(data)) FROM events WHERE {where}").fetchone()
        return int(row[0]) * ROW_BYTES + int(row[1] or 0)

    def _event(self, seq: int, at: int, kind: str, session: str | None, data: dict[str, Any]) -> Event:
        return Event(v=VERSION, epoch=self.epoch, seq=seq, at=at, kind=kind, session=session, data=data, node=self.node)
