"""The lock of a conversation: at most one process writes a transcript, ever.

It lies in Claude's own home, so that two pilotlights with one Claude home share it. What must not regress: a process is only
ever started under this lock, which its holder keeps for as long as its `claude` writes, and never beside a `claude` that somebody
started by hand.
"""

from __future__ import annotations

from pathlib import Path

from shared.errors import StartFailed
from supervisor.claude import status_file
from supervisor.session import move
from supervisor.session.session import Session


def of(session: Session) -> Path:
    """The file that a holder locks for as long as its `claude` writes the conversation, whichever home it belongs to."""
    return lock_of(session.services.claude_home, session.record.conversation_id)


def lock_of(claude_home: Path, conversation: str) -> Path:
    """The lock of one conversation of one Claude home."""
    return claude_home / "pilotlight-locks" / f"{conversation}.lock"


def refuse_second_process(session: Session) -> None:
    """A `claude` that somebody started by hand on this conversation keeps it, and so does another node. Raise StartFailed, or
    what `move.refuse` does."""
    move.refuse(session.record)
    pid = status_file.owner(session.services.claude_home, session.record.conversation_id)
    if pid is not None:
        raise StartFailed(
            f"Another `claude` (pid {pid}) has this conversation open. Close it there first.",
            code="conversation_in_use",
        )
