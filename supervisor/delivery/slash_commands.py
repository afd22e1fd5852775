"""Slash commands: which may be given, how one is submitted, and what it has said.

A command takes the way of a message (queue, editor, Enter) and is then told by other signs: no hook fires for most. The
transcript has its output (`local-command-stdout`, or a notice for an unknown one); a command that opens a dialog says so
when the dialog is closed, and the session waits until then; one that starts a turn (`/init`, a person's own) becomes a
message like any other. What must not regress: no Enter goes into the dialog that a command has opened, so it is repeated
only when the CLI has proven that its prompt box still has the focus; and the command runs as it is written, not as the
list of completions would finish it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from shared.errors import PilotlightError
from supervisor.claude.texts.prompts import may_be_draft_of
from supervisor.claude.texts.slash_commands import completions
from supervisor.delivery import prompt_box
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord
from supervisor.terminal.terminal import Terminal

ENTER, ESCAPE = b"\r", b"\x1b"
LOST_SECONDS = 3.0
"""How long after an Enter the command may still be in the box before that Enter is in doubt."""

SLOW_LIST_SECONDS = 5.0
"""How long the list of completions may take to open or to close (measured: 20-60 ms; 2.1.231 ran `/compact` for `/comp` when
Enter came before it)."""

BARE_SECONDS = 0.25
"""How long a box must have stood without a list that was there, or that the CLI said has nothing to offer."""

REDRAW_SECONDS = 0.04


async def submit(
    session: Session,
    message: MessageRecord,
    terminal: Terminal,
    typing: asyncio.Lock,
) -> None:
    """Press Enter until the CLI has taken the command. Raise PilotlightError (`not_submitted`) when it does not."""
    write_id = f"{message.id}:{message.generation}"

    def ours() -> bool:
        return session.current is message and session.terminal is terminal

    def in_box() -> bool:
        screen_reading = session.screen_reading()
        return screen_reading.kind == "draft" and may_be_draft_of(screen_reading.draft, message.prompt)

    def taken() -> bool:
        run = session.command
        return (
            message.state != "typed"
            or (run is not None and run.message == message.id and run.lines > 0)
            or session.screen_reading().kind in ("menu", "notice")
        )

    await _uncover(session, message, terminal, typing, in_box, lambda: not ours() or taken())
    turn, end = session.record.turn_prompt, time.monotonic() + prompt_box.PROOF_SECONDS
    pressed = gone = 0.0
    while message.state == "typed" and ours():
        now = time.monotonic()
        if in_box() and not taken():
            gone = 0.0
            if completions(terminal.screen.lines()):
                await _uncover(session, message, terminal, typing, in_box, lambda: not ours() or taken())
            elif not pressed or (
                now - pressed > LOST_SECONDS and await _has_focus(session, terminal, write_id, typing)
            ):
                pressed = time.monotonic()
                async with typing:
                    await terminal.press(f"{write_id}:e{time.monotonic_ns()}", ENTER)
        elif session.screen_reading().kind == "prompt":
            gone = gone or now
        started = session.record.turn_prompt
        if started not in (None, "unknown", turn, *message.earlier) and message.state == "typed":
            receipts.step(session, message, "submitted", prompt_id=started)
        elif taken() or (gone and now - gone > prompt_box.ENTER_SECONDS):
            if message.state == "typed":
                receipts.step(session, message, "submitted")
        elif now > end:
            raise PilotlightError("The CLI did not take the command. Look at its screen.", code="not_submitted")
        else:
            await session.changed.wait_for(
                lambda: taken() or not ours() or session.record.turn_prompt != turn, prompt_box.ENTER_SECONDS / 2
            )


async def _uncover(
    session: Session,
    message: MessageRecord,
    terminal: Terminal,
    typing: asyncio.Lock,
    in_box: Callable[[], bool],
    over: Callable[[], bool],
) -> None:
    """Return once the command has stood in the box for a moment without a list of completions, of which Enter would run the
    marked one. A list opens late on a busy machine, also again behind the Esc that has closed it; without one Esc is not
    pressed. Raise PilotlightError (`not_submitted`) when it does not come to that."""
    end, bare_since, known = time.monotonic() + prompt_box.PROOF_SECONDS, None, " " in message.prompt
    while not over():
        now = time.monotonic()
        if now > end:
            raise PilotlightError("The list of commands does not close. Look at the screen.", code="not_submitted")
        shown = completions(terminal.screen.lines()) if in_box() else None
        if not in_box():
            bare_since = None
        elif shown:
            bare_since, known = None, True
            async with typing:
                await terminal.press(f"{message.id}:{message.generation}:l{time.monotonic_ns()}", ESCAPE)
            await session.changed.wait_for(
                lambda: not completions(terminal.screen.lines()) or over(), SLOW_LIST_SECONDS
            )
        else:
            bare_since, known = bare_since or now, known or shown is False
            if now - bare_since >= (BARE_SECONDS if known else SLOW_LIST_SECONDS):
                return
        await session.changed.wait_for(
            lambda: over() or bool(in_box() and completions(terminal.screen.lines())), BARE_SECONDS / 5
        )


async def _has_focus(session: Session, terminal: Terminal, write_id: str, typing: asyncio.Lock) -> bool:
    """Whether the box has the focus, once it is drawn: a second Enter behind one that is only late would answer the dialog
    it opens."""
    async with typing:
        focus = await prompt_box.has_focus(session, terminal, f"{write_id}:p{time.monotonic_ns()}")
    await asyncio.sleep(REDRAW_SECONDS)
    return focus
