"""The key of one request for permission: known to its hook, which made it, and to us, so that nobody else answers it.

The hook leaves it in a file beside its request. What must not regress: the file is gone as soon as the request is read, and
what the next supervisor needs to answer is in the database, not among what a session is told to write to.
"""

from __future__ import annotations

from pathlib import Path

from shared.foreign_file import read_foreign
from supervisor.store.store import Store

MAX_BYTES = 64


def file_of(spool: Path) -> Path:
    """Where the hook that has written this request leaves its key."""
    return spool.with_name(spool.name + ".key")


def of(store: Store, session: str, spool: Path) -> str | None:
    """The key of a request; None for one of a hook that makes none (an earlier version's)."""
    return store.meta(_name(session, spool)) or _left(spool)


def keep(store: Store, session: str, spool: Path) -> None:
    """Put it where it is found again; its file may go then."""
    key = _left(spool)
    if key is not None and store.meta(_name(session, spool)) is None:
        store.set_meta(_name(session, spool), key)


def forget(store: Store, session: str, spool: Path) -> None:
    """The request is over."""
    file_of(spool).unlink(missing_ok=True)
    store.drop_meta(_name(session, spool))


def _name(session: str, spool: Path) -> str:
    return f"request_key.{session}.{spool.name}"


def _left(spool: Path) -> str | None:
    try:
        return read_foreign(file_of(spool), MAX_BYTES).decode("ascii") or None
    except (OSError, UnicodeDecodeError):
        return None
