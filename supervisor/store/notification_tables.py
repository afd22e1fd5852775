"""What notifications must not forget, in the database: recipients, notices (the log), notes that wait to be sent, links, replies.

Rows are JSON that `supervisor.notifications` makes; here they have keys, times and bounds. What must not regress: a recipient is
told once of one event (the key of a notice is unique for it); the log is bounded.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from supervisor.store.sqlite import Connection

KEEP_NOTICES = 2000


class NotificationStore:
    """The tables. Every change is a transaction of the store's, or joins the one that is open."""

    def __init__(self, db: Connection, transaction: Callable[..., AbstractContextManager[None]]) -> None:
        self._db = db
        self._transaction = transaction

    # -- recipients ---------------------------------------------------------------------------------------------------

    def recipients(self) -> list[bytes]:
        """All registrations, oldest first."""
        return [row[0] for row in self._db.execute("SELECT body FROM recipients ORDER BY rowid")]

    def save_recipient(self, recipient_id: str, body: bytes) -> None:
        """Insert or change."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO recipients VALUES(?,?) ON CONFLICT(id) DO UPDATE SET body=excluded.body",
                (recipient_id, body),
            )

    def remove_recipient(self, recipient_id: str) -> None:
        """Forget it, and what was to be sent to it. What it was told stays in the log."""
        with self._transaction():
            self._db.execute("DELETE FROM recipients WHERE id=?", (recipient_id,))
            self._db.execute("DELETE FROM outbox WHERE recipient=?", (recipient_id,))
            self._db.execute("DELETE FROM reply_wishes WHERE recipient=?", (recipient_id,))
            self._db.execute("UPDATE notices SET live=0 WHERE recipient=? AND live=1", (recipient_id,))

    # -- notices ---------------------------------------------------------------------------------------------------

    def notice(self, recipient: str, key: str) -> bytes | None:
        """One."""
        row = self._db.execute("SELECT body FROM notices WHERE recipient=? AND key=?", (recipient, key)).fetchone()
        return row[0] if row else None

    def save_notice(self, recipient: str, key: str, live: bool, body: bytes) -> None:
        """Insert or change one."""
        with self._transaction():
            self._db.execute(
                "INSERT INTO notices(recipient,key,live,body) VALUES(?,?,?,?) "
                "ON CONFLICT(recipient,key) DO UPDATE SET live=excluded.live, body=excluded.body",
                (recipient, key, int(live), body),
            )

    def live_notices(self, recipient: str) -> list[bytes]:
        """Those that something may still happen to."""
        rows = self._db.execute("SELECT body FROM notices WHERE recipient=? AND live=1 ORDER BY ord", (recipient,))
        return [row[0] for row in rows]

    def notices(self, limit: int, recipient: str | None = None) -> list[bytes]:
        """The log, newest first."""
        where, values = ("WHERE recipient=? ", [recipient]) if recipient is not None else ("", [])
        rows = self._db.execute(f"SELECT body FROM notices {where}ORDER BY ord DESC LIMIT ?", (*values, limit))
        return [row[0] for row in rows]

    def prune_notices(self) -> None:
        """Keep the log within its bound."""
        row = self._db.execute("SELECT MAX(ord) FROM notices").fetchone()
        last = int(row[0] or 0) - KEEP_NOTICES
        if self._db.execute("SELECT 1 FROM notices WHERE ord <= ? AND live=0 LIMIT 1", (last,)).fetchone():
            with self._transaction():
                self._db.execute("DELETE FROM notices WHERE ord <= ? AND live=0", (last,))

    # -- the outbox ------------------------------------------------------------------------------------------------

    def outbox(self) -> list[tuple[str, str, bytes]]:
        """(recipient, tag, note) of all that waits to be sent, oldest first."""
        return list(self._db.execute("SELECT recipient,tag,body FROM outbox ORDER BY ord"))

    def put(self, recipient: str, tag: str, body: bytes) -> None:
        """Have this sent, instead of what waits under the same tag."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO outbox(recipient,tag,body) VALUES(?,?,?)", (recipient, tag, body))

    def take(self, recipient: str, tag: str) -> None:
        """It is sent, or will never be."""
        with self._transaction():
            self._db.execute("DELETE FROM outbox WHERE recipient=? AND tag=?", (recipient, tag))

    # -- links and replies -----------------------------------------------------------------------------------------

    def add_link(self, hashed: str, expires: int, body: bytes, now: int) -> None:
        """Remember a link by its hash; those that are over are forgotten."""
        with self._transaction():
            self._db.execute("DELETE FROM answer_links WHERE expires < ?", (now - 86_400_000,))
            self._db.execute("INSERT OR REPLACE INTO answer_links VALUES(?,?,?)", (hashed, expires, body))

    def link(self, hashed: str) -> tuple[int, bytes] | None:
        """When a link ends, and what it is for."""
        row = self._db.execute("SELECT expires, body FROM answer_links WHERE hash=?", (hashed,)).fetchone()
        return (int(row[0]), row[1]) if row else None

    def save_link(self, hashed: str, body: bytes) -> None:
        """Change what is known of a link."""
        with self._transaction(durable=True):
            self._db.execute("UPDATE answer_links SET body=? WHERE hash=?", (body, hashed))

    def wish_reply(self, message: str, recipient: str) -> None:
        """This recipient wants the reply to this message."""
        with self._transaction():
            self._db.execute("INSERT OR REPLACE INTO reply_wishes VALUES(?,?)", (message, recipient))

    def reply_wish(self, message: str) -> str | None:
        """The recipient that wants it."""
        row: Any = self._db.execute("SELECT recipient FROM reply_wishes WHERE message=?", (message,)).fetchone()
        return str(row[0]) if row else None

    def forget_wish(self, message: str) -> None:
        """It has it."""
        with self._transaction():
            self._db.execute("DELETE FROM reply_wishes WHERE message=?", (message,))
