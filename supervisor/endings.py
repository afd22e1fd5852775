"""How a session ends, with its reason; and how an error is told to the messages that it ends."""

from __future__ import annotations

import shutil
import time
from typing import Any

from shared.errors import PilotlightError
from supervisor import attachments
from supervisor.session import Session
from supervisor.states import Event
from supervisor.store import now_ms

PASSING = frozenset({"conversation_in_use", "holder_timeout"})
"""Start errors that say nothing about the conversation: it sleeps, and the next message tries again."""


def end(session: Session, cause: str, reason: str, detail: str | None, error: PilotlightError | None) -> None:
    """The session has ended; what still waits in its queue fails with `error`, or is cancelled without one."""
    body = None if error is None else error_body(error)
    with session.store.transaction():
        for message in session.store.open_messages(session.id):
            session.receipts.step(message, "failed" if body else "cancelled", error=body)
        session.record.options.pop("stop", None)
        session.apply(
            Event.ENDED,
            cause,
            end_reason=reason,
            end_detail=detail,
            ended_at=now_ms(),
            child=None,
            holder=None,
        )
    shutil.rmtree(session.house.paths.temporary_dir(session.id), ignore_errors=True)
    if reason == "killed":
        attachments.discard(session.dir)


def start_failed(session: Session, error: PilotlightError) -> None:
    """A start has come to nothing: the session has ended, or sleeps when the cause may pass."""
    session.receipts.conclude_cut_off(time.monotonic())
    if error.retryable or error.error_code in PASSING:
        session.apply(Event.SLEPT, error.error_code, child=None, holder=None)
        return
    reason = "lost" if error.error_code == "transcript_missing" else "start_failed"
    end(session, error.error_code, reason, error.message, error)


def error_body(error: PilotlightError) -> dict[str, Any]:
    """An error as it is stored with a message."""
    return {
        "code": error.error_code,
        "message": error.message,
        "status": error.status,
        "retryable": error.retryable,
        "data": error.data,
    }
