"""The mode of a chat (`normal`, `planning`, `code`), as the origin's clients send it with every message.

`planning` is Claude's plan mode, in which it only looks. What must not regress: a message that asks for a plan is never sent
to a process that may act; and `normal` undoes a plan mode that a `planning` has brought about, never the permission mode
that somebody has chosen for the session: those clients send `normal` without having been asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.access.tokens import PLAN
from shared.bus import events
from shared.errors import Conflict
from supervisor.lifecycle import recycling
from supervisor.lifecycle.hibernation import check_restful
from supervisor.session.session import Session
from supervisor.store.records import MODE_NOW, PLANNED, SETTINGS_CHANGED, STALE

PLANNING = "planning"


def wanting(options: Mapping[str, Any], live: bool, mode: str | None) -> bool:
    """Whether a message of this mode needs another permission mode than there is. A session may have left the plan mode of
    its options (a plan was approved, or somebody pressed Shift+Tab), or not have come into it yet."""
    if mode is None:
        return False
    chosen, now = options.get("permission_mode"), options.get(MODE_NOW)
    if mode == PLANNING:
        return chosen != PLAN or (live and now != PLAN)
    pending = live and now == PLAN != chosen and options.get(STALE) == SETTINGS_CHANGED
    return PLANNED in options or pending


def take(session: Session, mode: str | None) -> None:
    """Note the permission mode that a message of this mode needs, for the next process."""
    options = session.record.options
    if not wanting(options, session.live, mode):
        return
    planned = options.get(PLANNED)
    with session.change():
        if mode == PLANNING:
            chosen = options.get("permission_mode")
            recycling.change(session, {"permission_mode": PLAN})
            if chosen != PLAN:
                planned = {"before": chosen}
        elif planned is not None:
            recycling.change(session, {"permission_mode": planned["before"]})
            planned = None
        kept = {**session.record.options, **({PLANNED: planned} if planned is not None else {})}
        session.record.options = kept | ({STALE: SETTINGS_CHANGED} if session.live else {})
        session.store.save_session(session.record)
        session.store.append(events.Updated(recycle=session.live, mode=mode), session.id)


def obstacle(session: Session) -> Conflict | None:
    """What keeps its process from being replaced for a mode."""
    if recycling.never_spoke(session):
        return None
    try:
        check_restful(session)
    except Conflict as error:
        return error
    return None


def inherit(session: Session, options: Mapping[str, Any]) -> None:
    """A fork of a session with these options is in the same plan mode, and leaves it in the same way."""
    if PLANNED in options and PLANNED not in session.record.options:
        with session.change():
            session.record.options = {**session.record.options, PLANNED: options[PLANNED]}
            session.store.save_session(session.record)
