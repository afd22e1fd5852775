"""The search index, kept fresh: what is new is indexed every now and then, and before somebody searches.

Our own sessions come first. Those that have ended, and conversations from elsewhere, hardly change: they are looked through now
and then, and whenever somebody searches. What must not regress: it works on another thread, since transcripts can be large and
the loop belongs to the live sessions; one bite at a time, so that a search that comes meanwhile waits no longer than that.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from shared.errors import StorageFailed
from supervisor.history.indexer import TranscriptLines, refs_of
from supervisor.history.library import ConversationCatalog
from supervisor.history.reader import sources_of
from supervisor.store import search_index
from supervisor.store.store import SessionRecord, Store

INDEX_SECONDS = 20.0
"""How often what is new is indexed when nobody searches."""

WHOLE_SECONDS = 600.0
"""How often, of that, what has ended and what is from elsewhere is looked through, too."""

BITE_SECONDS = 1.0
"""How long one bite of that may take: a search that comes meanwhile waits for its end."""


class IndexUpkeep:
    """The index, and whoever keeps it fresh."""

    def __init__(self, store: Store, home: Path, claude_home: Path, log: logging.Logger) -> None:
        self.index = search_index.Index(home / "search.db", TranscriptLines)
        self.library = ConversationCatalog(claude_home)
        self._store, self._claude_home, self._log = store, claude_home, log
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Keep the index fresh, until cancelled."""
        try:
            complete, whole_at = True, -WHOLE_SECONDS
            while True:
                await asyncio.sleep(INDEX_SECONDS if complete else BITE_SECONDS)
                complete, now = True, time.monotonic()
                whole = now - whole_at >= WHOLE_SECONDS
                try:
                    complete = await self.catch_up(BITE_SECONDS, whole)
                    whole_at = now if whole and complete else whole_at
                except (StorageFailed, OSError) as error:
                    self._log.warning("index_failed", extra={"fields": {"why": str(error)}})
        finally:
            self.index.close()

    async def catch_up(self, seconds: float, whole: bool = True) -> bool:
        """Index what is new, what was said in our sessions first; what is not `whole` is only those that are open. Whether all
        of it was."""
        records = await self._store.every_session(None if whole else False)
        records.sort(key=lambda record: record.last_activity, reverse=True)
        ours = conversations_of(records)

        def work() -> bool:
            end = time.monotonic() + seconds
            shelf = [
                (record.id, [(s.conversation, s.path) for s in sources_of(record, self._claude_home)])
                for record in records
            ]
            own = (ref for session, sources in shelf for ref in refs_of(session, sources))
            if not self.index.update(own, seconds):
                return False
            if not whole:
                return True
            paths = self.library.transcripts(ours)
            self.index.keep_elsewhere(paths)
            others = (search_index.TranscriptRef(search_index.ELSEWHERE, path.stem, path) for path in paths)
            return self.index.update(others, end - time.monotonic(), gentle=True)

        async with self._looking:
            return await asyncio.to_thread(work)


def conversations_of(records: list[SessionRecord]) -> set[str]:
    """Every conversation that is, or was, one of our sessions'."""
    return {record.conversation_id for record in records} | {
        item["id"] for record in records for item in record.conversations
    }
