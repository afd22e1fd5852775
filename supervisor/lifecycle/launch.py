"""What a start of `claude` needs: its command line, its folders, and its conversation, if it is to go on with one.

What must not regress: a conversation of which something was said is resumed, or the start is refused: it never becomes a new
one silently.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from shared.claude_names import CONFIG_DIR
from shared.errors import Conflict, StartFailed, StorageFailed
from shared.foreign_file import Unreadable
from supervisor.claude import command_line as command
from supervisor.claude import print_mode
from supervisor.claude.home import find_transcript, holds_conversation, transcript_path
from supervisor.claude.settings import protection
from supervisor.holder import files
from supervisor.lifecycle import conversation_lock
from supervisor.observation import hook_silence
from supervisor.session import move, spent_files
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord, SessionRecord
from supervisor.terminal.holder_client import HolderError, HolderInfo, HolderTimeout, SpawnSpec, launch

RING_BYTES = 1 << 20
LAUNCH_SECONDS = 10.0
OWN_LOCK_SECONDS = 0.02
"""How often to look whether a holder of ours that has the session's lock has come up or gone."""

_START_ERRORS = {
    "not_found": "claude_not_found",
    "not_executable": "claude_not_executable",
    "bad_cwd": "project_path_missing",
    "locked": "conversation_in_use",
    "launch_failed": "holder_failed",
    "spawn_failed": "spawn_failed",
}


def command_line(session: Session, resume: bool, message: MessageRecord | None = None) -> command.Launch:
    """How its `claude` is started: with the conversation that there is, or a new one; for this one message only, if there is
    one."""
    record, services = session.record, session.services
    start = command.launch(
        config=services.config().claude,
        own=services.environment,
        session_dir=session.dir,
        temporary=services.paths.temporary_dir(record.id),
        cwd=record.project_path,
        conversation_id=record.conversation_id,
        resume=resume,
        fork_from=forked_from(record) if not resume else None,
        denied=[*protection.denied(services.paths, record.id), *hook_silence.refusals(session)],
        options=command.Options(**msgspec.structs.asdict(record.launch)),
        hooks=print_mode.hooks_in_order if message is not None else lambda hooks: hooks,
    )
    return start if message is None else print_mode.wrapped(start, session.dir, message.id)


def forked_from(record: SessionRecord) -> str | None:
    """The conversation that the present one is a fork of; one that was begun in a fork (`/clear`) is nobody's."""
    return None if record.conversations else record.fork_from


def spec(session: Session, start: command.Launch, socket: Path) -> SpawnSpec:
    """What the holder is told."""
    sessions = session.services.config().sessions
    return SpawnSpec(
        argv=start.argv,
        env=start.env,
        cwd=start.cwd,
        cols=sessions.columns,
        rows=sessions.rows,
        ring_bytes=RING_BYTES,
        socket=str(socket),
        locks=[str(conversation_lock.of(session))],
    )


def fill_directories(session: Session) -> None:
    """What is missing of the session's folders. Raise StorageFailed."""
    temporary = session.services.paths.temporary_dir(session.id)
    try:
        temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("", "spool", "outbox", "attachments"):
            (session.dir / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        command.link_editor(session.dir)
    except OSError as error:
        raise StorageFailed(f"{session.dir} cannot be written: {error}.") from error


def make_directories(session: Session) -> None:
    """The session's folders, with nothing in the outbox, and nothing old in the spool. Raise StorageFailed."""
    fill_directories(session)
    try:
        spent_files.remove_left(session.dir / "spool")
        for stale in (session.dir / "outbox").iterdir():
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise StorageFailed(f"{session.dir} cannot be written: {error}.") from error


def has_transcript(session: Session) -> bool:
    """Whether there is a conversation to be resumed; its transcript may have to be looked for."""
    try:
        return _find_transcript(session)
    except Unreadable as error:
        session.logs.unreadable.note(Path(error.filename), error.reason)
        return False


def other_home(session: Session) -> str | None:
    """That the conversation lies in another home of Claude's than the one that it would be started with, in words."""
    record, home = session.record, session.services.claude_home
    if not record.transcript or Path(record.transcript).stem != record.conversation_id:
        return None
    if Path(record.transcript).is_relative_to(home) or Path(record.transcript).resolve().is_relative_to(home.resolve()):
        return None
    return (
        f"The conversation is in {record.transcript}, and Claude's home is {home} now. Set {CONFIG_DIR} (claude.env) as it "
        "was, or bring the transcript there."
    )


def is_resumed(session: Session) -> bool:
    """As `has_transcript`, for a start. Raise StartFailed when there is something in the place of the transcript that cannot be
    read, or it is in another home or gone after something was said: it is not for us to begin a new conversation there."""
    record = session.record
    try:
        found = _find_transcript(session)
        elsewhere = other_home(session) if found else None
        if elsewhere is not None:
            raise StartFailed(elsewhere, code="claude_home_changed")
        if not found and record.remembered.spoken == record.conversation_id:
            raise StartFailed(
                f"The transcript of the conversation ({record.transcript}) is gone, so it cannot be resumed.",
                code="transcript_missing",
            )
        return found
    except Unreadable as error:
        session.logs.unreadable.note(Path(error.filename), error.reason)
        raise StartFailed(
            f"The transcript of the conversation ({error.filename}) cannot be read: {error.reason}. Put it right, then reopen "
            "the session.",
            code="transcript_unreadable",
        ) from error


def refuse_lost(session: Session) -> None:
    """Raise Conflict when something was said in the session and its transcript is gone, or in another home, and what
    `move.refuse` does: nothing is promised of it."""
    move.refuse(session.record)
    record = session.record
    if record.remembered.spoken == record.conversation_id and not has_transcript(session):
        raise Conflict(
            f"The transcript of the conversation ({record.transcript}) is gone, so it cannot be resumed.",
            code="transcript_missing",
        )
    if (elsewhere := other_home(session)) is not None:
        raise Conflict(elsewhere, code="claude_home_changed")


def _find_transcript(session: Session) -> bool:
    record = session.record
    known = Path(record.transcript) if record.transcript else None
    whole = known is not None and known.stem == record.conversation_id and holds_conversation(known)
    if whole and other_home(session) is None:
        return True
    home = session.services.claude_home
    guess = transcript_path(home, record.project_path, record.conversation_id)
    found = guess if os.path.lexists(guess) else find_transcript(home, record.conversation_id)
    if found is None or not holds_conversation(found):
        return whole
    record.transcript = str(found)
    return True


async def launch_holder(
    session: Session, spec: SpawnSpec, take_over: Callable[[], Awaitable[bool]]
) -> HolderInfo | None:
    """The new holder; None when one that an earlier supervisor has begun to start was taken over instead. Raise
    StartFailed."""
    own_lock = str(session.dir / files.LOCK)
    end = time.monotonic() + LAUNCH_SECONDS
    while True:
        try:
            return await launch(session.dir, spec, LAUNCH_SECONDS, session.services.spares)
        except HolderTimeout as error:
            raise StartFailed(f"The session's holder did not start: {error}", code="holder_timeout") from error
        except HolderError as error:
            # Our own lock is held by a holder that is still coming up, or has a moment left to live.
            if error.code == "locked" and error.data.get("path") == own_lock and time.monotonic() < end:
                if await take_over():
                    return None
                await asyncio.sleep(OWN_LOCK_SECONDS)
                continue
            code = _START_ERRORS.get(error.code, "start_failed")
            raise StartFailed(f"`claude` could not be started: {error.message}", code=code) from error
