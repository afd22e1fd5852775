"""A prompt that a hook of a person's has refused: it gets no turn, or none any more, and no Stop tells of it.

What must not regress: a message fails with the hook's own words, and only for a notice that is about its own prompt; a turn
that has come to say something was not refused.
"""

from __future__ import annotations

from supervisor.claude import prompt_refusal
from supervisor.claude.transcript import TranscriptLine
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord
from supervisor.turn.turn import Turn


def take(session: Session, turn: Turn, line: TranscriptLine) -> None:
    """What this notice means for the message under way, and for the turn that was thought to run. `turn` is the one that the
    notice was written into; one that has no prompt is none."""
    message, open_turn = session.current, session.record.turn_prompt
    if prompt_refusal.is_stop(line.text or "") and (turn.texts or turn.tools):
        return
    why = _reason(message, turn, line) if message is not None else None
    if message is not None and why is not None:
        receipts.refuse(session, message, why)
    elif open_turn is not None and (open_turn == turn.prompt_id or session.logs.turns.get(open_turn) is None):
        session.logs.turn_over()


def _reason(message: MessageRecord, turn: Turn, line: TranscriptLine) -> str | None:
    if line.at is not None and line.at < message.steps.get("typed", 0):
        return None
    if prompt_refusal.is_stop(line.text or "") and turn.prompt_id != message.prompt_id:
        return None
    return prompt_refusal.reason(line.text or "", message.prompt)
