"""The mode of a chat (`normal`, `planning`, `code`), as legacy clients send it with every message.

`planning` is Claude's plan mode, in which it only looks. What must not regress: a message that asks for a plan is never sent
to a process that may act; and `normal` undoes a plan mode that a `planning` has brought about, never the permission mode
that somebody has chosen for the session: those clients send `normal` without having been asked.
"""

from __future__ import annotations

import msgspec

from shared.access.tokens import PLAN
from shared.bus import session_events
from shared.errors import Conflict
from supervisor.lifecycle import recycling
from supervisor.lifecycle.hibernation import check_can_hibernate
from supervisor.session.session import Session
from supervisor.store.options import SETTINGS_CHANGED, Intent, Planned
from supervisor.store.records import SessionRecord

PLANNING = "planning"


def wanting(record: SessionRecord, live: bool, mode: str | None) -> bool:
    """Whether a message of this mode needs another permission mode than there is. A session may have left the plan mode of
    its options (a plan was approved, or somebody pressed Shift+Tab), or not have come into it yet."""
    if mode is None:
        return False
    chosen, now = record.launch.permission_mode, record.process.mode_now
    if mode == PLANNING:
        return chosen != PLAN or (live and now != PLAN)
    pending = live and now == PLAN != chosen and record.process.stale == SETTINGS_CHANGED
    return record.intent.planned is not None or pending


def take(session: Session, mode: str | None) -> None:
    """Note the permission mode that a message of this mode needs, for the next process."""
    record = session.record
    if not wanting(record, session.live, mode):
        return
    planned = record.intent.planned
    with session.change():
        if mode == PLANNING:
            chosen = record.launch.permission_mode
            recycling.change(session, {"permission_mode": PLAN})
            if chosen != PLAN:
                planned = Planned(chosen)
        elif planned is not None:
            recycling.change(session, {"permission_mode": planned.before})
            planned = None
        record.intent = msgspec.structs.replace(record.intent, planned=planned)
        if session.live:
            record.process = record.process.outdated(["permission_mode"])
        session.store.save_session(record)
        session.store.append(session_events.Updated(recycle=session.live, mode=mode), session.id)


def obstacle(session: Session) -> Conflict | None:
    """What keeps its process from being replaced for a mode."""
    if recycling.never_spoke(session):
        return None
    try:
        check_can_hibernate(session)
    except Conflict as error:
        return error
    return None


def inherit(session: Session, source: Intent) -> None:
    """A fork of a session is in the same plan mode, and leaves it in the same way."""
    if source.planned is not None and session.record.intent.planned is None:
        with session.change():
            session.record.intent = msgspec.structs.replace(session.record.intent, planned=source.planned)
            session.store.save_session(session.record)
