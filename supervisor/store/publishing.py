"""Events that the journal has kept, told to those who want to hear of them at once: the bus, the counters, notifications.

What must not regress: nobody is told within the transaction, or in the middle of what the one who appended an event is doing;
a subscriber that fails undoes nothing, keeps no other from hearing, and is logged once until it succeeds again; what waits to be
told is bounded; and the order is the journal's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from shared.bus.messages import Event

Subscriber = Callable[[list[Event]], None]

MAX_WAITING = 1000
"""How many events may wait for the loop's next turn; with more they are told at once."""


class Publisher:
    """The subscribers of one journal. `head` is the number of the newest event that they have been told of."""

    def __init__(self, head: int, log: logging.Logger) -> None:
        self.head = head
        self._log = log
        self._subscribers: dict[str, Subscriber] = {}
        self._failing: set[str] = set()
        self._waiting: list[Event] = []
        self._telling = self._called = False

    def subscribe(self, name: str, subscriber: Subscriber) -> None:
        """Tell this one, too, of everything from now on."""
        self._subscribers[name] = subscriber

    def publish(self, events: list[Event]) -> None:
        """Take events to be told in the loop's next turn. Never raises."""
        self._waiting += events
        if len(self._waiting) > MAX_WAITING:
            self.flush()
        elif not self._called:
            with suppress(RuntimeError):  # no loop runs any more: whoever has ended it flushes
                asyncio.get_running_loop().call_soon(self.flush)
                self._called = True

    def flush(self) -> None:
        """Tell now what waits."""
        self._called = False
        if self._telling:  # a subscriber has appended something: it is told behind this
            return
        self._telling = True
        try:
            while self._waiting:
                events, self._waiting = self._waiting, []
                for name, subscriber in self._subscribers.items():
                    self._tell(name, subscriber, events)
                self.head = events[-1].seq
        finally:
            self._telling = False

    def _tell(self, name: str, subscriber: Subscriber, events: list[Event]) -> None:
        try:
            subscriber(events)
        except Exception:  # the boundary: what is kept is kept, whatever becomes of those who hear of it
            if name not in self._failing:
                self._failing.add(name)
                fields = {"subscriber": name, "seq": events[0].seq}
                self._log.exception("subscriber_failed", extra={"fields": fields})
        else:
            self._failing.discard(name)
