"""The thread that the network has for itself: sending, encrypting and waiting happen on it, and never on the supervisor's loop.

What must not regress: whatever a channel does (hang, flood, raise), `send` returns an outcome in its time, and the thread does
not keep the process from ending.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from shared.config import NotifyConfig
from supervisor.notifications.channels.contract import (
    SEND_SECONDS,
    Barred,
    Note,
    Outcome,
    Refused,
    Retry,
    attempt,
)
from supervisor.notifications.recipient import Recipient
from supervisor.notifications.workshop import Workshop

SLACK_SECONDS = 3.0
"""How long the loop waits beyond the channel's own time, should the thread itself be stuck."""

MAX_AT_ONCE = 8
CLOSE_SECONDS = 1.0
T = TypeVar("T")


class Courier:
    """Sends on its own thread. Begun with the first sending."""

    def __init__(self, workshop: Workshop, log: logging.Logger, seconds: float = SEND_SECONDS) -> None:
        self._workshop, self._log, self._seconds = workshop, log, seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._free = asyncio.Semaphore(MAX_AT_ONCE)

    async def send(self, recipient: Recipient, note: Note, config: NotifyConfig) -> Outcome:
        """Send one note to one recipient; never raises for what happens on the way."""

        async def work() -> Outcome:
            try:
                return await attempt(self._workshop.make(recipient, config), note, self._seconds)
            except Barred as error:
                return Refused(str(error))
            except Exception as error:  # the boundary to code that others wrote: told, and the thread goes on
                self._log.error(
                    "channel_raised", extra={"fields": {"kind": recipient.kind, "error": type(error).__name__}}
                )
                return Refused(f"A bug: {type(error).__name__}.")

        async with self._free:
            try:
                return await self._there(work, self._seconds + SLACK_SECONDS)
            except TimeoutError:
                return Retry("The thread of the channels does not answer.")

    async def ask(self, work: Callable[[Workshop], T]) -> T:
        """What the workshop answers, on its thread. Raise Barred, or TimeoutError."""

        async def there() -> T:
            return work(self._workshop)

        return await self._there(there, self._seconds)

    async def _there(self, work: Callable[[], Awaitable[T]], seconds: float) -> T:
        loop = self._begin()

        async def run() -> T:
            return await work()

        future = asyncio.run_coroutine_threadsafe(run(), loop)
        async with asyncio.timeout(seconds):
            return await asyncio.wrap_future(future)

    def _begin(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="courier", daemon=True).start()
        return self._loop

    def close(self) -> None:
        """Let the thread go: it ends what is under way, closes its connections, and nobody waits for that."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._finish(self._loop), self._loop)
            self._loop = None

    async def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        for task in asyncio.all_tasks(loop) - {asyncio.current_task()}:
            task.cancel()
        with suppress(Exception):  # the end of the thread, and maybe of the process
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._workshop.close()
        loop.call_soon(loop.stop)
