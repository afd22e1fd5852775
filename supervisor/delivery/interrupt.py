"""Ending the turn that runs, without ever ending the TUI.

One Esc ends a tool, a dialog or a streaming reply. Before the first byte of a reply it withdraws the prompt instead, which
is then back in the prompt box, where the next one would be merged with it: our own is taken out again. That is written
down before Esc is pressed, so a supervisor that dies in between leaves it to the next. What must not regress: Esc is never
pressed when the box has the focus and nothing runs, because two in a row then open the rewind dialog; and a person's draft
is never cleared.
"""

from __future__ import annotations

import msgspec

from shared.errors import Conflict, Unavailable
from supervisor.delivery import prompt_box
from supervisor.delivery.answer import ESCAPE, GONE_SECONDS, press
from supervisor.failpoints import failpoint
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import MessageRecord
from supervisor.turn.turn import Outcome

CTRL_C = b"\x03"
RUNGS = (("escape", 3.0), ("escape_again", 10.0))
"""Each Esc, and how long it may take (measured: 90 ms, 1.6 s for a tool that ignores TERM)."""

SUBMITTED_SECONDS = 5.0
"""How long the hook of a prompt may be late (measured: 20-160 ms, seconds where many start at once)."""

COMMAND_SECONDS = 1.0
"""The same for what may have no hook: a slash command, and a prompt that a dialog holds up."""

BETWEEN_SECONDS = 0.2
"""Between two Esc that clear the box together."""

DRAWN_AGAIN_SECONDS = 0.5
DRAWN_SECONDS = 3.0
"""How long a prompt that is withdrawn may take to come back into the box, and to be cleared."""


async def interrupt(session: Session) -> str:
    """End the turn that runs. Return which rung worked. Raise Conflict when nothing runs, Unavailable when it goes on."""
    await until_told(session)
    turn = session.record.turn_prompt
    async with session.answering:
        if session.terminal is None or session.record.turn_prompt != turn or not (turn or is_at_work(session)):
            raise Conflict("Nothing runs that could be interrupted.", code="nothing_runs")
        message = session.current
        # The request may be on its way before the box is drawn empty, long before on a busy machine: the box itself knows.
        drafted = not await session.changed.wait_for(
            lambda: session.screen_reading().kind != "draft", DRAWN_AGAIN_SECONDS
        )
        if drafted and message is not None:
            async with session.typing:
                drafted = await prompt_box.contents(session) not in (None, "", message.prompt.rstrip())
        if message is not None and not drafted:
            _note(session, message.id)
        session.interrupting = True
        try:
            return await _press_until_over(session, turn, message, drafted)
        finally:
            session.interrupting = False
            _note(session, None)


async def until_told(session: Session) -> None:
    """The prompt of the message under way may have been submitted a moment ago, before its hook says so."""
    message = session.current
    if message is not None:
        unheard = message.kind == "command" or session.state is State.WAITING
        await session.changed.wait_for(
            lambda: session.record.turn_prompt is not None or session.current is not message or is_at_work(session),
            COMMAND_SECONDS if unheard else SUBMITTED_SECONDS,
        )


def is_at_work(session: Session) -> bool:
    """Whether the message under way is at work though no hook has told of a turn: a command that takes its time, as `/compact`
    does, and any prompt where hooks are off. Only the status file tells it."""
    message, status = session.current, session.status
    if message is None or status is None or status.status != "busy":
        return False
    if message.kind == "command":
        sent = message.state in ("typed", "submitted")
    else:
        sent = message.state == "submitted" and not session.session_started
    return sent and status.updated_at >= message.steps.get("typed", message.created_at)


async def _press_until_over(session: Session, turn: str | None, message: MessageRecord | None, drafted: bool) -> str:
    def over() -> bool:
        if turn is None:
            return session.current is not message or not is_at_work(session)
        return session.record.turn_prompt != turn  # one that follows at once is not to be interrupted, too

    def withdrawn() -> bool:
        return message is not None and not drafted and session.screen_reading().kind == "draft"

    for rung, patience in RUNGS:
        async with session.typing:  # not while the CLI has its editor open, which loses it
            if over():
                raise Conflict("Nothing runs any more that could be interrupted.", code="nothing_runs")
            await press(session, ESCAPE)
        await failpoint("escaped")
        if await session.changed.wait_for(lambda: over() or withdrawn(), patience):
            if turn is None:  # what a command was is back in the box
                await session.changed.wait_for(lambda: withdrawn() or session.current is not message, DRAWN_SECONDS)
            if message is not None and withdrawn():
                await _take_back(session, message)
            await session.changed.wait_for(lambda: session.state is not State.WAITING, GONE_SECONDS)
            return rung
    raise Unavailable("The turn goes on in spite of Esc. Answer at the terminal.", code="not_interrupted")


def _note(session: Session, message: str | None) -> None:
    with session.change():
        session.record.process = msgspec.structs.replace(session.record.process, withdrawing=message)
        session.store.save_session(session.record)


async def _take_back(session: Session, message: MessageRecord) -> None:
    """Clear the prompt box if it holds exactly this message, and settle it as interrupted."""
    async with session.typing:
        withdrawn = await prompt_box.contents(session) == message.prompt.rstrip()
        if withdrawn:
            await session.changed.wait_for(lambda: session.screen_reading().kind == "draft", DRAWN_SECONDS)
            await _clear(session)
    if withdrawn and session.current is message and message.state == "submitted":
        receipts.conclude(session, message, Outcome("interrupted", detail="withdrawn"))


async def _clear(session: Session) -> None:
    """Empty a box that holds text. One Ctrl+C does, of however many lines it is (a second one would begin an exit); but where
    agents work in the background 2.1.197 ends those and leaves the box, so there it is two Esc."""

    def empty() -> bool:
        return session.screen_reading().kind == "prompt"

    if session.record.background:
        await press(session, ESCAPE)
        if not await session.changed.wait_for(empty, BETWEEN_SECONDS):
            await press(session, ESCAPE)
    else:
        await press(session, CTRL_C)
    await session.changed.wait_for(empty, DRAWN_SECONDS)


async def take_out(session: Session, message: MessageRecord) -> None:
    """Take the text of a settled message out of the box, if the CLI has put it back there: a prompt that a hook has refused
    (2.1.330), a command that somebody has ended with Esc. The box is asked in any case: it may be drawn late."""
    async with session.answering:
        if session.terminal is None or not receipts.is_withdrawn(session, message):
            return
        await session.changed.wait_for(lambda: session.screen_reading().kind == "draft", DRAWN_AGAIN_SECONDS)
        await _take_back(session, message)
        _note(session, None)


async def finish(session: Session) -> None:
    """Go on with an interrupt of an earlier supervisor: what it withdrew must not stay in the box."""
    message_id = session.record.process.withdrawing
    message = session.store.message(message_id) if message_id is not None else None
    if message is not None:
        async with session.answering:
            await session.changed.wait_for(
                lambda: session.screen_reading().kind == "draft" or _superseded(session, message), DRAWN_SECONDS
            )
            drafted = session.screen_reading().kind == "draft" and session.terminal is not None
            if drafted and not _superseded(session, message):
                current = session.current
                await _take_back(session, current if current is not None and current.id == message.id else message)
    _note(session, None)


def _superseded(session: Session, message: MessageRecord) -> bool:
    """Whether what stands in the box is another message's: the same text, sent again, is not to be withdrawn."""
    return session.current is not None and session.current.id != message.id
