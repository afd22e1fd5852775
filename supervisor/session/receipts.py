"""The message under way: its steps as they are proven, and its one fate.

Every step is in the database before the next is tried, and published. What must not regress: a fate is settled once, by
what Claude's logs say and never by a timer on the turn; a message whose process has ended is settled by the logs too, or
goes back into the queue when its text never became a prompt.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from shared.bus import events
from shared.bus.messages import SETTLED
from shared.errors import ErrorBodyLike
from supervisor import clock
from supervisor.claude.prompts import same_prompt
from supervisor.claude.slash_commands import on_screen
from supervisor.failpoints import held
from supervisor.session import backoff
from supervisor.session.command_run import CommandRun
from supervisor.session.states import Event, State
from supervisor.session.turn import Outcome, StopReport, agree, cut_off, settle
from supervisor.store.store import MessageRecord, now_ms

if TYPE_CHECKING:
    from supervisor.session.session import Session

WITHDRAWING = "withdrawing"
"""In a session's options: the message whose prompt has no turn (any more), and which may come back into the box."""

PROMPT_BLOCKED = "prompt_blocked"
"""The error of a message that a person's hook has refused."""

SILENT_END_SECONDS = 2.0
"""How long status file and screen must say idle, with nothing new in any log, before a turn that is not ours has ended."""

STRAY_SECONDS = 0.5
"""How long after the Stop hook transcript lines whose chain is broken count for the turn that they fit."""


class Receipts:
    """The fate of one session's message under way, `session.current`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._quiet_since: float | None = None

    def not_quiet(self) -> None:
        """Something was said: silence begins anew."""
        self._quiet_since = None

    def step(self, message: MessageRecord, state: str, **fields: Any) -> None:
        """Record that a message has reached a step, with its time, and say so."""
        session = self._session
        with session.change(message):
            for name, value in fields.items():
                setattr(message, name, value)
            message.state = state
            message.steps = {**message.steps}
            message.steps.setdefault(state, now_ms())
            session.store.save_message(message)
            step = events.MessageStep(
                message=message.id,
                state=state,
                at=message.steps[state],
                prompt_id=message.prompt_id or UNSET,
                error=message.error.get("code") if message.error else UNSET,
            )
            session.store.append(step, session.id)
        if state in SETTLED:
            session.fates.tell(message.id)
        session.pulse.ring()

    def _stop_report(self, message: MessageRecord, now: float) -> StopReport | None:
        session = self._session
        if message.prompt_id and message.prompt_id in session.logs.stops:
            report, at = session.logs.stops[message.prompt_id]
            return StopReport(report.text, report.failure, now - at)
        if message.stop is not None:
            session.logs.stops[message.prompt_id or ""] = (
                StopReport(message.stop["text"], message.stop["failure"], 0),
                now,
            )
            return StopReport(message.stop["text"], message.stop["failure"], 0.0)
        return None

    def settle_current(self, now: float) -> None:
        session = self._session
        message = session.current
        if message is None or message.state != "submitted":
            self._quiet_since = None
            self._notice_silent_end(now)
            return
        if message.kind == "command" and message.prompt_id is None:
            self._settle_command(message, now)
            return
        quiet = self.is_quiet()
        self._quiet_since = (self._quiet_since or now) if quiet else None
        turn, stop = session.logs.book.get(message.prompt_id), self._stop_report(message, now)
        if turn is not None and stop is not None and stop.age > STRAY_SECONDS and not agree(turn, stop):
            session.logs.book.claim_strays(turn, stop)
        outcome = settle(
            turn,
            stop,
            ended_for=now - turn.ended_at if turn is not None and turn.ended_at is not None else 0.0,
            quiet_for=now - self._quiet_since if self._quiet_since is not None else 0.0,
        )
        if outcome is not None and not held("settled"):
            self.conclude(message, outcome)

    def command_run(self, message: MessageRecord) -> CommandRun:
        session = self._session
        if session.command is None or session.command.message != message.id:
            session.command = CommandRun.of(message)
        return session.command

    def _settle_command(self, message: MessageRecord, now: float) -> None:
        """Most commands are no turn: the status file may never have changed for them."""
        session = self._session
        terminal = session.terminal
        assert terminal is not None
        idle = session.status is None or session.status.status in ("idle", "shell")
        quiet = idle and session.record.turn_prompt is None and session.sight().kind in ("prompt", "draft")
        outcome = self.command_run(message).outcome(
            quiet,
            lambda: on_screen(terminal.screen.text(), message.prompt),
            now,
            back=session.sight().draft.startswith(message.prompt.rstrip()),
        )
        if outcome is not None and outcome.state == "interrupted":
            self.withdraw(message, outcome)
        elif outcome is not None:
            self.conclude(message, outcome)

    def is_quiet(self) -> bool:
        """Whether status file and screen both say that nothing runs, of the time since the message was entered: that it was
        submitted may be heard only when its turn is over."""
        session = self._session
        idle = session.status is None or session.status.status in ("idle", "shell")
        steps = session.current.steps if session.current is not None else {}
        entered = steps.get("typed", steps.get("submitted", 0)) if "submitted" in steps else 0
        if session.status is not None and 0 < session.status.updated_at < entered:
            return False  # it speaks of the time before this prompt
        return idle and session.sight().kind in ("prompt", "draft")

    def _notice_silent_end(self, now: float) -> None:
        """A turn that is not ours may end without a hook (Esc): believe status file and screen after a while."""
        session = self._session
        if session.record.turn_prompt is None or not self.is_quiet() or now - session.progress_at < SILENT_END_SECONDS:
            return
        with session.change():
            session.record.turn_prompt = None
            session.store.save_session(session.record)

    def conclude_cut_off(self, now: float) -> None:
        """The process is gone: settle the message under way by what the logs say, or put it back into the queue."""
        session = self._session
        message = session.current
        if message is None:
            return
        if message.state == "submitted":
            self.conclude(message, cut_off(session.logs.book.get(message.prompt_id), self._stop_report(message, now)))
            return
        self.requeue(message)

    def is_settled(self, message: MessageRecord) -> bool:
        """Whether the message has its fate, by whoever's hand; the sender's copy may be older."""
        session = self._session
        stored = session.store.message(message.id)
        return stored is None or stored.state not in ("accepted", "queued", "typed", "submitted")

    def requeue(self, message: MessageRecord) -> None:
        """Its text never became a prompt: it waits its turn again."""
        session = self._session
        session.claimed.discard(message.id)
        for name in (f"{message.id}.claimed", f"{message.id}.pending"):
            (session.dir / "outbox" / name).unlink(missing_ok=True)
        if message.state != "queued":
            steps = {name: at for name, at in message.steps.items() if name != "typed"}
            self.step(message, "queued", steps=steps, generation=0)
        session.current = None
        session.pulse.ring()

    def conclude(self, message: MessageRecord, outcome: Outcome) -> None:
        """Store a settled fate, all of it in one transaction."""
        session = self._session
        turn = session.logs.book.get(message.prompt_id)
        error: ErrorBodyLike | None = None
        hold = None
        if outcome.state == "failed":
            hold = backoff.after_failure(session.record, outcome.error, outcome.detail, clock.wall())
            error = failure_body(outcome, hold)
        elif outcome.state == "interrupted":
            error = {
                "code": "interrupted",
                "message": "The turn was interrupted before Claude had finished its reply.",
                "status": 409,
                "retryable": False,
                "data": {},
            }
        with session.change(message):
            self.step(
                message,
                outcome.state,
                reply=outcome.reply,
                error=error,
                tool_calls=list(turn.tools) if turn else [],
                usage=turn.total_usage if turn else None,
                stop=None,
                earlier=[],
            )
            session.touch()
            if session.record.turn_prompt == message.prompt_id:
                session.logs.turn_over()
            if hold is not None:
                backoff.begin(session.record, hold)
            if outcome.state == "answered":
                if message.kind == "prompt":
                    backoff.forgive(session.record)
                session.record.failures = 0
                session.record.options = {**session.record.options, "spoken": session.record.conversation_id}
            session.store.save_session(session.record)
            session.logs.settled()
        session.claimed.discard(message.id)
        (session.dir / "outbox" / f"{message.id}.claimed").unlink(missing_ok=True)
        session.current = None
        self._quiet_since = None
        session.observer.look_again()
        if outcome.state == "answered" and session.state is State.BUSY and session.record.turn_prompt is None:
            session.apply(Event.READY, "answered")
        session.pulse.ring()

    def refuse(self, message: MessageRecord, reason: str) -> None:
        """A person's hook has refused this prompt."""
        if message.state not in ("typed", "submitted") or not self.is_claimed(message):
            return
        with self._session.change(message):
            if message.state == "typed":
                self.step(message, "submitted")
            self.withdraw(message, Outcome("failed", error=PROMPT_BLOCKED, detail=reason))

    def withdraw(self, message: MessageRecord, outcome: Outcome) -> None:
        """Settle a message whose text may be back in the box, where the next one would wait for it as for a person's draft:
        that is written down with its fate, and whoever has sent it takes it out."""
        session = self._session
        with session.change(message):
            session.record.options = {**session.record.options, WITHDRAWING: message.id}
            self.conclude(message, outcome)

    def is_withdrawn(self, message: MessageRecord) -> bool:
        """Whether its text is still to be looked for in the box."""
        return bool(self._session.record.options.get(WITHDRAWING) == message.id)

    def is_claimed(self, message: MessageRecord) -> bool:
        """Whether the editor of this very process has put the message's text into the box."""
        session = self._session
        return message.generation == session.record.generation and (
            message.id in session.claimed or (session.dir / "outbox" / f"{message.id}.claimed").exists()
        )

    def is_proof(self, message: MessageRecord, submitted: str) -> bool:
        """Whether a prompt that was submitted is this message: a person may have sent the same words before or beside it."""
        return (
            message.state in ("queued", "typed") and self.is_claimed(message) and same_prompt(submitted, message.prompt)
        )

    def awaits_turn(self, message: MessageRecord, submitted: str) -> bool:
        """Whether the CLI has queued this message, so that it has no turn yet, and the turn that begins now is its own."""
        queued = message.state == "submitted" and message.prompt_id is None and message.kind == "prompt"
        return queued and self.is_claimed(message) and same_prompt(submitted, message.prompt)


def failure_body(outcome: Outcome, hold: backoff.Hold | None) -> ErrorBodyLike:
    """The error of a message that Claude's service refused."""
    if outcome.error == PROMPT_BLOCKED:
        return {
            "code": PROMPT_BLOCKED,
            "message": f"A UserPromptSubmit hook of yours has refused the prompt: {outcome.detail or 'it gave no reason.'}",
            "status": 422,
            "retryable": False,
            "data": {},
        }
    status = {"rate_limit": 429, "authentication_failed": 502, "invalid_request": 502}.get(outcome.error or "", 502)
    return {
        "code": outcome.error or "api_error",
        "message": (outcome.detail or "Claude's service refused the request.").strip(),
        "status": status,
        "retryable": outcome.error in ("rate_limit", "server_error", "overloaded"),
        "data": {} if hold is None else {"retryAfter": math.ceil(hold.seconds)},
    }
