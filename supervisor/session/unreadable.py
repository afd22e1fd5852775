"""What of Claude's cannot be read in one session, and is done without: it is not ours to be put aside, but it is said, once."""

from __future__ import annotations

import os
from pathlib import Path

from shared.bus import trouble_events
from supervisor.store.store import Store


class Unreadable:
    """Files, and why they are none."""

    def __init__(self, session_id: str, store: Store) -> None:
        self._session_id, self._store = session_id, store
        self._known: dict[Path, str] = {}

    def note(self, path: Path, reason: str) -> None:
        """It cannot be read. Raise StorageFailed."""
        if self._known.get(path) != reason:
            self._known[path] = reason
            said = trouble_events.Unreadable(what=path.name, file=str(path), reason=reason)
            self._store.append(said, self._session_id)

    def forget(self, path: Path) -> None:
        """It can."""
        self._known.pop(path, None)

    def present(self) -> list[tuple[Path, str]]:
        """Those that are still there."""
        return [(path, reason) for path, reason in self._known.items() if os.path.lexists(path)]
