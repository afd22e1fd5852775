"""Text in the order in which Claude wrote it, although the hooks that report it run side by side.

Two pieces of text that Claude displays within the same few milliseconds may enter the journal in the wrong order (seen
under load). A conversation's stream holds back what comes early, and everything behind it, until the missing piece is
there, at most PATIENCE_SECONDS; then all of it goes out at once, in order. The journal itself is not touched. For a piece
that never comes (a hook that was killed) everybody waits once. What may be another message's (its prompt has not been
heard yet) is held back in the same way, and left out if it cannot be told.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from shared.bus.messages import Event

PATIENCE_SECONDS = 1.0
REMEMBERED = 64


class TextOrder:
    """Events go in as the journal has them, and come out with the text of each of Claude's messages in order."""

    def __init__(self, picks: Callable[[Event], bool | None] = lambda event: True) -> None:
        self._picks = picks
        self._next: OrderedDict[str, int] = OrderedDict()
        self._kept: list[Event] = []
        self._since = 0.0

    @property
    def keeps(self) -> bool:
        """Whether anything is held back."""
        return bool(self._kept)

    def seqs(self) -> list[int]:
        """The numbers of what is held back."""
        return [event.seq for event in self._kept]

    def skip(self, event: Event) -> list[Event]:
        """Like `take`, of an event that the client has already."""
        self._note(event)
        return self.pop_all() if self._kept and self._whole() else []

    def take(self, event: Event, now: float) -> list[Event]:
        """The events that may go out now that this one has come."""
        place = _place(event)
        if not self._kept:
            if self._picks(event) is not None and (place is None or place[1] <= self._next.get(place[0], 0)):
                self._note(event)
                return [event]
            self._since = now
        self._kept.append(event)
        return self.pop_all() if self._whole() else []

    def remaining(self, now: float) -> float | None:
        """Seconds until what is held back goes out anyway; None when nothing is."""
        return max(0.0, self._since + PATIENCE_SECONDS - now) if self._kept else None

    def pop_all(self) -> list[Event]:
        """Everything that is held back and wanted: text in its order, the rest where it stood."""
        kept, self._kept = [event for event in self._kept if self._picks(event)], []
        queues: dict[str, list[Event]] = {}
        for event in kept:
            if (place := _place(event)) is not None:
                queues.setdefault(place[0], []).append(event)
        for queue in queues.values():
            queue.sort(key=lambda event: (_place(event) or ("", 0))[1], reverse=True)
        arranged = [queues[place[0]].pop() if (place := _place(event)) is not None else event for event in kept]
        for event in arranged:
            self._note(event)
        return arranged

    def _whole(self) -> bool:
        """Whether it is known of all that is held back whether it is wanted, and no message has a hole before its pieces."""
        found: dict[str, set[int]] = {}
        verdicts = [(event, self._picks(event)) for event in self._kept]
        if any(wanted is None for _, wanted in verdicts):
            return False
        for event in (event for event, wanted in verdicts if wanted):
            if (place := _place(event)) is not None:
                found.setdefault(place[0], set()).add(place[1])
        for message, indexes in found.items():
            begin = self._next.get(message, 0)
            if not indexes.issuperset(range(begin, max(indexes) + 1)):
                return False
        return True

    def _note(self, event: Event) -> None:
        place = _place(event)
        if place is not None:
            message, index = place
            self._next[message] = max(index + 1, self._next.get(message, 0))
            self._next.move_to_end(message)
            while len(self._next) > REMEMBERED:
                self._next.popitem(last=False)


def _place(event: Event) -> tuple[str, int] | None:
    """(Claude's message, which piece of it), of a text event."""
    message, index = event.data.get("messageId"), event.data.get("index")
    return (message, index) if event.kind == "text" and isinstance(message, str) and isinstance(index, int) else None
