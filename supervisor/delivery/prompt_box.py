"""What stands in the prompt box, exactly, whatever the screen shows of it.

The CLI hands its draft to the external editor, and ours keeps a copy and leaves it alone. That it was called at all proves
that the box has the focus and that every key before Ctrl+G was dealt with (docs/decisions/0002-editor-delivery.md).
"""

from __future__ import annotations

import asyncio
import time
import uuid

from shared.bus import trouble_events
from shared.errors import Conflict, PilotlightError, StorageFailed
from shared.process import ProcessId
from supervisor.claude import command_line
from supervisor.claude.settings import keybindings, other_editor
from supervisor.delivery import queue
from supervisor.failpoints import failpoint
from supervisor.session.session import Session
from supervisor.terminal.terminal import Terminal

ENTER_SECONDS = 0.5
"""How long after an Enter the prompt must have left the box before Enter is repeated."""

PROOF_SECONDS = 20.0
"""How long an emptied box may go without a hook or a transcript line before the prompt counts as lost."""

EDITOR_TRIES = 5
EDITOR_SECONDS = 3.0
"""How long the CLI may take to call the editor (measured: 25-130 ms, 400 ms the first time)."""

BACK_SECONDS = 0.5
"""How long the CLI may take to draw its box anew behind the editor (measured: 10-60 ms)."""

BOX_LOOK_SECONDS = 0.005
EDITOR_TAKEN = "editor_taken"
ADVICE = (
    "managed settings or a wrapper set EDITOR or VISUAL. Take that out; messages are sent once ours is called again."
)
PERSON = "person"
"""The file in the outbox that says that a person has pressed the key for their own editor."""


def editor_key(session: Session) -> bytes:
    """What to press for the CLI's editor, which it can call from now on: something that tidies up may have removed the folder in
    which it lays the file for it. Raise PilotlightError when no key does, StorageFailed without that folder."""
    home = session.services.claude_home
    key = keybindings.editor_key(home)
    if key is None:
        raise PilotlightError(keybindings.trouble(home) or "", code="editor_key_taken")
    folder = session.services.paths.temporary_dir(session.id)
    try:
        command_line.keep_temporary(folder)
    except OSError as error:
        raise StorageFailed(f"{folder} cannot be made ({error.strerror}). The message waits.") from error
    return key


async def contents(session: Session) -> str | None:
    """The text in the box, less trailing white space; None when the CLI did not call its editor, as while a dialog is up.
    Raise Conflict without a process. Nobody else may type meanwhile: the caller has the session's `typing`."""
    if session.terminal is None:
        raise Conflict("The session has no process.", code="no_process")
    probe = f"probe-{uuid.uuid4().hex[:8]}"
    pending = session.dir / "outbox" / f"{probe}.pending"
    editor = session.editor
    editor.ask(probe)
    try:
        pending.touch(mode=0o600)
        await session.terminal.press(f"{probe}:{time.monotonic_ns()}", editor_key(session))
        if await session.changed.wait_for(
            lambda: editor.has_found_draft(probe) or editor.has_claimed(probe), EDITOR_SECONDS
        ):
            await back(session)
        else:
            await leave_other(session)
        if editor.has_claimed(probe):
            return ""  # an empty box is handed an empty text
        found = editor.text(probe)
        return None if found is None else found.rstrip()
    finally:
        for file in (pending, pending.with_suffix(".claimed")):
            file.unlink(missing_ok=True)
        editor.forget(probe)


async def has_focus(session: Session, terminal: Terminal, write_id: str) -> bool:
    """Whether the CLI has dealt with every key so far and its prompt box has the focus: it calls its editor, which it never
    does while a dialog is up. Nobody else may type meanwhile, as with `contents`; also when what was asked about is settled
    before the editor has run, since a person's keys come next."""
    runs = session.editor.runs
    await terminal.press(write_id, editor_key(session))
    await failpoint("probed")
    await session.changed.wait_for(
        lambda: (
            session.editor.runs > runs or session.screen_reading().menu is not None or session.terminal is not terminal
        ),
        EDITOR_SECONDS,
    )
    called = session.editor.runs > runs
    if called:
        await back(session)
    elif session.terminal is terminal:
        await leave_other(session)
    return called


async def leave_other(session: Session) -> None:
    """The CLI was asked for its editor, and ours was not called. When another program was, say so, end that and wait for the
    box. It ends with the next call of ours; until then nothing is handed over but now and then (`Editor.rests`)."""
    terminal, child = session.terminal, session.record.child
    if terminal is None or child is None or session.screen_reading().kind in ("prompt", "draft"):
        return
    if (session.dir / "outbox" / PERSON).exists():
        return  # a person has pressed the key a moment ago
    found = await asyncio.to_thread(other_editor.find, ProcessId(*child), session.editor.persons)
    if not found:
        return
    _say(session, other_editor.name(found))
    await asyncio.to_thread(other_editor.end, found)
    await session.changed.wait_for(
        lambda: session.screen_reading().kind in ("prompt", "draft") or session.terminal is not terminal, EDITOR_SECONDS
    )


def _say(session: Session, name: str) -> None:
    why = f"Claude opens `{name}` in place of the editor that hands messages over: {ADVICE}"
    queue.hold(session, why)
    session.editor.another_ran(time.monotonic())
    _note(session, name)


def tries(session: Session) -> int:
    """How often it is asked for before a message is given up: once, where it was not called for the one before either."""
    return 1 if EDITOR_TAKEN in session.health else EDITOR_TRIES


def never_called(session: Session) -> None:
    """It was asked for in vain, and the box stood there each time: another program took its place and returned at once, or the
    key does nothing."""
    _note(session, "one that returns at once, or none")


def _note(session: Session, name: str) -> None:
    session.services.log.warning("editor_taken", extra={"fields": {"session": session.id, "editor": name}})
    if EDITOR_TAKEN not in session.health:
        with session.change():
            session.health.begin(EDITOR_TAKEN)
            session.store.append(trouble_events.EditorTaken(editor=name), session.id)
    session.changed.notify()


def is_ours(session: Session) -> None:
    """Our editor was called: if another one was before, that keeps nothing from being sent any more."""
    if EDITOR_TAKEN in session.health:
        session.health.end(EDITOR_TAKEN)
        queue.no_obstacle(session)


async def back(session: Session) -> None:
    """Wait until the CLI, which has called its editor, has drawn its box again: what is typed before that is lost with what
    the box held (2.1.330, three times in four)."""
    is_ours(session)
    terminal, heard = session.terminal, time.monotonic()
    while terminal is not None and session.terminal is terminal and time.monotonic() - heard < BACK_SECONDS:
        drawn = terminal.drawn_at > heard and terminal.settled
        if drawn and session.screen_reading().kind in ("prompt", "draft"):
            return
        await asyncio.sleep(BOX_LOOK_SECONDS)
