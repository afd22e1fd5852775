"""The message under way: its steps as they are proven, and its one fate.

Every step is in the database before the next is tried, and published. What must not regress: a fate is settled once, by
what Claude's logs say and never by a timer on the turn; a message whose process has ended is settled by the logs too, or
goes back into the queue when its text never became a prompt.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET

from shared.bus import message_events
from shared.bus.messages import SETTLED
from shared.errors import ErrorBodyLike
from supervisor import clock
from supervisor.claude.texts.prompts import same_prompt
from supervisor.claude.texts.slash_commands import on_screen
from supervisor.failpoints import stops_at
from supervisor.session.session import Session
from supervisor.state.states import State, StateEvent
from supervisor.store.store import MessageRecord, now_ms
from supervisor.turn.command_run import CommandRun
from supervisor.turn.early_reply import is_reopened, is_same, whole_reply
from supervisor.turn.turn import Outcome, StopReport, Turn, agree, cut_off, settle
from supervisor.waiting import backoff

PROMPT_BLOCKED = "prompt_blocked"
"""The error of a message that a person's hook has refused."""

SILENT_END_SECONDS = 2.0
"""How long status file and screen must say idle, with nothing new in any log, before a turn that is not ours has ended."""

ALONE_SECONDS = 60.0
"""How long after a person's last key the transcript alone tells whose a turn is: what they have entered may be heard of late."""

UNPLACED_SECONDS = 0.5
"""How long after the Stop hook transcript lines whose chain is broken count for the turn that they fit."""


def not_quiet(session: Session) -> None:
    """Something was said: silence begins anew."""
    session.quiet_since = None


def progress(session: Session, now: float) -> None:
    """It does something: it is not stuck."""
    session.progress_at = now


def take_up(session: Session, message: MessageRecord) -> None:
    """From now on this is the message under way."""
    session.current = message


def let_go(session: Session, message: MessageRecord) -> None:
    """It is not the message under way, if it was."""
    if session.current is message:
        session.current = None


def step(session: Session, message: MessageRecord, state: str, **fields: Any) -> None:
    """Record that a message has reached a step, with its time, and say so."""
    with session.change(message):
        for name, value in fields.items():
            setattr(message, name, value)
        message.state = state
        message.steps = {**message.steps}
        message.steps.setdefault(state, now_ms())
        session.store.save_message(message)
        reached = message_events.MessageStep(
            message=message.id,
            state=state,
            at=message.steps[state],
            prompt_id=message.prompt_id or UNSET,
            error=message.error.get("code") if message.error else UNSET,
        )
        session.store.append(reached, session.id)
    if state in SETTLED:
        session.fates.tell(message.id)
    session.changed.notify()


def _stop_report(session: Session, message: MessageRecord, now: float) -> StopReport | None:
    stops = session.logs.stops
    if message.prompt_id and message.prompt_id in stops:
        report, at = stops[message.prompt_id]
        return StopReport(report.text, report.failure, now - at)
    if message.stop is None:
        return None
    report = StopReport(message.stop["text"], message.stop["failure"], 0.0)
    stops[message.prompt_id or ""] = (report, now)
    return report


def settle_current(session: Session, now: float) -> None:
    message = session.current
    if message is None or message.state != "submitted":
        session.quiet_since = None
        _notice_silent_end(session, now)
        return
    if message.kind == "command" and message.prompt_id is None:
        _settle_command(session, message, now)
        return
    quiet = is_quiet(session)
    session.quiet_since = (session.quiet_since or now) if quiet else None
    turn, stop = session.logs.turns.get(message.prompt_id), _stop_report(session, message, now)
    if turn is not None and stop is not None and stop.age > UNPLACED_SECONDS and not agree(turn, stop):
        session.logs.turns.claim_unplaced(turn, stop)
    outcome = settle(
        turn,
        stop,
        ended_for=now - turn.ended_at if turn is not None and turn.ended_at is not None else 0.0,
        quiet_for=now - session.quiet_since if session.quiet_since is not None else 0.0,
    )
    if outcome is None:
        _reply_early(session, message, turn, stop)
    elif not stops_at("settled"):
        conclude(session, message, outcome)


def _reply_early(session: Session, message: MessageRecord, turn: Turn | None, stop: StopReport | None) -> None:
    """Say that the whole text is there before the message is settled, or take that back."""
    replied, early = "replied" in message.steps, session.logs.early
    if replied and (is_reopened(turn) or message.prompt_id is None):
        _take_back(session, message)
    if replied or stop is None or message.kind != "prompt":
        return
    shown = early.of(message.prompt_id)
    reply = whole_reply(message.prompt, turn, stop, shown, _only_we_prompt(session, message))
    record = session.record
    if reply is None or not early.is_alone(record.generation, session.services.claude_home, Path(record.project_path)):
        return
    with session.change(message):
        message.reply, message.steps = reply, {**message.steps, "replied": now_ms()}
        session.store.save_message(message)
        reached = message_events.MessageStep(
            message=message.id, state="replied", at=message.steps["replied"], prompt_id=message.prompt_id or UNSET
        )
        session.store.append(reached, session.id)
    session.fates.tell(message.id)
    session.changed.notify()


def _only_we_prompt(session: Session, message: MessageRecord) -> bool:
    """Whether nothing else can have begun the turn in which this message was heard. Claude queues a prompt that is entered while
    a turn runs, and its hook has the id of that one then: a person's, a peer's, or one that Claude had planned."""
    record, status = session.record, session.status
    if (
        session.logs.had_plans
        or record.background
        or record.scheduled
        or session.services.config().claude.cross_session not in ("refuse", "hold")
    ):
        return False
    if time.monotonic() - session.keyed_at < ALONE_SECONDS:
        return False
    busy_before = status is not None and status.status == "busy" and status.updated_at < message.steps.get("typed", 0)
    return not busy_before


def _take_back(session: Session, message: MessageRecord) -> None:
    """Claude goes on with a message that was replied."""
    with session.change(message):
        message.reply, message.steps = None, _not_replied(message)
        session.store.save_message(message)
        session.store.append(_changed(message, message.state), session.id)
    session.changed.notify()


def _not_replied(message: MessageRecord) -> dict[str, int]:
    return {name: at for name, at in message.steps.items() if name != "replied"}


def _changed(message: MessageRecord, state: str) -> message_events.ReplyChanged:
    return message_events.ReplyChanged(message=message.id, state=state, prompt_id=message.prompt_id or UNSET)


def command_run(session: Session, message: MessageRecord) -> CommandRun:
    if session.command is None or session.command.message != message.id:
        session.command = CommandRun.of(message)
    return session.command


def _settle_command(session: Session, message: MessageRecord, now: float) -> None:
    """Most commands are no turn: the status file may never have changed for them."""
    terminal = session.terminal
    assert terminal is not None
    idle = session.status is None or session.status.status in ("idle", "shell")
    quiet = idle and session.record.turn_prompt is None and session.screen_reading().kind in ("prompt", "draft")
    outcome = command_run(session, message).outcome(
        quiet,
        lambda: on_screen(terminal.screen.text(), message.prompt),
        now,
        back=session.screen_reading().draft.startswith(message.prompt.rstrip()),
    )
    if outcome is not None and outcome.state == "interrupted":
        withdraw(session, message, outcome)
    elif outcome is not None:
        conclude(session, message, outcome)


def is_quiet(session: Session) -> bool:
    """Whether status file and screen both say that nothing runs, of the time since the message was entered: that it was
    submitted may be heard only when its turn is over."""
    idle = session.status is None or session.status.status in ("idle", "shell")
    steps = session.current.steps if session.current is not None else {}
    entered = steps.get("typed", steps.get("submitted", 0)) if "submitted" in steps else 0
    if session.status is not None and 0 < session.status.updated_at < entered:
        return False  # it speaks of the time before this prompt
    return idle and session.screen_reading().kind in ("prompt", "draft")


def _notice_silent_end(session: Session, now: float) -> None:
    """A turn that is not ours may end without a hook (Esc): believe status file and screen after a while."""
    if session.record.turn_prompt is None or not is_quiet(session) or now - session.progress_at < SILENT_END_SECONDS:
        return
    with session.change():
        session.record.turn_prompt = None
        session.store.save_session(session.record)


def conclude_cut_off(session: Session, now: float) -> None:
    """The process is gone: settle the message under way by what the logs say, or put it back into the queue."""
    message = session.current
    if message is None:
        return
    if message.state == "submitted":
        conclude(
            session, message, cut_off(session.logs.turns.get(message.prompt_id), _stop_report(session, message, now))
        )
        return
    requeue(session, message)


def is_settled(session: Session, message: MessageRecord) -> bool:
    """Whether the message has its fate, by whoever's hand; the sender's copy may be older."""
    stored = session.store.message(message.id)
    return stored is None or stored.state not in ("accepted", "queued", "typed", "submitted")


def requeue(session: Session, message: MessageRecord) -> None:
    """Its text never became a prompt: it waits its turn again."""
    session.editor.let_go(message.id)
    for name in (f"{message.id}.claimed", f"{message.id}.pending"):
        (session.dir / "outbox" / name).unlink(missing_ok=True)
    if message.state != "queued":
        steps = {name: at for name, at in message.steps.items() if name != "typed"}
        step(session, message, "queued", steps=steps, generation=0)
    session.current = None
    session.changed.notify()


def not_handed_over(session: Session, message: MessageRecord) -> None:
    """The editor has put it into no box: what stands there is a person's."""
    with session.change(message):
        message.generation = 0
        session.store.save_message(message)


def conclude(session: Session, message: MessageRecord, outcome: Outcome) -> None:
    """Store a settled fate, all of it in one transaction."""
    turn = session.logs.turns.get(message.prompt_id)
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
    reply = outcome.reply
    if "replied" in message.steps and outcome.state == "answered" and (turn is None or turn.reply is None):
        reply = message.reply  # the transcript will not say it: what was displayed stands
    changed = "replied" in message.steps and not (outcome.state == "answered" and is_same(message.reply, reply))
    with session.change(message):
        step(
            session,
            message,
            outcome.state,
            reply=reply,
            steps=_not_replied(message) if changed else message.steps,
            error=error,
            tool_calls=list(turn.tools) if turn else [],
            usage=turn.total_usage if turn else None,
            stop=None,
            earlier=[],
        )
        if changed:
            session.store.append(_changed(message, outcome.state), session.id)
        session.touch()
        if session.record.turn_prompt == message.prompt_id:
            session.logs.turn_over()
        if hold is not None:
            backoff.begin(session.record, hold)
        if outcome.state == "answered":
            if message.kind == "prompt":
                backoff.forgive(session.record)
            session.record.failures = 0
            if message.kind == "prompt" or turn is not None:  # `/clear` says nothing in the conversation that it begins
                remembered, spoken = session.record.remembered, session.record.conversation_id
                session.record.remembered = msgspec.structs.replace(remembered, spoken=spoken)
        session.store.save_session(session.record)
        session.logs.settled()
    session.editor.let_go(message.id)
    session.spent.add(session.dir / "outbox" / f"{message.id}.claimed")
    session.current = None
    session.quiet_since = None
    session.observer.look_again()
    if (
        outcome.state == "answered"
        and not session.printing
        and session.state is State.BUSY
        and session.record.turn_prompt is None
    ):
        session.apply(StateEvent.READY, "answered")
    session.changed.notify()


def refuse(session: Session, message: MessageRecord, reason: str) -> None:
    """A person's hook has refused this prompt."""
    if message.state not in ("typed", "submitted") or not is_claimed(session, message):
        return
    with session.change(message):
        if message.state == "typed":
            step(session, message, "submitted")
        withdraw(session, message, Outcome("failed", error=PROMPT_BLOCKED, detail=reason))


def withdraw(session: Session, message: MessageRecord, outcome: Outcome) -> None:
    """Settle a message whose text may be back in the box, where the next one would wait for it as for a person's draft:
    that is written down with its fate, and whoever has sent it takes it out."""
    with session.change(message):
        session.record.process = msgspec.structs.replace(session.record.process, withdrawing=message.id)
        conclude(session, message, outcome)


def is_withdrawn(session: Session, message: MessageRecord) -> bool:
    """Whether its text is still to be looked for in the box."""
    return session.record.process.withdrawing == message.id


def is_claimed(session: Session, message: MessageRecord) -> bool:
    """Whether the editor of this very process has put the message's text into the box. One that has got further was there,
    whatever has become of the folder in which the editor leaves its word."""
    return message.generation == session.record.generation and (
        message.state in ("typed", "submitted")
        or session.editor.has_claimed(message.id)
        or (session.dir / "outbox" / f"{message.id}.claimed").exists()
    )


def is_proof(session: Session, message: MessageRecord, submitted: str) -> bool:
    """Whether a prompt that was submitted is this message: a person may have sent the same words before or beside it."""
    return (
        message.state in ("queued", "typed") and is_claimed(session, message) and same_prompt(submitted, message.prompt)
    )


def awaits_turn(session: Session, message: MessageRecord, submitted: str) -> bool:
    """Whether the CLI has queued this message, so that it has no turn yet, and the turn that begins now is its own."""
    queued = message.state == "submitted" and message.prompt_id is None and message.kind == "prompt"
    return queued and is_claimed(session, message) and same_prompt(submitted, message.prompt)


def failure_body(outcome: Outcome, hold: backoff.Backoff | None) -> ErrorBodyLike:
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
