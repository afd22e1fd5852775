"""The one bus client of this process: made at the first call, closed once, safe from every thread.

Lazy, because a ZeroMQ context must never be carried across a fork, and because the API has to start, listen and say
that the supervisor is down when it is down.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from shared.errors import Unavailable

if TYPE_CHECKING:
    from shared.bus.client import BusClient


class LazyBus:
    """A shared.bus.BusClient that comes into being when it is needed."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._client: BusClient | None = None
        self._closed = False

    def call(self, op: str, args: Any = None, *, timeout: float = 10.0, actor: str | None = None) -> Any:
        """See BusClient.call."""
        return self._connected().call(op, args, timeout=timeout, actor=actor)

    def tell(self, op: str, args: Any = None, *, actor: str | None = None) -> None:
        """See BusClient.tell."""
        self._connected().tell(op, args, actor=actor)

    def close(self) -> None:
        """Fail what is pending with Unavailable, and refuse what comes."""
        with self._lock:
            self._closed, client, self._client = True, self._client, None
        if client is not None:
            client.close()

    def _connected(self) -> BusClient:
        with self._lock:
            if self._closed:
                raise Unavailable("The API is shutting down.", data={"retryAfter": 1})
            if self._client is None:
                from shared.bus.client import BusClient  # 20 ms of import that the start-up need not wait for

                self._client = BusClient(self._address, actor="api")
            return self._client
