"""The folders of sessions that have ended, and the drafts: kept as long as the journal keeps events, then given back.

An ended session is reopened from its transcript, which is Claude's and stays; its folder is needed for nothing but what
was attached and recorded. What must not regress: a folder goes only when its session has ended, is not in memory, and has
no recording left (`sessions.recording_days` decides about those); it is renamed on the loop, where sessions are reopened,
so none loses a folder that it has begun to use again; there may be thousands, and the loop reads only those that are to go.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from itertools import islice
from pathlib import Path

from shared.errors import StorageFailed
from supervisor.holder import lock
from supervisor.lifecycle.conversation_lock import lock_of
from supervisor.pool.pool import Pool
from supervisor.state.states import State
from supervisor.store.records import SessionRecord

DISCARDED = ".discarded"
"""Where below the sessions' folder what is being removed waits for it, also from one supervisor to the next."""

SWEEP_SECONDS = 3600.0
AT_ONCE = 50
"""How many go in one pass: the loop stands still for a fraction of a millisecond each."""


class Retention:
    """Looks for what can go, now and then."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._services = pool.services
        self._swept_at: float | None = None
        self._removal: asyncio.Future[None] | None = None

    def tidy(self) -> bool:
        """A task of a health pass. False: nothing that needs to be told."""
        keep = self._services.config().events.keep_days * 86400.0
        now = time.monotonic()
        rested = self._swept_at is None or now - self._swept_at >= min(SWEEP_SECONDS, keep / 4)
        if rested and (self._removal is None or self._removal.done()):
            self._swept_at = now
            ended_before = self._pool.store.removal_ms() - int(keep * 1000)
            self._pool.store.forget_drafts(ended_before)
            self._removal = asyncio.create_task(self._sweep(ended_before), name="retention")
        return False

    async def _sweep(self, ended_before: int) -> None:
        sessions = self._services.paths.sessions_dir
        try:
            over = self._pool.store.ended_before(ended_before)
            due = await asyncio.to_thread(_without_recording, sessions, over)
            if self._set_aside(due, ended_before) == AT_ONCE:
                self._swept_at = None
            await asyncio.to_thread(shutil.rmtree, sessions / DISCARDED, ignore_errors=True)
        except (StorageFailed, OSError) as error:  # an hour later again
            self._services.log.warning("folders_not_discarded", extra={"fields": {"why": str(error)}})

    def _set_aside(self, due: list[str], ended_before: int) -> int:
        """Take folders, and what else lies around for their sessions, out of the way. Return how many."""
        sessions = self._services.paths.sessions_dir
        known = {session.id: session.record.conversation_id for session in self._pool.sessions()}
        records = (
            record for name in due if name not in known and (record := self._pool.store.session(name)) is not None
        )
        still = (one for one in records if one.state == State.ENDED and (one.ended_at or 0) < ended_before)
        gone = 0
        for record in islice(still, AT_ONCE):
            (sessions / DISCARDED).mkdir(mode=0o700, exist_ok=True)
            with self._pool.store.transaction():
                self._pool.store.forget_positions(record.id)
                (sessions / record.id).rename(sessions / DISCARDED / record.id)
            self._remove_locks(record, set(known.values()))
            gone += 1
        if gone:
            self._services.log.info("folders_discarded", extra={"fields": {"sessions": gone}})
        return gone

    def _remove_locks(self, record: SessionRecord, in_use: set[str]) -> None:
        for conversation in {record.conversation_id, *(left["id"] for left in record.conversations)} - in_use:
            lock.discard(str(lock_of(self._services.claude_home, conversation)))


def _without_recording(sessions: Path, names: set[str]) -> list[str]:
    """Those of these folders that there are, and in which no recording is left."""
    found = sorted(folder.name for folder in os.scandir(sessions) if folder.name in names)
    return [name for name in found if not any((sessions / name).glob("recording*.cast"))]
