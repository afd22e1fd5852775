"""One subscription to the supervisor's events per process, fanned out to every open stream.

A hundred browsers are one subscriber to the supervisor. An inbox is bounded and drops what does not fit: sequence
numbers have no gaps, so the reader notices at its next event or tick and asks the journal for it (api/events/reader.py).
Nothing here may block on a slow reader.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from api.inbox import Inbox
from shared.errors import PilotlightError

if TYPE_CHECKING:
    from shared.bus.event_stream import EventStream

JOIN_SECONDS = 0.5
"""How long the first reader waits for the subscription to be up (the bus greets a new subscriber at once)."""

_log = logging.getLogger("pilotlight.api.feed")


class Feed:
    """The subscription: a thread that lives while somebody listens."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._inboxes: set[Inbox] = set()
        self._thread: threading.Thread | None = None
        self._greeted = threading.Event()
        self._since = 0.0
        self._stopped = False

    def join(self) -> Inbox:
        """A new inbox; returns when the subscription is up, or JOIN_SECONDS after it was begun without success."""
        inbox = Inbox()
        with self._lock:
            if self._stopped:
                inbox.end()
                return inbox
            self._inboxes.add(inbox)
            if self._thread is None:
                self._greeted.clear()
                self._since = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="pilotlight-feed", daemon=True)
                self._thread.start()
        self._greeted.wait(max(0.0, self._since + JOIN_SECONDS - time.monotonic()))
        return inbox

    def leave(self, inbox: Inbox) -> None:
        """Forget this inbox; the thread ends by itself after the last one."""
        with self._lock:
            self._inboxes.discard(inbox)

    def stop(self) -> None:
        """End every stream."""
        with self._lock:
            self._stopped = True
            inboxes = list(self._inboxes)
        for inbox in inboxes:
            inbox.end()

    def _run(self) -> None:
        from shared.bus.event_stream import EventStream

        try:
            with EventStream(self._address) as stream:
                while self._wanted():
                    self._pass_on(stream)
        except PilotlightError as error:  # what is said there may not be ours
            _log.error("events_refused", extra={"fields": {"why": error.message}})
            with self._lock:
                self._thread, inboxes = None, list(self._inboxes)
            for inbox in inboxes:
                inbox.end()
            self._greeted.set()

    def _wanted(self) -> bool:
        with self._lock:
            if self._inboxes and not self._stopped:
                return True
            self._thread = None
            return False

    def _pass_on(self, stream: EventStream) -> None:
        try:
            event = stream.next_event(0.5)
        except msgspec.DecodeError:
            self._greeted.set()  # a welcome without a body (XPUB_WELCOME_MSG is one frame) is a greeting, too
            _log.debug("event_not_understood")
            return
        if event is None:
            return
        self._greeted.set()
        with self._lock:
            inboxes = list(self._inboxes)
        for inbox in inboxes:
            inbox.put(event)
