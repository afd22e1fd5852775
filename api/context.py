"""What every route needs, bound once to the application: configuration, bus, feed, and the threads' shares.

A thread that holds a request (a chat that waits, an open event stream) is a thread less for everybody else, so both are
counted: streams beyond their share are refused with 503, holds beyond theirs are answered at once (202, poll for the
rest). Some threads are kept for short calls whatever happens, or `/health` would stop answering on a busy day.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

from flask import current_app, g

from api.inbox import Source
from shared.access.devices import Devices
from shared.access.tokens import Identity, Keyring
from shared.config import Config
from shared.errors import PilotlightError, Unauthorized, Unavailable
from shared.paths import Paths

PRESENCE_SECONDS = 3.0
"""How long a supervisor may take to answer a ping before a held request is refused (a restart takes under 1 s)."""

CALL_SECONDS = 5.0
"""What a short operation may take: it reads or notes something, or the supervisor is not there."""

SLACK_SECONDS = 10.0
"""What the bus may take beyond the wait that the operation itself was asked for."""


class Bus(Protocol):
    """Requests to the supervisor (shared.bus.BusClient, or a double in tests)."""

    def call(self, op: str, args: Any = None, *, timeout: float = ..., actor: str | None = None) -> Any:
        """The result of one operation, or the shared.errors error it was refused with."""
        ...

    def tell(self, op: str, args: Any = None, *, actor: str | None = None) -> None:
        """One operation whose answer nobody waits for."""
        ...


class Slots:
    """A bounded number of permits, taken without waiting."""

    def __init__(self, size: int) -> None:
        self._free = threading.BoundedSemaphore(size)
        self.size = size

    def take(self) -> bool:
        """Whether a permit was free; give it back with `give`."""
        return self._free.acquire(blocking=False)

    def give(self) -> None:
        """Return a permit."""
        self._free.release()

    @contextmanager
    def taken(self) -> Iterator[bool]:
        """A permit for a block; yields whether there was one."""
        taken = self.take()
        try:
            yield taken
        finally:
            if taken:
                self.give()


@dataclass
class Api:
    """One application's collaborators."""

    config: Config
    paths: Paths
    bus: Bus
    feed: Source
    keyring: Keyring
    devices: Devices
    cookie: str
    streams: Slots
    long_calls: Slots
    stopping: threading.Event = field(default_factory=threading.Event)
    identity: Identity | None = None
    """Who asks: the token of this request."""

    @property
    def actor(self) -> str:
        """Who acts, for the record."""
        return self.identity.actor if self.identity is not None else "api"

    def still_valid(self, identity: Identity | None) -> bool:
        """Whether whoever came in may stay: no longer, when the token was revoked or rotated, the device revoked."""
        return identity is None or self.devices.still_valid(identity)

    def call(self, op: str, args: Any = None, *, timeout: float = CALL_SECONDS) -> Any:
        """A short operation."""
        return self._guarded(op, args, timeout)

    def act(self, op: str, args: Any, wait: float) -> Any:
        """An operation that acts, or may take `wait` seconds.

        A supervisor that is down is noticed before: the caller need not wait long for a 503, and no request of his lies
        in the bus's queue to be carried out after he was told that it failed. A token that was revoked meanwhile gets no
        answer, as it gets no more of a stream.
        """
        self._guarded("ping", None, PRESENCE_SECONDS)
        result = self._guarded(op, args, wait + SLACK_SECONDS)
        if not self.still_valid(self.identity):
            raise Unauthorized(
                "The token of this request was revoked or rotated while it waited. What it asked for goes on: ask again with "
                "another token and the same request id.",
                code="token_revoked",
            )
        return result

    def _guarded(self, op: str, args: Any, timeout: float) -> Any:
        try:
            return self.bus.call(op, args, timeout=timeout, actor=self.actor)
        except PilotlightError:
            if self.stopping.is_set():
                raise Unavailable(
                    "The API is restarting. Send this again with the same request id: nothing is done twice.",
                    code="restarting",
                    data={"retryAfter": 1},
                ) from None
            raise


def slots_for(threads: int) -> tuple[Slots, Slots]:
    """(streams, long calls) for this many threads; at least an eighth stays free for short calls."""
    streams = threads // 2
    return Slots(streams), Slots(threads - streams - max(1, threads // 8))


def api() -> Api:
    """The collaborators of the application that serves this request, acting as its token."""
    here = cast(Api, current_app.extensions["pilotlight"])
    return replace(here, identity=g.identity) if "identity" in g else here
