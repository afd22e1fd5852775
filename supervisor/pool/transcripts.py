"""Transcripts of what can still be reopened are kept young: Claude deletes those that were not written for `cleanupPeriodDays`
(30 unless set), ten minutes into any session, in all projects, and with them a conversation that pilotlight has promised.

What must not regress: a file is only ever made to look younger, when a third of the period is over; what pilotlight does not
know is left to Claude; a period of a person's own counts; there may be thousands, so the loop waits for none of them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from shared.errors import StorageFailed
from supervisor.claude.settings import set_up
from supervisor.pool.pool import Pool
from supervisor.store.records import SessionRecord

LOOK_SECONDS = 3600.0
DAY_SECONDS = 86400.0


def is_due(age: float, period_days: float) -> bool:
    """Whether a transcript that was last written so many seconds ago is to be kept from being deleted."""
    return age > period_days * DAY_SECONDS / 3


class Transcripts:
    """Looks at them now and then."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._looked_at: float | None = None
        self._looking: asyncio.Task[None] | None = None

    def keep(self) -> bool:
        """A task of a health pass, begun at most once an hour. False: nothing that needs to be told."""
        now = time.monotonic()
        rested = self._looked_at is None or now - self._looked_at >= LOOK_SECONDS
        if rested and (self._looking is None or self._looking.done()):
            self._looked_at = now
            self._looking = asyncio.create_task(self.look(), name="transcripts")
        return False

    async def look(self) -> None:
        """Keep all of them young that it is time for."""
        with suppress(StorageFailed):  # an hour later again
            records = await self._pool.store.every_session()
            await asyncio.to_thread(_keep, _transcripts_of(records), self._pool.services.claude_home)


def _transcripts_of(records: Iterable[SessionRecord]) -> Iterator[Path]:
    """Of all of them, each once."""
    told: set[str] = set()
    for record in records:
        for path in (*(str(item["transcript"]) for item in record.conversations), record.transcript):
            if path and path not in told:
                told.add(path)
                yield Path(path)


def _keep(transcripts: Iterable[Path], claude_home: Path) -> None:
    period = set_up.cleanup_days(claude_home)
    for path in transcripts:
        with suppress(OSError):  # it is gone already
            facts = path.stat()
            if is_due(time.time() - facts.st_mtime, period):
                os.utime(path)
