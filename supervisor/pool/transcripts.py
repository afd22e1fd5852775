"""Transcripts of what can still be reopened are kept young: Claude deletes those that were not written for `cleanupPeriodDays`
(30 unless set), ten minutes into any session, in all projects, and with them a conversation that pilotlight has promised.

What must not regress: a file is only ever made to look younger, when a third of the period is over; what pilotlight does not
know is left to Claude; a period of a person's own counts.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from supervisor.claude.settings import set_up
from supervisor.pool.pool import Pool

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

    def keep(self) -> bool:
        """The chore of a health pass, done at most once an hour. False: nothing that needs to be told."""
        now = time.monotonic()
        if self._looked_at is None or now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            period = set_up.cleanup_days(self._pool.services.claude_home)
            for record in self._pool.store.sessions(include_ended=True):
                known = [left["transcript"] for left in record.conversations]
                for path in [*known, *([record.transcript] if record.transcript else [])]:
                    _keep(Path(path), period)
        return False


def _keep(path: Path, period_days: float) -> None:
    with suppress(OSError):  # it is gone already
        facts = path.stat()
        if is_due(time.time() - facts.st_mtime, period_days):
            os.utime(path)
