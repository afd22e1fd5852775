"""Replies that were given, for requests that come twice: a client that lost its answer asks again with the same id.

What must not regress: an operation that acts is done once, and what is kept of those that only look stays small (kept as
long, a client that asks often held 8 MB of views).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True)
class Bounds:
    """How long replies are kept, and at most how many and how many bytes of them."""

    seconds: float
    replies: int
    size: int


ACTS = Bounds(seconds=60.0, replies=5_000, size=4 * 1024 * 1024)
LOOKS = Bounds(seconds=15.0, replies=500, size=512 * 1024)


class Replies:
    """By request id, oldest out first. The newest is always kept, whatever its size."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._size = 0

    def get(self, request_id: str) -> bytes | None:
        """The reply that this request was given."""
        found = self._kept.get(request_id)
        return found[1] if found is not None else None

    def remember(self, request_id: str, data: bytes) -> None:
        """Keep one more, and let go of what is over the bounds."""
        now, bounds = time.monotonic(), self._bounds
        self._kept[request_id] = (now, data)
        self._size += len(data)
        while True:
            oldest, (at, body) = next(iter(self._kept.items()))
            crowded = len(self._kept) > bounds.replies or self._size > bounds.size
            if oldest == request_id or (not crowded and now - at < bounds.seconds):
                return
            del self._kept[oldest]
            self._size -= len(body)
