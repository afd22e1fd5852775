"""What finds messages without reading them: their order in a session's queue, how far on each is, and which prompt is whose.

A message may be as long as a book, and a session may have a thousand that wait: whoever asks for a place, a count or the next
one gets it from an index (migrations.py makes them; a partial one is of use to a query that says OPEN in its words). What must
not regress: nothing here reads a message, or looks at more entries than the queue has, and a move writes one row.
"""

from __future__ import annotations

from collections.abc import Iterable

from supervisor.store.records import MessageRecord
from supervisor.store.sqlite import Connection

OPEN_STATES = ("accepted", "queued", "typed", "submitted")
OPEN = f"state IN ({','.join(repr(state) for state in OPEN_STATES)})"
ORDER = "state NOT IN ('typed','submitted'), rank, ord"
"""The order of sending: what is under way first."""

WAITING = "state='queued' AND id IS NOT ?"
"""Neither typed nor the one that is being handed over."""

_AT_ONCE = 500
"""How many prompts are asked for in one statement."""


class MessageIndex:
    """The queues of all sessions. The store owns the connection and its transactions."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def count(self, session_id: str) -> int:
        """How many messages are not settled."""
        row = self._db.execute(f"SELECT COUNT(*) FROM messages WHERE session_id=? AND {OPEN}", (session_id,)).fetchone()
        return int(row[0])

    def order(self, session_id: str) -> dict[int, int]:
        """The place of every message that is not settled, by its `ord`; 0 is the one under way, or the next."""
        rows = self._db.execute(
            f"SELECT ord FROM messages WHERE session_id=? AND {OPEN} ORDER BY {ORDER}", (session_id,)
        )
        return {row[0]: place for place, row in enumerate(rows)}

    def position(self, record: MessageRecord) -> int | None:
        """0 for the message under way, then 1, 2 ...; None once it is settled."""
        if record.state not in OPEN_STATES:
            return None
        waits = record.state not in ("typed", "submitted")
        row = self._db.execute(
            f"SELECT COUNT(*) FROM messages WHERE session_id=? AND {OPEN} AND ({ORDER}) < (?, ?, ?)",
            (record.session_id, waits, record.rank, record.ord),
        ).fetchone()
        return int(row[0])

    def lowest_rank(self, session_id: str) -> float | None:
        """The rank before all that are not settled; None when there are none."""
        row = self._db.execute(
            f"SELECT MIN(rank) FROM messages WHERE session_id=? AND {OPEN}", (session_id,)
        ).fetchone()
        return None if row[0] is None else float(row[0])

    def waiting(self, session_id: str, current: str | None) -> list[tuple[int, float]]:
        """(ord, rank) of those that wait in a queue, in their order: neither typed nor `current`, which is being handed over."""
        rows = self._db.execute(
            f"SELECT ord, rank FROM messages WHERE session_id=? AND {OPEN} AND {WAITING} ORDER BY {ORDER}",
            (session_id, current),
        )
        return [(int(number), float(rank)) for number, rank in rows]

    def move(self, waiting: list[tuple[int, float]], moved: int, position: int, after: float | None) -> list[int]:
        """Put the message with this `ord` at a place among those that wait, none of them at or before the rank `after`; return
        their new order. Within a transaction. One row is written, or all when there is no number left between two ranks."""
        others = [(number, rank) for number, rank in waiting if number != moved]
        place = min(position, len(others))
        before = others[place - 1][1] if place else after
        behind = others[place][1] if place < len(others) else self._behind_all()
        rank = behind - 1.0 if before is None else (before + behind) / 2.0
        order = [number for number, _ in others]
        order.insert(place, moved)
        if before is None or before < rank < behind:
            self._rank([(rank, moved)])
        else:
            self._spread(order, after)
        return order

    def _spread(self, order: list[int], after: float | None) -> None:
        end = self._behind_all()
        start = after if after is not None else end - len(order) - 1.0
        step = (end - start) / (len(order) + 1)
        self._rank([(start + step * (place + 1), number) for place, number in enumerate(order)])

    def _behind_all(self) -> float:
        """The rank that the next message gets; all others are before it."""
        row = self._db.execute("SELECT seq FROM sqlite_sequence WHERE name='messages'").fetchone()
        return float(row[0] if row else 0) + 1.0

    def _rank(self, ranks: Iterable[tuple[float, int]]) -> None:
        for rank, number in ranks:
            self._db.execute("UPDATE messages SET rank=? WHERE ord=?", (rank, number))

    # -- prompts -----------------------------------------------------------------------------------------------------

    def note_prompt(self, session_id: str, prompt_id: str, message_id: str) -> None:
        """Claude has given a message this prompt id. Within a transaction."""
        self._db.execute("INSERT OR REPLACE INTO prompts VALUES(?,?,?)", (session_id, prompt_id, message_id))

    def of_prompts(self, session_id: str, prompt_ids: Iterable[str]) -> list[str]:
        """The messages that have had one of these prompt ids."""
        wanted, found = sorted(set(prompt_ids)), []
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows = self._db.execute(
                f"SELECT message FROM prompts WHERE session_id=? AND prompt_id IN ({marks})", (session_id, *some)
            )
            found += [str(row[0]) for row in rows]
        return found
