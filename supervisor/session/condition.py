"""Waiting for a condition instead of for time: everything that changes a session notifies its condition.

What waits here waits dozens of times for one message: a future and a timer each, since `asyncio.timeout` costs thrice as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Condition:
    """Wakes all who wait when something has changed; each then looks for itself."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()
        self.listener: Callable[[], None] = lambda: None

    def notify(self) -> None:
        """Something changed."""
        self.listener()
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            _wake(waiter)

    async def wait_for(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until `condition()` holds, at most `timeout` seconds (None: for ever); return whether it does."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while not condition():
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            timer = loop.call_later(left, _wake, waiter) if left is not None else None
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
                if timer is not None:
                    timer.cancel()
        return True


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
