"""What a session's `claude` is started with, and how a change of it reaches a process that runs.

Model, permission mode, effort, folders, MCP servers and system prompt are flags of the command line, so a change needs a
new process: at once when the session is idle, otherwise between this turn and the next. What must not regress: a turn is
never cut off for it, and a value that would keep the CLI from starting is refused before anything is stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.errors import Conflict
from supervisor.claude.home import find_transcript
from supervisor.claude.options import CHECKS
from supervisor.lifecycle.lifecycle import Lifecycle
from supervisor.session.session import Session
from supervisor.store.options import SETTINGS_CHANGED, LaunchOptions

NOTHING_CHOSEN = LaunchOptions()
NAMES = LaunchOptions.__struct_fields__


def options(given: Mapping[str, Any], before: LaunchOptions = NOTHING_CHOSEN) -> LaunchOptions:
    """These options in the place of those before. Raise InvalidRequest for what the CLI would not start with."""
    found: dict[str, Any] = {}
    for name, value in given.items():
        nothing = value is None or value == []
        found[name] = getattr(NOTHING_CHOSEN, name) if nothing else CHECKS[name](value)
    return msgspec.structs.replace(before, **found)


def change(session: Session, given: Mapping[str, Any]) -> bool:
    """Note new options for the next process. Whether the one that runs has others. Whoever chooses a permission mode has the
    last word: no chat's mode undoes it."""
    record, launch = session.record, options(given, session.record.launch)
    changed = [name for name in NAMES if getattr(launch, name) != getattr(record.launch, name)]
    record.launch = launch
    if changed and session.live:
        record.process = record.process.outdated(changed)
    if "permission_mode" in given:
        record.intent = msgspec.structs.replace(record.intent, planned=None)
    return bool(changed)


def is_stale(session: Session) -> bool:
    """Whether its process was started with options that were changed since, or its holder by another version of ours."""
    return session.live and bool(session.record.process.stale)


def never_spoke(session: Session) -> bool:
    """Whether there is no conversation yet that a new process would have to go on with."""
    record = session.record
    found = record.remembered.spoken or find_transcript(session.services.claude_home, record.conversation_id)
    return not found


async def renew(session: Session, lifecycle: Lifecycle, cause: str | None = None) -> bool:
    """Start a process with the present options in the place of the one that runs; False: not now."""
    cause = cause or session.record.process.stale or SETTINGS_CHANGED
    try:
        if never_spoke(session):
            await lifecycle.replace(cause)  # nothing was said yet, so nothing can be resumed
        else:
            await lifecycle.recycle(cause)
    except Conflict:
        return False
    return True
