"""A process for one message (`claude -p`): what is laid out for it, and what its end means.

What must not regress: its prompt is taken at most once, by the rename of a file; its fate is what the logs say at its end, as of
any process that is gone; a message that it never came to is tried again, not for ever; and its session then sleeps.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from shared.bus import session_events
from shared.errors import Conflict, PilotlightError, StartFailed
from supervisor.claude import command_line, print_mode
from supervisor.claude.texts.prompts import WHITE
from supervisor.lifecycle import ending, restart_policy, scheduled_work
from supervisor.lifecycle.restart_policy import Exit
from supervisor.observation import print_stream
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.state.states import StateEvent
from supervisor.store.store import MessageRecord


def refusal(what: str) -> Conflict:
    """That something takes an interactive session."""
    return Conflict(
        f"{what} takes an interactive session, and this one delivers each message by a process of its own "
        "(`delivery: per_message`). Set it to `interactive` first.",
        code="per_message",
    )


def lay_out(session: Session, message: MessageRecord, generation: int) -> None:
    """Note what the process is for, and put its prompt where it takes it from. Raise OSError, StorageFailed."""
    session.logs.read()
    record = session.record
    with session.change(message):
        message.generation, message.earlier = generation, record.heard
        session.store.save_message(message)
        record.process = msgspec.structs.replace(record.process, printing=message.id)
        session.store.save_session(record)
        session.store.set_position(session.id, print_stream.POSITION, 0)
        session.logs.settled()
    (session.dir / print_mode.STREAM).unlink(missing_ok=True)
    command_line.keep_temporary(session.services.paths.temporary_dir(session.id))
    outbox = session.dir / "outbox"
    descriptor = os.open(outbox / f"{message.id}.new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(message.prompt.rstrip(WHITE).encode())  # the blanks behind it are for the prompt box
    (outbox / f"{message.id}.new").rename(outbox / f"{message.id}.pending")
    receipts.take_up(session, message)


def ended(session: Session, end: Exit, last_words: str, try_again: Callable[[], None]) -> None:
    """Its process is gone, and what was under way has its fate or is in the queue again: decide what follows."""
    record = session.record
    message = session.store.message(record.process.printing or "")
    if message is None or receipts.is_settled(session, message):
        with session.change():
            session.apply(StateEvent.SLEPT, "message_done", child=None, holder=None, failures=0)
            scheduled_work.process_ends(session, "message_done")
        return
    deaths, limit = record.failures + 1, session.services.config().health.restart_limit
    refused = end.signal is None and end.status not in (None, 0, print_mode.TAKEN)
    error: PilotlightError | None = None
    if refused:
        words = print_mode.complaint(session.dir) or last_words
        error = StartFailed(restart_policy.why_no_start(end, words), code="claude_exited")
    elif deaths >= limit:
        error = StartFailed(restart_policy.why_no_more(end, last_words, deaths), code="claude_crashed")
    crash = session_events.Crashed(
        exit=end.words,
        last_words=last_words,
        failures=deaths,
        generation=record.generation,
        then="give_up" if error is not None else "revive",
    )
    with session.change():
        session.store.append(crash, session.id)
        if error is not None:
            receipts.step(session, message, "failed", error=ending.error_body(error))
        session.apply(StateEvent.SLEPT, "crashed", failures=0 if error is not None else deaths, child=None, holder=None)
    if error is None:
        try_again()
