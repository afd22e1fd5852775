"""The configured command, run once for each event that is wanted, with the event on its input: events for programs, not words.

How far the journal was told is stored after each run, and before the first one, so what happened while the supervisor was
down, or was not told before it died, is told when it returns; a notification is repeated only when the supervisor ends while
its command runs. A command that fails is not tried again for the same event; that it fails is an event, too, once until it
succeeds, and never one that the command is run for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from shared.bus import service_events
from shared.bus.messages import Event
from shared.config import NotifyConfig
from shared.errors import StorageFailed
from supervisor.notifications.channels.contract import Delivered, Note
from supervisor.notifications.courier import Courier
from supervisor.notifications.recipient import Recipient
from supervisor.store.store import Store, now_ms

MAX_WAITING = 1000
STALE_SECONDS = 3600.0
"""What is older than this when the supervisor returns is no news any more."""

FAILED = "notification_failed"
_TOLD = "notified"
_COMMAND = Recipient(id="command", kind="command", name="command", target={})


class CommandFeed:
    """Runs the command for one event after the other. `error` is why the last run failed; None when it succeeded."""

    def __init__(self, config: Callable[[], NotifyConfig], store: Store, courier: Courier, log: logging.Logger) -> None:
        self._config = config
        self._store = store
        self._courier = courier
        self._log = log
        self._queue: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)
        self.error: str | None = None

    def catch_up(self) -> None:
        """Take in what an earlier supervisor has not told; the first that has a command begins here."""
        if not self._config().command:
            return
        told = self._store.meta(_TOLD)
        if told is None:
            self._store.set_meta(_TOLD, str(self._store.head()))
            return
        missed = self._store.events(int(told), MAX_WAITING, None, self._config().kinds)
        self.offer([event for event in missed if now_ms() - event.at < STALE_SECONDS * 1000])

    def offer(self, events: list[Event]) -> None:
        """Take events that somebody may want to hear of."""
        config = self._config()
        if not config.command:
            return
        for event in events:
            if event.kind in config.kinds and event.kind != FAILED:
                try:
                    self._queue.put_nowait(event)
                except asyncio.QueueFull:
                    self._log.warning("notification_dropped", extra={"fields": {"seq": event.seq}})

    async def run(self) -> None:
        """Notify until cancelled."""
        while True:
            event = await self._queue.get()
            note = Note(
                key=f"{event.epoch}:{event.seq}", kind=event.kind, tag=event.topic, title="", body="", at=event.at, event=event
            )  # fmt: skip
            outcome = await self._courier.send(_COMMAND, note, self._config())
            try:
                self._note(event, None if isinstance(outcome, Delivered) else outcome.why)
            except StorageFailed as refusal:
                fields = {"seq": event.seq, "why": refusal.message}
                self._log.warning("notification_not_noted", extra={"fields": fields})

    def _note(self, event: Event, error: str | None) -> None:
        before, self.error = self.error, error
        with self._store.transaction():
            self._store.set_meta(_TOLD, str(event.seq))
            if error is not None and before is None:
                self._store.append(service_events.NotificationFailed(seq=event.seq, of=event.kind, why=error))
        if error is not None:
            self._log.warning(FAILED, extra={"fields": {"seq": event.seq, "why": error}})
