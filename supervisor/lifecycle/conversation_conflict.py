"""Somebody else's `claude` on a conversation of ours: started by hand beside a process that lives.

Nothing can prevent that: the CLI starts happily, the two branch silently, and on resume one side's messages are gone
(measured). So it is looked for before each prompt and in each health pass, said once, nothing more is typed, and our own
process goes to sleep as soon as it is at rest. What must not regress: our own process is never taken for a stranger.
"""

from __future__ import annotations

from shared import process
from shared.errors import Conflict, StartFailed
from shared.process import ProcessId
from supervisor.claude import status_file
from supervisor.lifecycle import shared_conversation
from supervisor.lifecycle.lifecycle import Lifecycle
from supervisor.lifecycle.shared_conversation import SHARED
from supervisor.session.session import Session


def other_process(session: Session) -> int | None:
    """The pid of another living `claude` that has the session's conversation open."""
    if not session.live or session.record.child is None:
        return None
    child = ProcessId(*session.record.child)
    for pid in status_file.owners(session.services.claude_home, session.record.conversation_id):
        # A `claude.command` that is a script may have the real one below it.
        if pid != child.pid and pid not in {below.pid for below in process.descendants(child)}:
            return pid
    return None


def refuse_beside(session: Session) -> None:
    """Raise StartFailed when a prompt would go into a conversation that somebody else has open, too."""
    pid = other_process(session)
    if pid is not None:
        raise StartFailed(
            f"Another `claude` (pid {pid}) has this conversation open, too. Close it there first.",
            code="conversation_in_use",
        )


async def check(session: Session, lifecycle: Lifecycle) -> None:
    """Say it once, and leave the conversation to the other one as soon as ours is at rest."""
    pid = other_process(session)
    if pid is None:
        shared_conversation.end(session)
        return
    shared_conversation.begin(session, pid=pid)
    try:
        await lifecycle.hibernate(SHARED)
    except Conflict:
        pass  # at work, waiting or watched: in a later pass
