"""What is done for a session beside everything else, for certain."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

AGAIN_SECONDS = 1.0


class BackgroundTasks:
    """The background tasks of one session; `name` is told when one fails."""

    def __init__(self, log: logging.Logger, name: str) -> None:
        self._log = log
        self._name = name
        self._tasks: set[asyncio.Future[None]] = set()

    def do(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Do it beside everything else, and again until it is done: what it writes may be refused for a while."""
        self.keep(asyncio.ensure_future(self._surely(work)))

    def keep(self, task: asyncio.Future[None]) -> None:
        """Hold on to a task until it is done; the loop itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _surely(self, work: Callable[[], Awaitable[Any]]) -> None:
        while True:
            try:
                await work()
                return
            except Exception:  # the boundary: a session whose process is gone must not stay as if it were there
                self._log.exception("lifecycle_retry", extra={"fields": {"session": self._name}})
            await asyncio.sleep(AGAIN_SECONDS)
