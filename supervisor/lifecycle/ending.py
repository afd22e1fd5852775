"""How a session ends, with its reason; and how an error is told to the messages that it ends."""

from __future__ import annotations

import shutil
import time
from typing import Any

import msgspec

from shared.bus import session_events
from shared.bus.messages import ErrorBody
from shared.errors import PilotlightError
from supervisor.lifecycle import orphans, restart_policy, scheduled_work
from supervisor.lifecycle.launch import has_transcript
from supervisor.session import attachments, receipts
from supervisor.session.session import Session
from supervisor.state.states import StateEvent
from supervisor.store.store import now_ms


def end(session: Session, cause: str, reason: str, detail: str | None, error: PilotlightError | None) -> None:
    """The session has ended; what still waits in its queue fails with `error`, or is cancelled without one."""
    body = None if error is None else error_body(error)
    with session.change():
        for message in session.store.open_messages(session.id):
            receipts.step(session, message, "failed" if body else "cancelled", error=body)
        session.apply(
            StateEvent.ENDED,
            cause,
            end_reason=reason,
            end_detail=detail,
            ended_at=now_ms(),
            child=None,
            holder=None,
            intent=msgspec.structs.replace(session.record.intent, stop=None),
        )
        scheduled_work.process_ends(session, cause, every=True)
    shutil.rmtree(session.services.paths.temporary_dir(session.id), ignore_errors=True)
    orphans.drop_ring(session)
    if reason == "killed":
        attachments.discard(session.dir)


def start_failed(session: Session, error: PilotlightError) -> bool:
    """A start has come to nothing: the session has ended, or sleeps when the cause may pass. Whether to try again."""
    receipts.conclude_cut_off(session, time.monotonic())
    code, record = error.error_code, session.record
    if error.retryable or code == "conversation_in_use":
        session.apply(StateEvent.SLEPT, code, child=None, holder=None)
        orphans.drop_ring(session)
        return False
    worked = has_transcript(session)
    verdict = restart_policy.judge_start(code, worked, record.failures, session.services.config().health.restart_limit)
    if verdict == "start_failed":
        end(session, code, "lost" if code == "transcript_missing" else "start_failed", error.message, error)
        return False
    deaths = record.failures + 1
    with session.change():
        crash = session_events.Crashed(exit=error.message, failures=deaths, generation=record.generation, then=verdict)
        session.store.append(crash, session.id)
        if verdict == "give_up":
            end(session, code, "crashed" if worked else "start_failed", error.message, error)
        else:
            session.apply(StateEvent.SLEPT, code, failures=deaths, child=None, holder=None)
    return verdict == "revive"


def error_body(error: PilotlightError) -> dict[str, Any]:
    """An error as it is stored with a message."""
    return msgspec.structs.asdict(ErrorBody.of(error))
