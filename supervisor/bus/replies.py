"""Replies that were given, for requests that come twice: a client that lost its answer asks again with the same id.

What must not regress: an operation that acts is done once, and what is kept of those that only look stays small (kept as
long, a client that asks often held 8 MB of views). Nobody is given the reply to another question: ids that count from 1 come
again with the next start of a program, and from the program beside it.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass

import msgspec

from shared.bus.messages import Request
from shared.errors import InvalidRequest

_encoder = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True)
class Bounds:
    """How long replies are kept, and at most how many and how many bytes of them."""

    seconds: float
    replies: int
    size: int


ACTS = Bounds(seconds=60.0, replies=5_000, size=4 * 1024 * 1024)
LOOKS = Bounds(seconds=15.0, replies=500, size=512 * 1024)


def question(request: Request) -> bytes:
    """What is asked and by whom, in few bytes. A repeat may say otherwise how long it waits, and by when it wants an answer.
    Raise InvalidRequest for what is nested too deeply to be written down again.

    SHA-256 because processors have it: a frame of 40 MB took three times as long with BLAKE2.
    """
    args = {name: value for name, value in request.args.items() if name != "wait"}
    try:
        return hashlib.sha256(_encoder.encode((request.op, request.actor, args))).digest()
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.", code="bad_request") from None


@dataclass(frozen=True)
class Given:
    """A reply, when it was given, and to which question."""

    at: float
    question: bytes
    data: bytes


class Replies:
    """By request id, oldest out first. The newest is kept whatever its size, but no longer than the others."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._kept: OrderedDict[str, Given] = OrderedDict()
        self._size = 0

    def get(self, request_id: str) -> Given | None:
        """The reply that this request was given."""
        found = self._kept.get(request_id)
        if found is not None and time.monotonic() - found.at >= self._bounds.seconds:
            self._forget(request_id)
            return None
        return found

    def remember(self, request_id: str, asked: bytes, data: bytes) -> None:
        """Keep one more, and let go of what is over the bounds."""
        now, bounds = time.monotonic(), self._bounds
        self._forget(request_id)
        self._kept[request_id] = Given(now, asked, data)
        self._size += len(data)
        while True:
            oldest = next(iter(self._kept))
            crowded = len(self._kept) > bounds.replies or self._size > bounds.size
            if oldest == request_id or (not crowded and now - self._kept[oldest].at < bounds.seconds):
                return
            self._forget(oldest)

    def _forget(self, request_id: str) -> None:
        gone = self._kept.pop(request_id, None)
        if gone is not None:
            self._size -= len(gone.data)
