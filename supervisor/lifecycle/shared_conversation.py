"""That somebody else has a session's conversation, as it is said and as its health shows it: once, whoever has found it out."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from shared.bus import message_events
from supervisor.session.session import Session

SHARED = "conversation_shared"


def begin(session: Session, pid: int | UnsetType = UNSET) -> None:
    """Say it, and whose process that is if it is known, unless it was said."""
    if SHARED in session.health:
        return
    session.store.append(
        message_events.ConversationShared(conversation=session.record.conversation_id, pid=pid), session.id
    )
    session.health.begin(SHARED)


def end(session: Session) -> None:
    """The other one has gone."""
    session.health.end(SHARED)
