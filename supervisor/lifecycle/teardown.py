"""Ending what a session runs: the whole tree, its holder if that does not answer, and what both leave behind.

What must not regress: when it returns nothing of the tree is left, whatever of it was dead, stopped or deaf before; a signal
goes only to a process that is identified by pid and start time.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from shared import process
from shared.errors import Unavailable
from shared.process import ProcessId
from supervisor.claude import status_file
from supervisor.lifecycle import holder_link, orphans
from supervisor.lifecycle.holder_link import HolderLink
from supervisor.session.session import Session
from supervisor.terminal.holder_client import HolderError, HolderTimeout

STOP_GRACE_SECONDS = 2.0
STOP_SECONDS = 15.0
LEAVES_SECONDS = 1.5
"""How long a holder may take to leave: killed, or by itself, which it does a second after its last words at the latest."""


async def end_tree(session: Session, link: HolderLink, gone: asyncio.Event) -> None:
    """End it. `gone` is set whenever the end of its process was dealt with. Raise Unavailable when a process cannot be ended."""
    record = session.record
    info = orphans.holder_info(session)
    if not record.child and info is not None and info.socket == record.socket and process.alive(info.id):
        orphans.note_holder(session, info)
        await link.connect(Path(info.socket))
    child = ProcessId(*record.child) if record.child else None
    holder = ProcessId(*record.holder) if record.holder else None
    answers = session.terminal is not None
    if session.terminal is not None:
        gone.clear()
        try:
            await session.terminal.stop(STOP_GRACE_SECONDS)
        except HolderTimeout:
            answers = False
        except HolderError:
            pass  # it has ended: `gone` says when that is dealt with
        if answers and session.terminal is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), STOP_SECONDS)
    await holder_link.disconnect(session)
    session.logs.read()
    exited = child is None or not process.alive(child)
    if holder is not None and not (exited and answers):
        process.send_signal(holder, 9)  # it does not answer; what it held is ended from here
    if holder is not None:
        await _left(holder)  # until then it has the lock of the conversation, which another home may want now
    await orphans.end_them(session)
    if record.socket:
        Path(record.socket).unlink(missing_ok=True)
    if child is not None:
        if process.alive(child):
            raise Unavailable("The session's process cannot be ended.", code="unkillable")
        status_file.remove(session.services.claude_home, child)


async def _left(holder: ProcessId) -> None:
    end = time.monotonic() + LEAVES_SECONDS
    while process.alive(holder) and time.monotonic() < end:
        await asyncio.sleep(0.005)
