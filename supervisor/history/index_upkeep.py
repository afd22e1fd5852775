"""The search index, kept fresh: what is new is indexed every now and then, and before somebody searches.

Our own sessions come first. Those that have ended, and conversations from elsewhere, hardly change, and there may be thousands:
they are looked through now and then, and soon after somebody has searched. What must not regress: a search finds what was said
in open sessions, in those that ended lately, in the one that it asks for, whatever its state, and in conversations from
elsewhere, new ones too; it waits for no others once they have been looked through; all of it happens on another thread, since
transcripts can be large and the loop belongs to the live sessions; one bite at a time, so that a search that comes meanwhile
waits no longer than that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from shared.errors import StorageFailed
from supervisor.history.indexer import TranscriptLines, refs_of
from supervisor.history.library import ConversationCatalog
from supervisor.history.reader import sources_of
from supervisor.store import search_index
from supervisor.store.records import ASLEEP
from supervisor.store.store import SessionRecord, Store, now_ms

INDEX_SECONDS = 20.0
"""How often what is new is indexed when nobody searches."""

WHOLE_SECONDS = 600.0
"""How often, of that, what has ended and what is from elsewhere is looked through, too."""

ASKED_SECONDS = 120.0
"""How often they are while somebody searches."""

SESSIONS_AT_ONCE = 500
"""How many are looked through before somebody else's look has its turn (measured: 30 ms when there is nothing new)."""

LATE_MS = 60_000
"""How long before such a look a session may have ended whose last lines it has not seen: they take a moment."""

BITE_SECONDS = 1.0
"""How long one bite of that may take: a search that comes meanwhile waits for its end."""


class Look(NamedTuple):
    """At everything: into which index (`Index.rebuilt`), and when it began (milliseconds since the epoch)."""

    rebuilt: int
    began: int


class IndexUpkeep:
    """The index, and whoever keeps it fresh."""

    def __init__(self, store: Store, home: Path, claude_home: Path, log: logging.Logger) -> None:
        self.index = search_index.Index(home / "search.db", TranscriptLines)
        self.library = ConversationCatalog(claude_home)
        self._store, self._claude_home, self._log = store, claude_home, log
        self._looking, self._wholes = asyncio.Lock(), asyncio.Lock()
        self._asked = False
        self._seen_whole: Look | None = None
        """The last look that was whole, and found everything."""

        self._reached: SessionRecord | None = None
        self._begun = Look(0, 0)
        """How far a whole look has come that did not find the time for everything, and that look: the next goes on there."""

        self._ours: set[str] = set()
        self._others: list[Path] = []
        """Every conversation that is known to be ours, and the transcripts of those that are not."""

        self._asleep: dict[str, tuple[int, int, int]] = {}
        """Sleeping sessions that were read to their end, each with the index that has it, its last process and activity: until
        there is another one nothing comes."""

    async def run(self) -> None:
        """Keep the index fresh, until cancelled."""
        try:
            complete, whole_at = True, -WHOLE_SECONDS
            while True:
                await asyncio.sleep(INDEX_SECONDS if complete else BITE_SECONDS)
                complete, now = True, time.monotonic()
                whole = now - whole_at >= (ASKED_SECONDS if self._asked else WHOLE_SECONDS)
                try:
                    complete = await self.catch_up(BITE_SECONDS, whole)
                    if whole and complete:
                        whole_at, self._asked = now, False
                except (StorageFailed, OSError) as error:
                    self._log.warning("index_failed", extra={"fields": {"why": str(error)}})
        finally:
            self.index.close()

    async def catch_up(self, seconds: float, whole: bool = True) -> bool:
        """Index what is new, what was said in our sessions first; what is not `whole` is only those that are open. Whether all
        of it was."""
        end = time.monotonic() + seconds
        if not whole:
            return await self._index(await self._store.every_session(False), end)
        async with self._wholes:
            return await self._catch_up_whole(end)

    async def _catch_up_whole(self, end: float) -> bool:
        if self._reached is None or self._begun.rebuilt != self.index.rebuilt:
            self._reached, self._begun = None, Look(self.index.rebuilt, now_ms())
        if not await self._index(await self._store.every_session(False), end):
            return False
        while page := self._store.page_of_ended(self._reached):
            if not await self._index(page, end):
                return False
            self._reached = page[-1]
        self._ours |= conversations_of(await self._store.every_session(False))  # also what was opened meanwhile
        if not await self._look(partial(self._elsewhere, end)) or self._begun.rebuilt != self.index.rebuilt:
            return False
        self._seen_whole, self._reached = self._begun, None
        return True

    async def catch_up_for(self, session_id: str | None, everywhere: bool, seconds: float) -> bool:
        """What somebody asks for who searches in one session, in all, or in those from elsewhere, too. Whether all of it is
        indexed."""
        self._asked, end = True, time.monotonic() + seconds
        if session_id is not None:
            record = self._store.session(session_id)
            return await self._index([record] if record is not None else [], end)
        seen = self._seen_whole
        if seen is None or seen.rebuilt != self.index.rebuilt:
            return await self.catch_up(seconds)
        lately = await self._store.ended_since(seen.began - LATE_MS)
        complete = await self._index([*self._open_ones(), *lately], end)
        return complete and (not everywhere or await self._look(partial(self._elsewhere_again, end)))

    def _open_ones(self) -> list[SessionRecord]:
        """Those that are open, and in which something may have been said since they were last read."""
        asleep, others = self._store.open_ones()
        unread = [name for name, last in asleep.items() if self._asleep.get(name) != (self.index.rebuilt, *last)]
        found = map(self._store.session, [*others, *unread])
        return [record for record in found if record is not None]

    async def _index(self, records: list[SessionRecord], end: float) -> bool:
        """What is new of them, the latest first; whether all of it was read by the end."""
        self._ours |= conversations_of(records)
        rebuilt = self.index.rebuilt
        latest = sorted(records, key=lambda record: record.last_activity, reverse=True)
        for start in range(0, len(latest), SESSIONS_AT_ONCE):
            if not await self._look(partial(self._own, latest[start : start + SESSIONS_AT_ONCE], end)):
                return False
        for record in records:
            if record.state == ASLEEP:
                self._asleep[record.id] = (rebuilt, record.generation, record.last_activity)
            else:
                self._asleep.pop(record.id, None)
        return True

    async def _look(self, work: Callable[[], bool]) -> bool:
        """One at a time: of a file that two look at, one may have read what the other does not know of yet."""
        async with self._looking:
            return await asyncio.to_thread(work)

    def _own(self, records: list[SessionRecord], end: float) -> bool:
        shelf = [
            (record.id, [(s.conversation, s.path) for s in sources_of(record, self._claude_home)]) for record in records
        ]
        own = (ref for session, sources in shelf for ref in refs_of(session, sources))
        return self.index.update(own, end - time.monotonic())

    def _elsewhere(self, end: float) -> bool:
        self._others = self.library.transcripts(self._ours)
        self.index.keep_elsewhere(self._others)
        return self._read_others(end)

    def _elsewhere_again(self, end: float) -> bool:
        """As `_elsewhere`, of those that were found then, and of new ones."""
        there = [path for path in self._others if path.stem not in self._ours and os.path.lexists(path)]
        gone, known = len(there) < len(self._others), set(there)
        self._others = there + [path for path in self.library.new_transcripts(self._ours) if path not in known]
        if gone:
            self.index.keep_elsewhere(self._others)
        return self._read_others(end)

    def _read_others(self, end: float) -> bool:
        others = (search_index.TranscriptRef(search_index.ELSEWHERE, path.stem, path) for path in self._others)
        return self.index.update(others, end - time.monotonic(), gentle=True)


def conversations_of(records: list[SessionRecord]) -> set[str]:
    """Every conversation that is, or was, one of our sessions'."""
    return {record.conversation_id for record in records} | {
        item["id"] for record in records for item in record.conversations
    }
