"""Which conversation a session's process has, and which file it writes that to: both move, and we follow.

`/clear` begins another conversation in the same process, EnterWorktree takes the file to another folder (2.1.330; 2.1.197
leaves it), and SessionStart after `--resume` names the folder it came from. What must not regress: what a process that is
not ours tells through our hooks is never followed; lines that were read in the old place are not read again in the new one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import message_events
from supervisor.claude import hooks
from supervisor.claude.home import find_transcript, transcript_path
from supervisor.observation.log_tails import LogTails
from supervisor.session import scheduled
from supervisor.session.session import Session

NAMED_SECONDS = 1.0
"""How long the status file must have named another conversation before it is followed without a hook."""


@dataclass(frozen=True)
class Known:
    """What the record has: the conversation, the one that it was forked from, and the file."""

    conversation: str
    fork_from: str | None
    transcript: str | None


def begins_another(known: Known, source: object, conversation: str, status: str | None) -> bool:
    """Whether a SessionStart tells that our process has gone on to another conversation. `status` is what the status file of
    our process names; an agent that Claude starts beside us has our hooks, and begins with a `startup` of its own."""
    if conversation in (known.conversation, known.fork_from) or source in (hooks.STARTED_ANEW, hooks.STARTED_BY_FORK):
        return False
    return source == hooks.STARTED_BY_CLEAR or status in (None, conversation)


def moved_to(known: Known, conversation: object, path: object) -> str | None:
    """Where the file of this conversation is now, when a hook names another place than we know; None when it has not moved."""
    if conversation != known.conversation or not isinstance(path, str) or path == known.transcript:
        return None
    if Path(path).stem != conversation:
        return None
    if known.transcript is not None and not Path(path).exists() and Path(known.transcript).exists():
        return None  # SessionStart of a conversation that was resumed in a worktree
    return path


class ConversationFollower:
    """Follows the conversation of one session, and tells the reader of its logs where the file is."""

    def __init__(self, session: Session, tails: LogTails) -> None:
        self._session, self._tails = session, tails
        self._named: tuple[str, float] | None = None
        """What the status file has named instead of the conversation that we know, and since when."""

    def started(self, payload: dict[str, Any]) -> bool:
        """Take in a SessionStart; false when it is an agent's beside us, which begins with a `startup` of its own."""
        session = self._session
        conversation, path, source = (payload.get(name) for name in ("session_id", "transcript_path", "source"))
        status = session.status.conversation_id if session.status is not None else None
        if isinstance(conversation, str) and begins_another(self._known(), source, conversation, status):
            self._go_on(conversation, path if isinstance(path, str) else None)
        elif source == hooks.STARTED_ANEW and conversation not in (
            session.record.conversation_id,
            session.record.fork_from,
        ):
            return False
        else:
            self.follow(payload)
        return True

    def follow(self, payload: dict[str, Any]) -> None:
        """Claude may have taken the file along to another folder."""
        session = self._session
        to = moved_to(self._known(), payload.get("session_id"), payload.get("transcript_path"))
        if to is None:
            return
        with session.change():
            session.record.transcript = to
            session.store.save_session(session.record)
        self._tails.move_transcript(Path(to))

    def follow_status(self, now: float) -> None:
        """With hooks switched off only the status file tells that the process has gone on to another conversation."""
        session = self._session
        named = session.status.conversation_id if session.status is not None else None
        if named is None or named == session.record.conversation_id or not session.record.ready_once:
            self._named = None
            return
        if self._named is None or self._named[0] != named:
            self._named = named, now
        if now - self._named[1] >= NAMED_SECONDS:
            with session.change():
                self._go_on(named, None)
                session.store.save_session(session.record)
            session.changed.notify()

    def _known(self) -> Known:
        record = self._session.record
        return Known(record.conversation_id, record.fork_from, record.transcript)

    def _go_on(self, conversation: str, path: str | None) -> None:
        """The same process has begun another conversation (`/clear`): the old one stays part of the history."""
        session, record = self._session, self._session.record
        session.store.append(
            message_events.ConversationChanged(from_=record.conversation_id, to=conversation), session.id
        )
        if record.transcript:
            left = {"id": record.conversation_id, "transcript": record.transcript}
            record.conversations = [*record.conversations, left]
        record.conversation_id = conversation
        last = record.heard[-1] if record.heard else None
        record.remembered = msgspec.structs.replace(record.remembered, begun_behind=last)
        scheduled.bind_to_process(record)
        record.transcript = path or self._where(conversation)
        self._tails.forget_transcript()

    def _where(self, conversation: str) -> str:
        """The file of a conversation that no hook has told of."""
        home = self._session.services.claude_home
        found = find_transcript(home, conversation)
        return str(found or transcript_path(home, self._session.record.project_path, conversation))
