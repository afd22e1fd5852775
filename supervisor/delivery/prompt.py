"""Typing a prompt and proving it: the interactive carrier.

The text goes in through the CLI's external editor (`docs/decisions/0002-editor-delivery.md`): Ctrl+G makes the CLI call
`editor.sh`, which claims the armed message by renaming it and writes it into the prompt box. That it ran proves that the
box had the focus; that the claim is a rename means that a text is typed at most once, whoever crashes. Then Enter, and
Enter again while the text is still in the box; the text itself is never sent twice. A message is `submitted` only when
Claude's hook or transcript shows it.

    queued --arm, Ctrl+G--> claimed --text in the box--> typed --Enter--> submitted --Stop and transcript--> settled
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable

from shared.errors import Conflict, PilotlightError, StorageFailed
from supervisor.claude.screen import ScreenReading
from supervisor.claude.texts.prompts import may_be_draft_of
from supervisor.delivery import chat_mode, interrupt, prompt_box, queue, slash_commands
from supervisor.delivery.prompt_box import EDITOR_SECONDS
from supervisor.failpoints import failpoint
from supervisor.lifecycle import conversation_conflict, recycling, session_folder
from supervisor.lifecycle.lifecycle import Lifecycle
from supervisor.session import receipts
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import MessageRecord
from supervisor.terminal.terminal import Terminal

ENTER = b"\r"
BOX_SECONDS = 0.4
"""How long the text may take to appear in the box (measured: 10-130 ms); Enter goes out after it in any case, since the
box has the focus and Enter in an empty box does nothing."""

DRAFT_SECONDS = 10.0
"""How long to leave a person's draft alone before looking again."""

UNSURE_SECONDS = 2.0
"""How long the screen may make no sense behind a text that was handed over, before the box itself is asked."""

MODE_SECONDS = 2.0
"""How long a message waits at a quiet prompt for what keeps its mode from it: somebody at the terminal, background tasks."""

MODE_LOOK_SECONDS = 0.1


class PromptCarrier:
    """Delivers messages of one session through its prompt box. `between_turns` does what is due between two turns, and says
    whether the process has gone for it."""

    def __init__(self, session: Session, lifecycle: Lifecycle, between_turns: Callable[[], Awaitable[bool]]) -> None:
        self._session = session
        self._lifecycle = lifecycle
        self._between_turns = between_turns
        self.typing = session.typing

    def put_back(self, message: MessageRecord) -> None:
        """Nobody hands it over any more, unless that is done already."""
        self._disarm(message)

    async def carry(self, message: MessageRecord) -> None:
        """As `Carrier.carry`."""
        session = self._session
        if message.state == "submitted":
            receipts.take_up(session, message)
            await self._settled(message)
            return
        if not session.live:
            chat_mode.take(session, message.mode)
        await self._lifecycle.ensure_process()
        queue.no_obstacle(session)
        if receipts.is_settled(session, message) or session.printing:
            return
        session_folder.mend(session)
        if receipts.is_claimed(session, message):
            receipts.take_up(session, message)
        else:
            session_folder.require_files(message)
            receipts.requeue(session, message)
            conversation_conflict.refuse_beside(session)
            if not await self._put(message):
                return
        terminal, pressed = session.terminal, message.state == "typed"
        if terminal is None or not await self._in_box(message, terminal):
            return
        if message.kind == "command":
            await slash_commands.submit(session, message, terminal, self.typing)
        else:
            await self._submit(message, terminal, pressed)
        if message.state == "submitted" or receipts.is_withdrawn(session, message):
            await failpoint("submitted")
            await self._settled(message)

    def _ours(self, message: MessageRecord, terminal: Terminal) -> bool:
        """Whether this is still the message under way, on the terminal on which it was begun."""
        return self._session.current is message and self._session.terminal is terminal

    async def _put(self, message: MessageRecord) -> bool:
        """Arm the message and have the CLI call the editor until it has claimed it. False: not now, begin again."""
        session = self._session
        tries, most, generation = 0, prompt_box.tries(session), session.record.generation
        while tries < most:
            await session.changed.wait_for(
                lambda: (
                    session.idle_for_messages or not session.live or session.per_message or self._may_be_there(message)
                ),
                None,
            )
            if session.per_message:
                return False
            session_folder.mend(session)
            if not self._may_be_there(message) and await self._is_renewed(message):
                return False
            async with self.typing:
                first = session.store.next_message(session.id)
                if (
                    not session.live
                    or first is None
                    or first.id != message.id
                    or session.record.generation != generation
                ):
                    return False
                if self._may_be_there(message):
                    if await self._is_there(message):
                        return True
                    tries += 1
                    continue
                if not session.idle_for_messages:
                    continue
                message.rank = first.rank  # it may have been moved
                if await self._call_editor(message, tries):
                    return True
            if session.editor.rests(time.monotonic()):
                await self._let_rest(message)
            elif session.editor.has_found_draft(message.id):
                await session.changed.wait_for(lambda: session.screen_reading().kind != "draft", DRAFT_SECONDS)
            else:
                tries += 1
        session_folder.require_room(session)
        prompt_box.never_called(session)
        raise PilotlightError(
            "The CLI did not call its editor on Ctrl+G. Check that its keybindings leave ctrl+g on the external editor, and that "
            "no managed settings name another editor.",
            code="editor_not_called",
        )

    async def _let_rest(self, message: MessageRecord) -> None:
        """Another program is Claude's editor: hold the message for a while, unless the process changes or nobody wants it sent
        any more."""
        session, generation = self._session, self._session.record.generation
        await session.changed.wait_for(
            lambda: (
                not session.live
                or session.record.generation != generation
                or session.per_message
                or receipts.is_settled(session, message)
            ),
            session.editor.rests(time.monotonic()),
        )

    async def _is_renewed(self, message: MessageRecord) -> bool:
        """Do what is due before a message is handed over; whether that has changed the process."""
        session = self._session
        if await self._change_mode(message):
            return True
        if recycling.is_stale(session) and await recycling.renew(session, self._lifecycle):
            return True
        return await self._between_turns()

    def _may_be_there(self, message: MessageRecord) -> bool:
        """Whether its text may stand in the box although nobody has heard that it was put there: the editor was called for it,
        and what it would have said is gone with the session's folder."""
        session = self._session
        unheard = message.generation == session.record.generation and session.state is State.IDLE
        return unheard and holds(session.screen_reading(), message.prompt)

    async def _is_there(self, message: MessageRecord) -> bool:
        """Ask the box, and take the text for handed over if it is exactly this one. Another one is a person's draft."""
        session = self._session
        found = await prompt_box.contents(session)
        if found == message.prompt.rstrip():
            session.editor.put_there(message.id)
            receipts.take_up(session, message)
            return True
        if found is not None:
            receipts.not_handed_over(session, message)
        return False

    async def _change_mode(self, message: MessageRecord) -> bool:
        """Have the process in the mode that this message asks for, and say whether that has changed anything. Raise Conflict
        when it cannot be had: the message is sent in no other."""
        session, end = self._session, time.monotonic() + MODE_SECONDS
        while chat_mode.wanting(session.record, session.live, message.mode):
            first = session.store.next_message(session.id)
            if not session.idle_for_messages or first is None or first.id != message.id:
                return True
            refusal = chat_mode.obstacle(session)
            if refusal is None:
                chat_mode.take(session, message.mode)
                if await recycling.renew(session, self._lifecycle):
                    return True
            elif time.monotonic() > end:
                raise Conflict(
                    f"The message asks for the mode `{message.mode}`, which takes a new process. {refusal.message}",
                    code="mode_not_possible",
                )
            await session.changed.wait_for(lambda: not session.idle_for_messages, MODE_LOOK_SECONDS)
        return False

    async def _call_editor(self, message: MessageRecord, tries: int) -> bool:
        session = self._session
        terminal = session.terminal
        assert terminal is not None
        key = prompt_box.editor_key(session)
        session.logs.read()
        session.check_mentions(message.prompt, message.confined)
        with session.change(message):
            message.generation, message.earlier = session.record.generation, session.record.heard
            session.store.save_message(message)
            session.store.save_session(session.record)
            session.logs.settled()  # the next supervisor does not read again what was said before this message
        session.editor.call_again(message.id)
        receipts.take_up(session, message)
        try:
            self._arm(message)
            await failpoint("armed")
            editor = session.editor
            runs = editor.runs
            await terminal.press(f"{message.id}:{message.generation}:g{runs}.{tries}.{time.monotonic_ns()}", key)
            await failpoint("editor_called")
            await session.changed.wait_for(
                lambda: editor.has_claimed(message.id) or editor.runs > runs or session.terminal is not terminal,
                EDITOR_SECONDS,
            )
            if editor.has_claimed(message.id):
                prompt_box.is_ours(session)
            elif editor.runs > runs:
                await prompt_box.back(session)
        finally:
            # From here on no late Ctrl+G hands it over: either it was claimed before, or it never will be.
            self._disarm(message)
            claimed = receipts.is_claimed(session, message)
            if not claimed:
                receipts.let_go(session, message)
            if not claimed and session.editor.has_found_draft(message.id):
                receipts.not_handed_over(session, message)
        if not claimed and editor.runs == runs and session.terminal is terminal:
            await prompt_box.leave_other(session)
        return claimed

    def _arm(self, message: MessageRecord) -> None:
        """Lay it out for the editor. Raise StorageFailed: it waits."""
        outbox = self._session.dir / "outbox"
        temporary = outbox / f"{message.id}.new"
        try:
            for other in outbox.glob("*.pending"):
                other.unlink(missing_ok=True)
            temporary.unlink(missing_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(message.prompt.encode())
            temporary.rename(outbox / f"{message.id}.pending")
        except OSError as error:
            raise StorageFailed(f"{outbox} cannot be written ({error.strerror}). The message waits.") from error

    def _disarm(self, message: MessageRecord) -> None:
        (self._session.dir / "outbox" / f"{message.id}.pending").unlink(missing_ok=True)

    async def _in_box(self, message: MessageRecord, terminal: Terminal) -> bool:
        session = self._session
        await session.changed.wait_for(
            lambda: (
                session.screen_reading().kind == "draft"
                or message.state != "queued"
                or not self._ours(message, terminal)
            ),
            BOX_SECONDS,
        )
        await failpoint("claimed")
        if not self._ours(message, terminal):
            return False
        if message.state == "queued":
            receipts.step(session, message, "typed")
        await failpoint("typed")
        return True

    async def _submit(self, message: MessageRecord, terminal: Terminal, pressed: bool) -> None:
        """Press Enter until the prompt is proven. `pressed`: an earlier supervisor may have pressed it already.

        A CLI that is slow may still have an Enter before it; a second one could then confirm a dialog that the first one's
        turn has opened. So Enter is repeated only once the CLI has called the editor again, which it does after every key
        before that, and never while a dialog is up.
        """
        session = self._session
        emptied = unsure = None
        while message.state == "typed" and self._ours(message, terminal):
            screen_reading, now = session.screen_reading(), time.monotonic()
            ours = holds(screen_reading, message.prompt)
            unsure = (unsure or now) if screen_reading.kind in ("other", "blank", "editor") else None
            if ours and (not pressed or await self._keeps_up(message, terminal)):
                pressed, emptied = True, None
                await self._press_enter(message, terminal)
            elif screen_reading.kind == "prompt" and not pressed:
                pressed, emptied = True, now
                await self._press_enter(message, terminal)
            elif screen_reading.kind in ("draft", "prompt") and not ours:
                emptied = emptied or now
            elif unsure is not None and now - unsure > UNSURE_SECONDS:
                unsure = None
                if await self._holds(message, terminal):
                    pressed = True
                    await self._press_enter(message, terminal)
            if emptied is not None and now - emptied > prompt_box.PROOF_SECONDS:
                await self._insist(message, terminal)
                emptied = now
            await session.changed.wait_for(
                lambda: message.state != "typed" or not self._ours(message, terminal), prompt_box.ENTER_SECONDS
            )

    async def _press_enter(self, message: MessageRecord, terminal: Terminal) -> None:
        async with self.typing:
            await terminal.press(f"{message.id}:{message.generation}:e{time.monotonic_ns()}", ENTER)
        await failpoint("entered")

    async def _holds(self, message: MessageRecord, terminal: Terminal) -> bool:
        """Whether the box holds exactly this prompt, whatever the screen shows: some texts have 2.1.330 draw its cursor
        outside the box."""
        async with self.typing:
            found = await prompt_box.contents(self._session)
        still = message.state == "typed" and self._ours(message, terminal)
        return still and found is not None and found == message.prompt.rstrip()

    async def _keeps_up(self, message: MessageRecord, terminal: Terminal) -> bool:
        """Whether the CLI has dealt with every key so far, and its box still holds the prompt."""
        session = self._session
        async with self.typing:
            focus = await prompt_box.has_focus(
                session, terminal, f"{message.id}:{message.generation}:q{time.monotonic_ns()}"
            )
        if not focus or message.state != "typed" or not self._ours(message, terminal):
            return False
        return await session.changed.wait_for(lambda: holds(session.screen_reading(), message.prompt), BOX_SECONDS)

    async def _insist(self, message: MessageRecord, terminal: Terminal) -> None:
        """The text has left the box, and nothing says that it was submitted. A CLI that still calls the editor has dealt
        with every key before that, so the prompt is lost unless the box still holds it or a turn runs; one that does not,
        for example since it is stopped, may still submit it. Raise `not_submitted` when it is lost."""
        session = self._session
        async with self.typing:
            found = await prompt_box.contents(session)
        if found is None or message.state != "typed" or not self._ours(message, terminal):
            return
        if found == message.prompt.rstrip():
            await self._press_enter(message, terminal)
        elif receipts.is_quiet(session):
            raise PilotlightError(
                "The prompt left the prompt box and was never seen as submitted. Send it again.", code="not_submitted"
            )

    async def _settled(self, message: MessageRecord) -> None:
        """Wait for its fate; the session settles it. A process that is gone is brought back by the lifecycle."""
        session = self._session
        await session.changed.wait_for(lambda: session.current is not message, None)
        if receipts.is_withdrawn(session, message):
            await interrupt.take_out(session, message)


def holds(screen_reading: ScreenReading, prompt: str) -> bool:
    """Whether the box is seen to hold this prompt. A dialog that the first Enter has opened has no draft, and an empty one
    would resemble everything: a second Enter would confirm it (seen without hooks, on a busy machine)."""
    return screen_reading.kind == "draft" and may_be_draft_of(screen_reading.draft, prompt)
