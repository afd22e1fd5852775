"""The permission mode that a session's process is in, whoever has changed it: a plan that was approved, an "always", Claude
itself, or a person with Shift+Tab.

Hooks say it, and the row below the prompt box. What must not regress: the mode that is shown, the one in force and the one
that the next process is started with are the same; a mode that was chosen for the next process is not undone by what the
present one is still in; and what is heard late says nothing.
"""

from __future__ import annotations

import msgspec

from shared.bus import session_events
from supervisor.claude import hooks, options
from supervisor.claude.hook_log import HookEvent
from supervisor.store.records import SessionRecord
from supervisor.store.store import Store

DEFAULT = "default"


def started_with(chosen: str | None, arguments: list[str]) -> str | None:
    """The mode of a process that begins; None when the owner's arguments say it."""
    return chosen or (None if options.name_a_mode(arguments) else DEFAULT)


def is_news(event: HookEvent, stopped: bool) -> bool:
    """Whether a hook says the session's mode as it is now. `stopped`: the Stop of its turn was heard before it."""
    return (
        event.name in hooks.TELL_THE_MODE
        and not (stopped and event.name != hooks.STOP)
        and "agent_id" not in event.payload
    )


def follow(record: SessionRecord, store: Store, mode: object) -> None:
    """The process is in this mode, as a hook or its screen says."""
    known, chosen = record.process.mode_now, record.launch.permission_mode
    if not isinstance(mode, str) or known == mode:
        return
    record.process = msgspec.structs.replace(record.process, mode_now=mode)
    if known is not None and not record.process.awaits("permission_mode") and (chosen or DEFAULT) != mode:
        record.launch = msgspec.structs.replace(record.launch, permission_mode=mode)
        planned = record.intent.planned
        if planned is not None and (planned.before or DEFAULT) == mode:
            record.intent = msgspec.structs.replace(record.intent, planned=None)
        store.append(session_events.Updated(recycle=False, permission_mode=mode), record.id)
