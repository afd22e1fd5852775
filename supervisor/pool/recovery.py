"""Opening the database, and what to do when it is damaged: put it aside, take what can still be read, and find the rest.

A damaged file is never written to and never deleted. What it still holds of sessions and open messages is carried over;
what it does not is found where it cannot be damaged along with it: every session's folder says which conversation it is
and which holder keeps it. What must not regress: a living `claude` is found again and not started a second time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared import process
from shared.bus import trouble_events
from shared.foreign_file import SMALL, read_foreign
from shared.paths import Paths
from shared.process import ProcessId
from supervisor import clock
from supervisor.claude import command_line
from supervisor.claude.home import find_transcript
from supervisor.holder import files
from supervisor.session.session import Session
from supervisor.state.states import State
from supervisor.store import verification
from supervisor.store.options import LaunchOptions
from supervisor.store.quarantine import set_aside
from supervisor.store.store import Damaged, MessageRecord, SessionRecord, Store
from supervisor.terminal.holder_client import HolderInfo, read_info

MAX_GENERATION = 100_000


@dataclass
class Loss:
    """What became of a damaged database."""

    moved_to: Path
    reason: str
    sessions: list[SessionRecord] = field(default_factory=list)
    messages: list[MessageRecord] = field(default_factory=list)


def open_store(path: Path) -> tuple[Store, Loss | None]:
    """The database, or a new one beside what is left of a damaged one. Raise StorageFailed when the disk refuses."""
    try:
        store = Store(path)
    except Damaged as error:
        reason = error.message
    else:
        try:
            store.verify()
        except Damaged as error:
            store.close()
            reason = error.message
        else:
            return store, None
    loss = Loss(set_aside(path), reason)
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(loss.moved_to.with_name(loss.moved_to.name + suffix))
    verification.forget(path)
    loss.sessions, loss.messages = Store.readable(loss.moved_to)
    return Store(path), loss


def restore(store: Store, loss: Loss, paths: Paths, claude_home: Path) -> None:
    """Fill a new database with what the damaged one and the sessions' folders still say; each find is an event."""
    with store.transaction(durable=True):
        store.append(trouble_events.Quarantined(what="database", moved_to=str(loss.moved_to), reason=loss.reason))
        known = {record.id: (record, "database") for record in loss.sessions}
        for folder in sorted(paths.sessions_dir.iterdir()):
            if folder.name not in known and (found := record_of(folder, paths, claude_home)) is not None:
                known[found.id] = (found, "folder")
        for record, source in known.values():
            store.save_session(record)
            store.append(trouble_events.Restored(from_=source, state=record.state), record.id)
        for message in loss.messages:
            if message.session_id in known:
                message.rank = 0.0
                store.add_message(message)


def record_of(folder: Path, paths: Paths, claude_home: Path) -> SessionRecord | None:
    """The session that lives or sleeps in this folder; None when nothing is left to go on with."""
    try:
        spec = json.loads(read_foreign(folder / files.SPAWN, SMALL))
        cwd, socket, argv = str(spec["cwd"]), str(spec["socket"]), [str(word) for word in spec["argv"]]
        written = int((folder / files.SPAWN).stat().st_mtime * 1000)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    conversation, options = command_line.read_back(argv)
    if conversation is None:
        return None
    info: HolderInfo | None = None
    with suppress(ValueError):
        info = read_info(folder)
    alive = info is not None and process.alive(info.id)
    transcript = find_transcript(claude_home, conversation)
    if not alive and transcript is None:
        return None
    numbers = range(1, MAX_GENERATION)
    generation = next((n for n in numbers if str(paths.holder_socket(folder.name, n)) == socket), 0)
    record = SessionRecord(
        id=folder.name,
        project_path=cwd,
        created_at=written,
        last_activity=written,
        state=State.UNKNOWN if alive else State.HIBERNATED,
        conversation_id=conversation,
        generation=generation,
        launch=LaunchOptions(**options),
        transcript=str(transcript) if transcript is not None else None,
        ready_once=transcript is not None,
        socket=socket,
        activity_clock=clock.now(),
        activity_boot=clock.BOOT,
    )
    if alive and info is not None:
        record.socket = info.socket
        record.holder, record.child = _pair(info.id), _pair(info.child.id)
    return record


def _pair(who: ProcessId) -> list[int]:
    return [who.pid, who.start_time]


def forgive(sessions: Iterable[Session]) -> None:
    """Whoever stops and starts the supervisor may have mended what `claude` died of: the next start is not put off."""
    for session in sessions:
        if session.state is State.HIBERNATED and session.record.failures > 1:
            with session.change():
                session.record.failures = 1
                session.store.save_session(session.record)
