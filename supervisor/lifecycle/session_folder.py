"""The folder of a live session, which something has removed: made again under the process, that is then replaced.

Claude's hooks and its editor work by paths in it, so with an empty one in its place they work again, and a turn that runs is
not cut off. What must not regress: no message waits for ever for a folder that is not there, nor fails for a
disk that is full; whoever looks at the session is told; what was lost with the folder (a request's pipe, files that wait to be
sent) is nobody's any more.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from shared.bus import trouble_events
from shared.errors import Conflict, StorageFailed
from supervisor.claude.settings.set_up import EDITOR_NAME
from supervisor.lifecycle.launch import fill_directories
from supervisor.session.session import Session
from supervisor.store.store import MessageRecord

LOST = "folder_lost"
"""The session's health until its process is replaced, and why it is."""

TRIAL_BYTES = 4096

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


def require_room(session: Session) -> None:
    """Raise StorageFailed when nothing can be written where Claude's editor and its hooks write: without that Claude does not
    even call its editor, and it is the disk's fault and not that of its settings."""
    for folder in (session.dir / "outbox", session.services.paths.temporary_dir(session.id)):
        trial = folder / "room"
        try:
            trial.write_bytes(b"\0" * TRIAL_BYTES)
        except OSError as error:
            raise StorageFailed(
                f"{folder} cannot be written ({error.strerror}), so that Claude does not take what is sent. The message waits."
            ) from error
        finally:
            with suppress(OSError):
                trial.unlink(missing_ok=True)


def require_files(message: MessageRecord) -> None:
    """Raise Conflict when what was to be sent with this message is not there any more."""
    gone = [file["name"] for file in message.attachments if not Path(str(file["path"])).exists()]
    if gone:
        raise Conflict(
            f"{', '.join(map(repr, gone))} went with the session's folder before the message was sent. Send it again, with "
            "its files.",
            code="attachments_lost",
        )
