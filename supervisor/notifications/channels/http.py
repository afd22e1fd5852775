"""Requests to destinations: a connection pool that goes to allowed addresses only, follows nothing and reads a bounded answer.

`httpcore2` and not a client above it: its network backend is where the address of a connection is known, and there are no
redirects, proxies of the environment or cookies in it that would have to be switched off. What must not regress: the address
that was checked is the one that is connected to; an answer without end is not read to its end.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import time
from typing import Any

import httpcore2

from supervisor.notifications.channels.background import in_thread
from supervisor.notifications.channels.contract import (
    Barred,
    Delivered,
    Gone,
    Outcome,
    Refused,
    Retry,
    Unreachable,
    bounded,
)
from supervisor.notifications.channels.destinations import Destinations

MAX_ANSWER_BYTES = 16 * 1024
MAX_WHY = 200
CONNECT_SECONDS = 8.0
READ_SECONDS = 10.0
IDLE_SECONDS = 60.0
MAX_CONNECTIONS = 8


@dataclass(frozen=True)
class Answer:
    """What the other side said: its head, and the beginning of its body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        """A line of it, for people."""
        return " ".join(self.body.decode("utf-8", "replace").split())[:MAX_WHY]

    @property
    def retry_after(self) -> float | None:
        """The pause that it asks for, in seconds, within bounds; None when it names none."""
        told = self.headers.get("retry-after")
        if told is None:
            return None
        try:
            return bounded(float(told))
        except ValueError:
            pass
        try:
            return bounded(parsedate_to_datetime(told).timestamp() - time())
        except (ValueError, OverflowError):
            return None


class Guarded(httpcore2.AsyncNetworkBackend):
    """Connects to addresses that `destinations` admits, and to no other."""

    def __init__(self, destinations: Destinations) -> None:
        self._destinations = destinations
        self._backend = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, check, and connect to what was checked."""
        try:
            found = await in_thread(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), "resolver")
        except OSError as error:
            raise Unreachable(f"The host {host} cannot be found: {error.strerror or error}.") from None
        addresses = list(dict.fromkeys(str(item[4][0]).partition("%")[0] for item in found))
        allowed = [a for a in addresses if self._destinations.admits(host, ipaddress.ip_address(a))]
        if not allowed:
            raise Barred(f"{host} leads to a private address, and notify.private_hosts does not name it.")
        last: Exception | None = None
        for address in allowed:
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                last = error
        assert last is not None
        raise last

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> httpcore2.AsyncNetworkStream:
        """Never."""
        raise Barred(f"{path} is no destination.")

    async def sleep(self, seconds: float) -> None:
        """As the protocol asks."""
        await asyncio.sleep(seconds)


def trust(ca_file: str | None) -> ssl.SSLContext:
    """What is believed about the other side: the system's authorities, and those of `notify.ca_file`."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=str(Path(ca_file).expanduser()))
    return context


class Http:
    """Requests of one event loop. `http2`: that and nothing else."""

    def __init__(self, destinations: Destinations, context: ssl.SSLContext, http2: bool = False) -> None:
        self.destinations = destinations
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=MAX_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            http1=not http2,
            http2=http2,
            network_backend=Guarded(destinations),
        )

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """One request, checked, and its answer. Raise Barred or Unreachable."""
        self.destinations.check(url)
        timeouts = {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": READ_SECONDS}
        told = {"user-agent": "pilotlight", "content-length": str(len(body)), **headers}
        try:
            async with self._pool.stream(
                method, url, headers=list(told.items()), content=body, extensions={"timeout": timeouts}
            ) as answer:
                names = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in answer.headers}
                return Answer(answer.status, names, await _beginning(answer))
        except httpcore2.TimeoutException:
            raise Unreachable("It did not answer in time.") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.ConnectionNotAvailable) as error:
            raise Unreachable(f"The connection failed: {str(error)[:MAX_WHY] or type(error).__name__}.") from None
        except (ssl.SSLError, OSError) as error:
            raise Unreachable(f"The connection failed: {str(error)[:MAX_WHY]}.") from None

    async def close(self) -> None:
        """Let go of all connections."""
        await self._pool.aclose()


async def _beginning(answer: httpcore2.Response) -> bytes:
    read = b""
    async for part in answer.aiter_stream():
        read += part
        if len(read) >= MAX_ANSWER_BYTES:
            break
    return read[:MAX_ANSWER_BYTES]


def judge(answer: Answer, gone: tuple[int, ...] = (404, 410)) -> Outcome:
    """What an answer means, by its status."""
    status, words = answer.status, f": {answer.text}" if answer.text else ""
    if 200 <= status < 300:
        return Delivered(f"{status}")
    if status in gone:
        return Gone(f"It answered {status}{words}")
    if status == 429 or status >= 500 or status == 408:
        return Retry(f"It answered {status}{words}", answer.retry_after)
    if 300 <= status < 400:
        return Refused(f"It answered {status}: redirects are not followed. Give the address itself.")
    return Refused(f"It answered {status}{words}")
