"""Terminals of nodes: two connections joined, byte for byte, on one thread for all of them.

The upgrade itself is the node's: its handshake, its refusals, its messages pass through as they are. What must not regress:
whoever does not read holds up only the other end (nothing is kept but what the kernel keeps and one buffer), and a person whose
token stopped to count is hung up on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from flask import Response, request

from api.gateway.here import gateway, person
from api.gateway.nodes import Node, away
from api.gateway.upstream import CONNECT_SECONDS, context, dial, host_of
from shared.access.persons import EXPECT_HEADER
from shared.access.tokens import Identity
from shared.errors import Busy, InternalError

MAX_SOCKETS = 500
LOOK_SECONDS = 1.0
_UPGRADE = ("Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol")


class End(asyncio.Protocol):
    """One end of a joint: what comes in here goes out at the other."""

    def __init__(self, closed: Callable[[], None]) -> None:
        self.other: End | None = None
        self.transport: asyncio.Transport | None = None
        self._closed = closed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=128 * 1024)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """It does not read: nothing more is taken from the other."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """It reads again."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The other ends, too, when it has what was for it."""
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()
        self._closed()


@dataclass(frozen=True)
class Asked:
    """A connection to a node, and the request for the upgrade that is to be sent on it."""

    sock: socket.socket
    head: bytes
    tls: ssl.SSLContext | None
    host: str


class Joints:
    """All terminals of this gateway. The thread starts with the first one."""

    def __init__(self, stopping: threading.Event, still_valid: Callable[[Identity | None], bool]) -> None:
        self._stopping = stopping
        self._still_valid = still_valid
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ends: dict[End, Identity | None] = {}
        self._count = 0

    def reserve(self) -> None:
        """A place for one more. Raise Busy when all are taken."""
        with self._lock:
            if self._count >= MAX_SOCKETS:
                raise Busy(
                    f"{MAX_SOCKETS} terminals are open already.", code="too_many_viewers", data={"retryAfter": 5}
                )
            self._count += 1

    def give(self) -> None:
        """One place less is taken."""
        with self._lock:
            self._count -= 1

    def take(self, client: socket.socket, node: Asked, identity: Identity | None) -> None:
        """Join them; the place is reserved."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run, args=(self._loop,), name="pilotlight-joints", daemon=True).start()
            loop = self._loop
        asyncio.run_coroutine_threadsafe(self._join(client, node, identity), loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.call_later(LOOK_SECONDS, self._look)
        loop.run_forever()

    def _look(self) -> None:
        for end, identity in list(self._ends.items()):
            if (self._stopping.is_set() or not self._still_valid(identity)) and end.transport is not None:
                end.transport.close()
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    async def _join(self, client: socket.socket, node: Asked, identity: Identity | None) -> None:
        loop = asyncio.get_running_loop()
        ours = End(lambda: self._left(ours))
        theirs = End(lambda: None)
        ours.other, theirs.other, self._ends[ours] = theirs, ours, identity
        try:
            client.setblocking(False)
            await loop.connect_accepted_socket(lambda: ours, client)
        except OSError:
            client.close()
            node.sock.close()
            self._left(ours)
            return
        try:
            node.sock.setblocking(False)
            name = node.host if node.tls is not None else None
            await loop.create_connection(lambda: theirs, sock=node.sock, ssl=node.tls, server_hostname=name)
        except OSError:
            node.sock.close()
            assert ours.transport is not None
            ours.transport.close()
            return
        assert theirs.transport is not None
        theirs.transport.write(node.head)

    def _left(self, end: End) -> None:
        self._ends.pop(end, None)
        self.give()


class Joined(Response):
    """Instead of a response: the client's connection is joined to the node's, and the thread that served it is free."""

    def __init__(self, joints: Joints, client: socket.socket, node: Asked, identity: Identity | None) -> None:
        super().__init__(status=101)
        self._joints, self._client, self._node, self._identity = joints, client, node, identity

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Take the connection from gunicorn and leave it a dead one to close; StopIteration is how it is told to."""
        mine = self._client.dup()
        dead, other = socket.socketpair()
        os.dup2(dead.fileno(), self._client.fileno(), inheritable=False)
        dead.close()
        other.close()
        self._joints.take(mine, self._node, self._identity)
        raise StopIteration


def join(joints: Joints, node: Node, target: str, identity: Identity) -> Response:
    """The terminal of a node's session, as this client's. Raise Unavailable or Busy."""
    client = request.environ.get("gunicorn.socket")
    if client is None:
        raise InternalError("This server cannot serve WebSockets.", code="no_websocket")
    joints.reserve()
    try:
        there = _asked(node, target, identity)
    except OSError as error:
        joints.give()
        failed = away(node, str(error))
        gateway().nodes.failed(node, str(error))
        raise failed from None
    return Joined(joints, client, there, identity)


def _asked(node: Node, target: str, identity: Identity) -> Asked:
    """A connection to the node, and what is to be said on it."""
    headers = {
        "Host": host_of(node.address),
        "Authorization": f"Bearer {node.address.token}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        EXPECT_HEADER: node.id,
        **person(node, identity, "GET", unquote(target.partition("?")[0])),
        **{name: request.headers[name] for name in _UPGRADE if name in request.headers},
    }
    base = urlsplit(node.address.url)
    lines = [f"GET {base.path}{target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    tls = context(node.address.ca_file) if base.scheme == "https" else None
    return Asked(dial(node.address, CONNECT_SECONDS), "\r\n".join(lines).encode("latin-1"), tls, base.hostname or "")
