"""The notification hook: the configured command, run once for each event that is wanted, with the event on its input."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from shared.config import NotifyConfig
from shared.messages import Event

RUN_SECONDS = 15.0
MAX_WAITING = 1000


class Notifier:
    """Runs the command for one event after the other; what cannot be told in time is logged, never retried for ever."""

    def __init__(self, config: Callable[[], NotifyConfig], log: logging.Logger) -> None:
        self._config = config
        self._log = log
        self._queue: asyncio.Queue[Event] = asyncio.Queue(MAX_WAITING)

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
            await asyncio.wait_for(child.communicate(msgspec.json.encode(event)), RUN_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()
            self._log.warning("notification_timed_out", extra={"fields": {"seq": event.seq}})
        if child.returncode:
            self._log.warning("notification_failed", extra={"fields": {"seq": event.seq, "exit": child.returncode}})
