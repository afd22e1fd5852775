"""The folder of a live session, which something has removed: made again under the process, that is then replaced.

Claude's hooks and its editor work by paths in it, so with an empty one in its place they work again, and a turn that runs is
not cut off. What must not regress: no message waits for ever for a folder that is not there; whoever looks at the session is
told; what was lost with the folder (a request's pipe, files that wait to be sent) is nobody's any more.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from shared.bus import trouble_events
from shared.errors import Conflict
from supervisor.claude.settings.set_up import EDITOR_NAME
from supervisor.lifecycle.launch import fill_directories
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord

LOST = "folder_lost"
"""The session's health until its process is replaced, and why it is."""

_PARTS = ("spool", "outbox", f"bin/{EDITOR_NAME}")


def mend(session: Session) -> bool:
    """Make the folder of a live session anew if it, or what its process needs of it, is gone. Whether it was. Raise
    StorageFailed."""
    missing = [part for part in _PARTS if not (session.dir / part).exists()]
    if not session.live or session.record.child is None or not missing:
        return False
    fill_directories(session)
    session.logs.begin_again()
    for permission in [known for known in session.permissions.pending if not known.spool.exists()]:
        session.permissions.lose(permission)
    with session.change(durable=True):
        session.record.process = msgspec.structs.replace(session.record.process, stale=LOST)
        session.store.save_session(session.record)
        session.store.append(trouble_events.FolderLost(missing=missing), session.id)
    session.health.begin(LOST)
    session.changed.notify()
    return True


def require_files(message: MessageRecord) -> None:
    """Raise Conflict when what was to be sent with this message is not there any more."""
    gone = [file["name"] for file in message.attachments if not Path(str(file["path"])).exists()]
    if gone:
        raise Conflict(
            f"{', '.join(map(repr, gone))} went with the session's folder before the message was sent. Send it again, with "
            "its files.",
            code="attachments_lost",
        )
