"""Typing a prompt and proving it: one sender a session, one message at a time.

The text goes in through the CLI's external editor (`docs/decisions/0002-editor-delivery.md`): Ctrl+G makes the CLI call
`editor.sh`, which claims the armed message by renaming it and writes it into the prompt box. That it ran proves that the
box had the focus; that the claim is a rename means that a text is typed at most once, whoever crashes. Then Enter, and
Enter again while the text is still in the box; the text itself is never sent twice. A message is `submitted` only when
Claude's hook or transcript shows it.

    queued --arm, Ctrl+G--> claimed --text in the box--> typed --Enter--> submitted --Stop and transcript--> settled
"""

from __future__ import annotations

import asyncio
import os
import time

from shared.errors import Busy, PilotlightError
from supervisor.holder_client import HolderError, HolderTimeout
from supervisor.lifecycle import Lifecycle
from supervisor.pauses import pause_point
from supervisor.session import Session
from supervisor.states import State
from supervisor.store import MessageRecord

CTRL_G = b"\x07"
ENTER = b"\r"
EDITOR_SECONDS = 3.0
"""How long the CLI may take to call the editor (measured: 25-130 ms, 400 ms the first time)."""

EDITOR_TRIES = 5
BOX_SECONDS = 0.4
"""How long the text may take to appear in the box (measured: 10-130 ms); Enter goes out after it in any case, since the
box has the focus and Enter in an empty box does nothing."""

ENTER_SECONDS = 0.5
"""How long after an Enter the prompt must have left the box before Enter is repeated."""

PROOF_SECONDS = 20.0
"""How long an emptied box may go without a hook or a transcript line before the prompt counts as lost."""

RETRY_SECONDS = 1.0


class Sender:
    """Takes messages from the queue of one session, in order, for ever."""

    def __init__(self, session: Session, lifecycle: Lifecycle) -> None:
        self._session = session
        self._lifecycle = lifecycle
        self._wanted = asyncio.Event()
        self.typing = asyncio.Lock()

    def wake(self) -> None:
        """There may be something to send."""
        self._wanted.set()

    async def run(self) -> None:
        """Send until cancelled. What goes wrong with one message does not stop the next."""
        session = self._session
        while True:
            self._wanted.clear()
            queue = [] if session.state is State.ENDED else session.store.open_messages(session.id)
            if not queue:
                await self._wanted.wait()
                continue
            message = queue[0]
            if session.current is not None and session.current.id == message.id:
                message = session.current
            try:
                await self._send(message)
            except Busy as error:
                session.house.log.info("message_waits_for_a_place", extra={"fields": {"message": message.id}})
                await asyncio.sleep(min(5.0, float(error.data.get("retryAfter", RETRY_SECONDS))))
            except PilotlightError as error:
                self._fail(message, error)
            except (HolderError, HolderTimeout) as error:
                session.house.log.warning(
                    "delivery_interrupted", extra={"fields": {"message": message.id, "why": str(error)}}
                )
                await asyncio.sleep(RETRY_SECONDS)

    def _fail(self, message: MessageRecord, error: PilotlightError) -> None:
        session = self._session
        if session.current is message:
            session.current = None
        (session.dir / "outbox" / f"{message.id}.pending").unlink(missing_ok=True)
        session.step(
            message,
            "failed",
            error={
                "code": error.error_code,
                "message": error.message,
                "status": error.status,
                "retryable": error.retryable,
                "data": error.data,
            },
        )

    async def _send(self, message: MessageRecord) -> None:
        session = self._session
        if message.state == "submitted":
            session.current = message
            await self._settled(message)
            return
        await self._lifecycle.ensure_process()
        claimed = self._claimed(message)
        if message.state == "typed" and not claimed:
            session.requeue(message)
        if claimed:
            session.current = message
        elif not await self._place(message):
            return
        if message.state == "queued":
            await self._in_box(message)
        await self._submit(message)
        await self._settled(message)

    def _claimed(self, message: MessageRecord) -> bool:
        """Whether the editor of this very process has already put the text into the box."""
        session = self._session
        return message.generation == session.record.generation and (
            message.id in session.claimed or (session.dir / "outbox" / f"{message.id}.claimed").exists()
        )

    async def _place(self, message: MessageRecord) -> bool:
        """Arm the message and have the CLI call the editor until it has claimed it; False: another is first now."""
        session = self._session
        tries = 0
        while True:
            await session.pulse.until(lambda: session.idle_for_messages or not session.live, None)
            if not session.live or session.terminal is None:
                await self._lifecycle.ensure_process()
                continue
            first = session.store.open_messages(session.id)
            if not first or first[0].id != message.id:
                return False
            async with self.typing:
                if not session.idle_for_messages:
                    continue
                if await self._call_editor(message, tries):
                    return True
            tries += 1
            if tries >= EDITOR_TRIES:
                self._disarm(message)
                raise PilotlightError(
                    "The CLI did not call its editor on Ctrl+G. Check that its keybindings leave ctrl+g on the external "
                    "editor.",
                    code="editor_not_called",
                )

    async def _call_editor(self, message: MessageRecord, tries: int) -> bool:
        session = self._session
        terminal = session.terminal
        assert terminal is not None
        message.generation = session.record.generation
        session.store.save_message(message)
        session.drafts.discard(message.id)
        session.current = message
        self._arm(message)
        await pause_point("armed")
        runs = session.editor_runs
        await terminal.press(f"{message.id}:{message.generation}:g{runs}.{tries}.{time.monotonic_ns()}", CTRL_G)
        await pause_point("editor_called")
        called = await session.pulse.until(
            lambda: message.id in session.claimed or session.editor_runs > runs or session.terminal is not terminal,
            EDITOR_SECONDS,
        )
        if message.id in session.claimed:
            return True
        self._disarm(message)
        if self._claimed(message):
            return True
        session.current = None
        if called and message.id in session.drafts:
            await session.pulse.until(lambda: session.sight().kind != "draft", 10.0)
        return False

    def _arm(self, message: MessageRecord) -> None:
        outbox = self._session.dir / "outbox"
        temporary = outbox / f"{message.id}.new"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(message.prompt.encode())
        temporary.rename(outbox / f"{message.id}.pending")

    def _disarm(self, message: MessageRecord) -> None:
        (self._session.dir / "outbox" / f"{message.id}.pending").unlink(missing_ok=True)

    async def _in_box(self, message: MessageRecord) -> None:
        session = self._session
        await session.pulse.until(
            lambda: session.sight().kind == "draft" or message.state != "queued" or session.terminal is None,
            BOX_SECONDS,
        )
        if message.state == "queued":
            session.step(message, "typed")
        await pause_point("typed")

    async def _submit(self, message: MessageRecord) -> None:
        """Press Enter until the prompt is proven."""
        session = self._session
        emptied: float | None = None
        while message.state == "typed":
            terminal = session.terminal
            if terminal is None or not session.live:
                return
            sight = session.sight()
            ours = sight.kind == "draft" and resembles(sight.draft, message.prompt)
            if ours or (sight.kind == "prompt" and emptied is None):
                emptied = None if ours else time.monotonic()
                async with self.typing:
                    await terminal.press(f"{message.id}:{message.generation}:e{time.monotonic_ns()}", ENTER)
                await pause_point("entered")
            elif emptied is not None and time.monotonic() - emptied > PROOF_SECONDS:
                raise PilotlightError(
                    "The prompt left the prompt box and was never seen as submitted. Send it again.",
                    code="not_submitted",
                )
            elif sight.kind == "draft" and not ours:
                emptied = emptied or time.monotonic()
            await session.pulse.until(
                lambda: message.state != "typed" or session.terminal is not terminal, ENTER_SECONDS
            )

    async def _settled(self, message: MessageRecord) -> None:
        """Wait for its fate; the session settles it. A process that is gone is brought back by the lifecycle."""
        session = self._session
        await session.pulse.until(lambda: session.current is not message, None)


def resembles(draft: str, prompt: str) -> bool:
    """Whether what stands in the box may be the end of this prompt; only letters and digits are compared, since the
    screen wraps lines, widens tabs and draws some characters differently."""
    seen = "".join(filter(str.isalnum, draft))[-24:]
    return seen in "".join(filter(str.isalnum, prompt))
