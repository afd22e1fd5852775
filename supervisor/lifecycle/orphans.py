"""What a process has left behind: its holder's files, its last words, and members of its tree that outlive it.

A background task runs in a process session of its own; when SIGKILL takes both `claude` and the holder that would have
inherited it, it lives on under init (measured). It still carries the session's directory in its environment, which only
`claude` hands down, so it is found by that. Linux only: elsewhere another process's environment cannot be read.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from shared import process
from shared.process import ProcessId, family
from supervisor.claude import last_words as claude_words
from supervisor.holder import files
from supervisor.holder.ring import read_tail
from supervisor.lifecycle.restart_policy import Exit
from supervisor.session.session import Session
from supervisor.terminal.holder_client import HolderInfo, read_exit, read_info
from supervisor.terminal.screen import Screen

MARK = "PILOTLIGHT_SESSION_DIR"
LAST_WORDS_BYTES = 1 << 16
LAST_RUNGS = ((1, 1.0), (15, 2.0), (9, 2.0))
"""Signal and patience for a tree whose holder is gone: HUP, TERM, KILL."""


def holder_info(session: Session) -> HolderInfo | None:
    """What its last holder has written about itself; a damaged file is put aside."""
    try:
        return read_info(session.dir)
    except ValueError as error:
        session.quarantine(session.dir / files.INFO, str(error))
        return None


def note_holder(session: Session, info: HolderInfo) -> None:
    """Remember who holds the session's process now."""
    record = session.record
    record.holder = [info.pid, info.start_time]
    record.child = [info.child.pid, info.child.start_time]
    session.store.save_session(record)


def living(session: Session) -> HolderInfo | None:
    """Its last holder, if that and the process that it holds are still there."""
    info = holder_info(session)
    if info is None or not process.alive(info.id) or not process.alive(info.child.id):
        return None
    return info


def exit_on_disk(session: Session, child: ProcessId | None) -> Exit | None:
    """How the last process, or exactly this one, ended as far as its holder could write it down."""
    with suppress(ValueError):
        found = read_exit(session.dir)
        if found is not None and (child is None or (found.child is not None and found.child.id == child)):
            return Exit(found.exit_status, found.signal)
    return None


def last_words(session: Session) -> str:
    """What is on the screen; for a process that was gone before anybody looked, what its ring has kept."""
    talked = session.record.ready_once
    said = claude_words.last_words(session.terminal.screen.lines(), talked) if session.terminal is not None else ""
    if said:
        return said
    sizes = session.services.config().sessions
    screen = Screen(sizes.columns, sizes.rows)
    try:
        screen.feed(read_tail(str(session.dir / files.RING), LAST_WORDS_BYTES).data)
        return claude_words.last_words(screen.lines(), talked)
    except (OSError, ValueError):
        return ""
    finally:
        screen.close()


def drop_ring(session: Session) -> None:
    """Give back the space of a ring whose process is gone and whose last words are told: nobody reads it any more, and the
    next process begins a new one."""
    with suppress(OSError):  # then it stays where it is, and the next one replaces it
        (session.dir / files.RING).unlink(missing_ok=True)


def belonging(session_dir: Path) -> list[ProcessId]:
    """Every living process that was started from this session's `claude`, and that `claude` itself; not Claude's daemon."""
    if sys.platform != "linux":
        return []
    mark = os.fsencode(f"{MARK}={session_dir}")
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                carries = mark in file.read().split(b"\0")
        except OSError:
            continue
        if carries and (living := process.identify(int(name))) is not None and not family.is_nobodys(living):
            found.append(living)
    return found


async def end_them(session: Session) -> None:
    """End what is left of a process whose holder is gone: tasks in process sessions of their own, and `claude`
    itself if it has closed its terminal. Every process of the machine is looked at for that, so a session that has never had
    a process is spared it."""
    info = holder_info(session)
    if info is None and session.record.generation == 0:
        return
    if info is not None and process.alive(info.id):
        return

    def members() -> list[ProcessId]:
        found = set(belonging(session.dir))
        known = [ProcessId(*session.record.child)] if session.record.child else []
        known += [info.child.id] if info is not None else []
        for child in known:
            if process.alive(child):
                found |= {child, *family.members(child)}
        return list(found)

    for number, patience in LAST_RUNGS:
        if not (left := members()):
            return
        end = time.monotonic() + patience
        for member in left:
            process.send_signal(member, number)
        while left and time.monotonic() < end:
            await asyncio.sleep(0.01)
            left = [member for member in left if process.alive(member)]
