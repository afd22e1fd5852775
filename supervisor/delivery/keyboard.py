"""A person's keys on their way into the pty.

What must not regress: keys and a chat message never interleave. Keys wait while a prompt is being typed, from the call
of the editor until it was submitted and has left the box, and are refused, never merged, when that takes too long. What a
terminal says by itself (answers to queries, focus) is not typed: a session has many viewers, and an answer that comes
late would end up in the prompt box. Ctrl+Z is not typed either: there is no shell to bring Claude back.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from shared.errors import Conflict, PilotlightError, Unavailable
from supervisor.claude.texts.prompts import may_be_draft_of
from supervisor.delivery.prompt_box import PERSON
from supervisor.lifecycle import one_message
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store.store import MessageRecord
from supervisor.terminal.holder_client import HolderError
from supervisor.terminal.keys import SUSPEND
from supervisor.terminal.terminal import Terminal

MAX_PENDING = 1024 * 1024
MAX_PRESS = 64 * 1024
KEEP_SECONDS = 25.0
"""How long keys wait for a prompt to be submitted: longer than delivery takes to give up."""

SAVE_SECONDS = 30.0
PERSON_SECONDS = 3.0
"""How long Ctrl+G may take to call the person's editor (see EDITOR_SECONDS in delivery)."""

_REPORT = re.compile(
    rb"\x1b\[[IO]"  # focus gained, lost
    rb"|\x1b\[[?>=][\d;]*[cnu]"  # device attributes, status and colour scheme reports, keyboard flags
    rb"|\x1b\[\?[\d;]*\$y"  # mode reports
    rb"|\x1b\[(?!1;)\d+;\d+R"  # cursor position (1;n is F3 with a modifier)
    rb"|\x1b\[[4689];\d+;\d+t"  # window and cell sizes
    rb"|\x1b\](?:[0-9]|1[0-9]|5[0-9]*|7501);[^\x07\x1b]*(?:\x07|\x1b\\)"  # colours, clipboard, titles
    rb"|\x1bP[>01][^\x1b]*\x1b\\"  # version, capabilities
    rb"|\x1b_[^\x1b]*\x1b\\"  # graphics
)
_HALF_REPORT = re.compile(
    rb"\x1b(?:\[[?>=][\d;$]*|\[\d[\d;]*|\][0-9]+;?[^\x07\x1b]{0,4096}\x1b?|P[>01][^\x1b]{0,4096}\x1b?)$"
)
_INTRODUCTIONS = (b"\x1b[", b"\x1b]", b"\x1bP", b"\x1b_")
"""How reports begin, and also what Alt and one of these keys sends."""

INTRODUCTION_SECONDS = 0.25
"""How long what may be Alt and a key is kept for the rest of a report (seen: cut there, with 80 ms between)."""

_CTRL_G = (b"\x07", b"\x1b[103;5u", b"\x1b[27;5;103~")
_PASTE = re.compile(rb"(\x1b\[200~.*?\x1b\[201~)", re.DOTALL)


class ReportFilter:
    """Takes out of a person's input what no person has typed. Keeps an unfinished report for the next call; when that does not
    come within `INTRODUCTION_SECONDS`, what is `doubtful` was a key, and is to be let go."""

    def __init__(self) -> None:
        self._half = b""

    def feed(self, data: bytes) -> bytes:
        """What is to be typed."""
        data = self._half + data
        half = _HALF_REPORT.search(data)
        # The beginning of an arrow key with a modifier looks the same: it goes on with its end, in the next read.
        cut = half.start() if half else len(data) - 2 if data.endswith(_INTRODUCTIONS) else len(data)
        self._half, data = data[cut:], data[:cut]
        parts = _PASTE.split(data)
        return b"".join(
            part if part.startswith(b"\x1b[200~") else SUSPEND.sub(b"", _REPORT.sub(b"", part)) for part in parts
        )

    @property
    def doubtful(self) -> bool:
        """Whether what is kept may be a whole key."""
        return self._half in _INTRODUCTIONS

    def let_go(self) -> bytes:
        """What is kept and may be a whole key; nothing else."""
        key, self._half = (self._half, b"") if self.doubtful else (b"", self._half)
        return key


class KeyboardQueue:
    """Types for whoever has the keyboard of one session."""

    def __init__(self, session: Callable[[], Session]) -> None:
        self._session = session
        self._name = uuid.uuid4().hex[:12]
        self._numbers = itertools.count(1)
        self._pending = bytearray()
        self._refused: Callable[[PilotlightError], None] = lambda error: None
        self._task: asyncio.Task[None] | None = None
        self._saved_at = 0.0

    def type(self, data: bytes, refused: Callable[[PilotlightError], None]) -> None:
        """Type in order, soon. `refused` hears of what could not be typed."""
        self._refused = refused
        if len(self._pending) + len(data) > MAX_PENDING:
            refused(Unavailable("Too much is waiting to be typed.", code="not_typed"))
            return
        self._pending += data
        if self._pending and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._run(), name="typist")

    def forget(self) -> None:
        """Drop what has not been typed: its writer has lost the keyboard."""
        self._pending.clear()

    def stop(self) -> None:
        """End."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._pending:
            try:
                await self._press_some()
            except (PilotlightError, HolderError) as error:
                self._pending.clear()
                if isinstance(error, HolderError):
                    error = Unavailable(f"The keys were not typed: {error.message}.", code="not_typed")
                self._refused(error)

    async def _press_some(self) -> None:
        session = self._session()
        async with keyboard(session, KEEP_SECONDS) as terminal:
            data = bytes(self._pending[:MAX_PRESS])
            del self._pending[:MAX_PRESS]
            if not data:
                return
            if any(key in data for key in _CTRL_G):
                announce_person(session.dir / "outbox" / PERSON)
            session.person_presses(data)
            await terminal.press(f"p:{self._name}:{next(self._numbers)}", data)
        self._touch(session)

    def _touch(self, session: Session) -> None:
        session.touch()
        now = time.monotonic()
        if now - self._saved_at > SAVE_SECONDS:
            self._saved_at = now
            session.store.save_session(session.record)


@asynccontextmanager
async def keyboard(session: Session, patience: float) -> AsyncIterator[Terminal]:
    """The keyboard of a session, to the caller alone, once no prompt is on its way through the prompt box. Raise Conflict
    without a process, Unavailable when a prompt does not get through within `patience` seconds."""
    end = time.monotonic() + patience
    if session.per_message or session.printing:
        raise one_message.refusal("A terminal")
    while True:
        await session.changed.wait_for(lambda: not sending(session), max(0.0, end - time.monotonic()))
        async with session.typing:
            if session.terminal is None:
                raise Conflict(f"The session is {session.state}: it has no keyboard.", code="no_process")
            if not sending(session):
                yield session.terminal
                return
        if time.monotonic() >= end:
            raise Unavailable("A message is being typed and does not get through.", code="keyboard_held")


def refuse_beside_writer(session: Session) -> None:
    """Raise Conflict while somebody at a terminal has the keyboard: two would type at once."""
    if session.writer is not None:
        raise Conflict(f"{session.writer} is at the terminal and has the keyboard.", code="not_writer")


def sending(session: Session) -> bool:
    """Whether a prompt is on its way through the prompt box."""
    message = session.current
    if message is None or session.terminal is None or session.state is State.WAITING:
        return False
    return message.state in ("accepted", "queued", "typed") or (
        message.state == "submitted" and _stands(session, message)
    )


def _stands(session: Session, message: MessageRecord) -> bool:
    """Whether the box still shows a prompt that Claude has already told of: it is cleared a moment later, or some hundred
    milliseconds on a busy machine, and what was typed until then is gone with it (seen on 2.1.196 and 2.1.332)."""
    if session.emptied == message.id:
        return False
    screen_reading = session.screen_reading()
    if screen_reading.kind == "draft" and may_be_draft_of(screen_reading.draft, message.prompt):
        return True
    if screen_reading.kind in ("prompt", "draft"):
        session.emptied = message.id
    return False


def announce_person(mark: Path) -> None:
    """Tell `editor.sh` that a person has pressed Ctrl+G; take it back when nobody has called it (a dialog was up)."""
    try:
        mark.touch(mode=0o600)
    except OSError:
        return
    asyncio.get_running_loop().call_later(PERSON_SECONDS, lambda: mark.unlink(missing_ok=True))
