"""What the readers of events share: a bounded inbox each, filled from one source.

What must not regress: whoever fills an inbox never waits for whoever reads it; what does not fit is dropped, and the reader
notices by the sequence numbers.
"""

from __future__ import annotations

import queue
from typing import Protocol

from shared.bus.messages import Event

INBOX_SIZE = 2000


class Inbox:
    """What one reader has yet to see. `None` from `next` means silence; `ended` that there is nothing more to come."""

    def __init__(self, size: int = INBOX_SIZE) -> None:
        self._items: queue.Queue[Event | None] = queue.Queue(size)
        self.ended = False

    def put(self, event: Event) -> None:
        """Add an event, or drop it when the reader is that far behind."""
        try:
            self._items.put_nowait(event)
        except queue.Full:
            pass

    def end(self) -> None:
        """Wake the reader for the last time."""
        self.ended = True
        try:
            self._items.put_nowait(None)
        except queue.Full:
            pass

    def next(self, timeout: float) -> Event | None:
        """The next event, or None after `timeout` seconds or at the end."""
        try:
            return self._items.get(timeout=timeout)
        except queue.Empty:
            return None


class Source(Protocol):
    """Live events (api.events.feed.Feed, or a double in tests)."""

    def join(self) -> Inbox:
        """A new inbox that every event from now on is put into."""
        ...

    def leave(self, inbox: Inbox) -> None:
        """Forget this inbox."""
        ...

    def stop(self) -> None:
        """End: every inbox gets its last item."""
        ...
