"""How a record is a row: some of its fields are columns, the others travel as JSON behind them (`body`).

What must not regress: a member that a later version has added is kept, and written again with what we write; and what is not
what we wrote is Damaged.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec

from supervisor.store import options
from supervisor.store.records import MessageRecord, SessionRecord
from supervisor.store.sqlite import Damaged

SESSION_COLUMNS = (
    "id",
    "project_path",
    "created_at",
    "last_activity",
    "state",
    "conversation_id",
    "generation",
    "message_count",
    "ended_at",
)
MESSAGE_COLUMNS = ("id", "session_id", "state", "rank", "request_key", "text", "created_at")

_OPTIONS = "options"
_OURS = ("ord", "unknown", "unknown_options")
"""Fields that are no members of the body."""

_bodies = msgspec.json.Decoder(dict[str, Any])


def body(record: SessionRecord | MessageRecord, columns: tuple[str, ...]) -> bytes:
    """What of a record is no column."""
    fields = {name: value for name, value in vars(record).items() if name not in columns and name not in _OURS}
    if isinstance(record, SessionRecord):
        fields[_OPTIONS] = options.flat([fields.pop(name) for name in options.KINDS], record.unknown_options)
    return msgspec.json.encode({**record.unknown, **fields})


def session_of(row: tuple[Any, ...]) -> SessionRecord:
    """SESSION_COLUMNS and body. Raise Damaged."""
    known = SessionRecord.__dataclass_fields__
    fields = _fields(row, known)
    stored = fields["unknown"].pop(_OPTIONS, {})
    if not isinstance(stored, dict):
        raise Damaged(f"The database is damaged: the options of {row[0]} cannot be read.")
    columns = dict(zip(SESSION_COLUMNS, row[:-1], strict=True))
    return SessionRecord(**columns, **{**fields, **options.of_flat(stored)})


def message_of(row: tuple[Any, ...]) -> MessageRecord:
    """MESSAGE_COLUMNS, ord and body. Raise Damaged."""
    known = MessageRecord.__dataclass_fields__
    return MessageRecord(**dict(zip(MESSAGE_COLUMNS, row[:-2], strict=True)), ord=row[-2], **_fields(row, known))


def _fields(row: tuple[Any, ...], known: Container[str]) -> dict[str, Any]:
    """The body of a row; what we do not know of it is in `unknown`."""
    try:
        fields = _bodies.decode(row[-1])
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError) as error:
        raise Damaged(f"The database is damaged: the record {row[0]} cannot be read ({error}).") from error
    told = {name: value for name, value in fields.items() if name in known and name not in _OURS}
    told["unknown"] = {name: value for name, value in fields.items() if name not in told}
    return told
