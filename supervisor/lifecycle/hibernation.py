"""Whether a session is at rest, so that its process may be ended without anybody losing anything."""

from __future__ import annotations

import asyncio
import time

from shared.errors import Conflict
from supervisor.lifecycle.launch import has_transcript
from supervisor.session import scheduled
from supervisor.session.session import Session
from supervisor.state.states import State

FLUSH_SECONDS = 1.0
FLUSHED_SECONDS = 0.25
"""How long the logs must have been silent to be whole, and how long that is waited for."""

UNDRAWN_SECONDS = 3.0
"""How long the CLI may take to draw what was typed; a key that it draws nothing for counts no longer."""


def check_can_hibernate(session: Session, brief: bool = False, lose_scheduled: bool = False) -> None:
    """Raise Conflict with the reason why this session may not be put to sleep now. `brief`: it is woken at once; with
    `lose_scheduled` what Claude has planned is no reason."""
    reasons = {
        "it is " + session.state: session.state is not State.IDLE,
        "a message is under way": session.current is not None,
        "background tasks run": session.in_background,
        "somebody is attached": session.attached > 0,
        "a draft is in its prompt box": session.screen_reading().kind == "draft",
        "what was typed is not drawn yet": _undrawn(session),
        "its transcript does not exist yet": _was_spoken_in(session) and not has_transcript(session),
    }
    planned = None if lose_scheduled else scheduled.hindrance(session.record, brief)
    if planned is not None:
        reasons[f"{planned}. With `loseScheduled` it sleeps all the same"] = True
    for reason, holds in reasons.items():
        if holds:
            raise Conflict(f"The session cannot hibernate now: {reason}.", code="cannot_hibernate")


def _was_spoken_in(session: Session) -> bool:
    """Whether a prompt was heard of in the present conversation: one that has only begun (`/clear`) has no transcript, and the
    next process begins it anew."""
    record = session.record
    return bool(record.heard) and record.heard[-1] != record.remembered.begun_behind


def _undrawn(session: Session) -> bool:
    """Whether a draft may be on its way into the box."""
    terminal = session.terminal
    lately = time.monotonic() - session.keyed_at < UNDRAWN_SECONDS
    return lately and terminal is not None and terminal.drawn_at < session.keyed_at


async def await_flush(session: Session) -> None:
    """The transcript lags the Stop hook; wait until it has said that the turn is over, or is quiet."""
    end = time.monotonic() + FLUSH_SECONDS
    while time.monotonic() < end and time.monotonic() - session.progress_at < FLUSHED_SECONDS:
        await asyncio.sleep(0.05)
        session.logs.read()
