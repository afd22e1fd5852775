"""What somebody is told who answers too late: that it was answered, by whom and how, as far as the journal says.

What must not regress: a late answer does nothing, and its refusal names who was first (`answeredBy`), so that a card that was
still on somebody's screen can say so. What was answered at the terminal, or is not asked any more, has a cause instead of a name.
"""

from __future__ import annotations

from typing import Any

from shared.errors import Conflict
from supervisor.session.session import Session

KINDS = ["answered", "expired"]
LATEST = 50
"""How far back is looked: a card that is older than so many answers of its session is told without a name."""


def too_late(session: Session, waiting_id: str | None) -> Conflict:
    """The refusal of an answer to `waiting_id` (None: to whatever waits)."""
    told = _told(session, waiting_id)
    text = "Nothing waits for this answer: it was given already, here or at the terminal."
    if told.get("answeredBy"):
        how = f" ({told['answer']})" if told.get("answer") else ""
        text = f"It was answered already, by {told['answeredBy']}{how}."
    elif told.get("cause"):
        text = f"It is not asked any more ({told['cause']})."
    return Conflict(text, code="already_answered", data=told)


def _told(session: Session, waiting_id: str | None) -> dict[str, Any]:
    if not waiting_id:
        return {}
    for event in session.store.events_before(None, LATEST, session.id, KINDS):
        if event.data.get("id") != waiting_id:
            continue
        if event.kind == "expired":
            return {
                "waitingId": waiting_id,
                "answeredBy": None,
                "cause": event.data.get("cause"),
                "answeredAt": event.at,
            }
        answer = event.data.get("decision") or event.data.get("label") or event.data.get("choice")
        return {"waitingId": waiting_id, "answeredBy": event.data.get("by"), "answer": answer, "answeredAt": event.at}
    return {}
