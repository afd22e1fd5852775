"""How fast one token may act: a bucket that holds a minute's worth and fills evenly.

One runaway script must not starve a person on the same machine, so each token has a bucket of its own. Reading is not
counted: it is cheap, and dashboards poll.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared.errors import Busy


class Pace:
    """Buckets by name; `per_minute` 0 means no limit."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = float(per_minute)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> None:
        """Count one call. Raise Busy with the seconds after which there is room for the next."""
        if not self._most:
            return
        with self._lock:
            now = self._clock()
            left, at = self._buckets.get(name, (self._most, now))
            left = min(self._most, left + (now - at) * self._most / 60)
            allowed = left >= 1
            self._buckets[name] = (left - 1 if allowed else left, now)
        if not allowed:
            raise Busy(
                f"This token has made {self._most:g} calls within a minute (api.rate_per_minute). Slow down.",
                code="rate_limited",
                data={"retryAfter": (1 - left) * 60 / self._most},
            )
