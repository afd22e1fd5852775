"""The notification hook: the configured command, run once for each event that is wanted, with the event on its input.

How far the journal was told is stored after each run, so what happened while the supervisor was down, or was not told
before it died, is told when it returns; a notification is repeated only when the supervisor dies while its command runs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from shared.config import NotifyConfig
from shared.errors import StorageFailed
from shared.messages import Event
from supervisor.store import Store, now_ms

RUN_SECONDS = 15.0
MAX_WAITING = 1000
STALE_SECONDS = 3600.0
"""What is older than this when the supervisor returns is no news any more."""

_TOLD = "notified"


class Notifier:
    """Runs the command for one event after the other; what cannot be told is logged, and not tried again."""

    def __init__(self, config: Callable[[], NotifyConfig], store: Store, log: logging.Logger) -> None:
        self._config = config
        self._store = store
        self._log = log
        self._queue: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)

    def catch_up(self) -> None:
        """Take in what an earlier supervisor has not told."""
        told = self._store.meta(_TOLD)
        if told is None or not self._config().command:
            return
        missed = self._store.events(int(told), MAX_WAITING, None, self._config().kinds)
        self.offer([event for event in missed if now_ms() - event.at < STALE_SECONDS * 1000])

    def offer(self, events: list[Event]) -> None:
        """Take events that somebody may want to hear of."""
        config = self._config()
        if not config.command:
            return
        for event in events:
            if event.kind in config.kinds:
                try:
                    self._queue.put_nowait(event)
                except asyncio.QueueFull:
                    self._log.warning("notification_dropped", extra={"fields": {"seq": event.seq}})

    async def run(self) -> None:
        """Notify until cancelled."""
        while True:
            event = await self._queue.get()
            await self._tell(event, self._config().command)
            try:
                self._store.set_meta(_TOLD, str(event.seq))
            except StorageFailed as error:
                self._log.warning("notification_not_noted", extra={"fields": {"seq": event.seq, "why": error.message}})

    async def _tell(self, event: Event, command: list[str]) -> None:
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._log.warning("notification_failed", extra={"fields": {"seq": event.seq, "why": str(error)}})
            return
        try:
            async with asyncio.timeout(RUN_SECONDS):
                await child.communicate(msgspec.json.encode(event))
        except TimeoutError:
            child.kill()
            await child.wait()
            self._log.warning("notification_timed_out", extra={"fields": {"seq": event.seq}})
            return
        if child.returncode:
            self._log.warning("notification_failed", extra={"fields": {"seq": event.seq, "exit": child.returncode}})
