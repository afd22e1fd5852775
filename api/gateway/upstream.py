"""Requests to nodes: kept connections, deadlines, and an honest word when it is not known what became of one.

What must not regress: before a connection stands nothing was done (503, `node_unreachable`); once a request that acts may have
been read, its failure is "unknown" (504, `outcome_unknown`) and never "failed"; the one repeat that is made here, when a kept
connection turns out to be dead, goes to the same node with the same key, and when it finds nobody, that says nothing of
the first try. A link that was cut is noticed by the kernel's keep-alive.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from api.gateway.nodes import Address, Answer, Node, away
from api.http.sockets import readable
from shared.access.persons import EXPECT_HEADER
from shared.errors import DeadlineExceeded, Unavailable

CONNECT_SECONDS = 2.0
PROBE_SECONDS = 2.0
KEPT = 16
"""Connections that are kept for a node."""

_DEAD_AFTER = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 3, "TCP_KEEPCNT": 4, "TCP_USER_TIMEOUT": 15_000}
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Body:
    """A body that is too long to be held: its length, and its pieces as they come."""

    length: int
    pieces: Iterator[bytes]


class Reply:
    """A node's answer. Read it whole, or leave it: then its connection is closed."""

    def __init__(self, kept: Kept, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self._kept, self._connection, self._response = kept, connection, response

    def read(self) -> bytes:
        """All of it; the connection is kept. Raise DeadlineExceeded when it breaks off."""
        try:
            body = self._response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise DeadlineExceeded(f"The node's answer broke off ({error}).", code="outcome_unknown") from None
        if self._response.will_close:
            self.close()
        else:
            self._kept.give(self._connection)
        return body

    def chunks(self) -> Iterator[bytes]:
        """As it comes. It ends early when the node does."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            while data := self._response.read1(CHUNK):
                yield data

    def lines(self) -> Iterator[bytes]:
        """The same, line by line."""
        with suppress(OSError, http.client.HTTPException, ValueError):
            while line := self._response.readline(1024 * 1024 * 64):
                yield line

    def hang_up(self) -> None:
        """End whoever reads it, from another thread."""
        if (sock := self._connection.sock) is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Leave it."""
        self._response.close()
        self._connection.close()


class Kept:
    """The connections to one address that nobody uses."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._idle: list[http.client.HTTPConnection] = []

    def take(self) -> http.client.HTTPConnection | None:
        """One that stands, as far as can be seen."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.sock is not None and not readable(connection.sock):
                return connection
            connection.close()

    def give(self, connection: http.client.HTTPConnection) -> None:
        """Keep it for the next."""
        with self._lock:
            if len(self._idle) < KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def forsaken(self) -> bool:
        """Whether none of them stands: those that the node has closed are closed here, too."""
        with self._lock:
            dead = [one for one in self._idle if one.sock is None or readable(one.sock)]
            self._idle = [one for one in self._idle if one not in dead]
            for connection in dead:
                connection.close()
            return not self._idle

    def fresh(self, timeout: float) -> http.client.HTTPConnection:
        """A new one. Raise OSError."""
        connection = http.client.HTTPConnection("placeholder")
        connection.sock = connect(self._address, min(timeout, CONNECT_SECONDS))
        return connection


class Upstream:
    """Everything that is asked of nodes goes through here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[Address, Kept] = {}
        self._asking: set[http.client.HTTPConnection] = set()
        self._closed = False

    def close(self) -> None:
        """End what still waits for a node: it is told that nobody knows, before this process goes."""
        with self._lock:
            self._closed = True
            asking = list(self._asking)
        for connection in asking:
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def send(
        self,
        node: Node,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        timeout: float,
        acts: bool = False,
    ) -> Reply:
        """The head of the answer. Raise Unavailable when nothing was done, DeadlineExceeded when that is not known."""
        told = {EXPECT_HEADER: node.id, **headers} if node.id else dict(headers)
        kept = self._of(node.address)
        connection = kept.take()
        tried = (
            connection is not None
        )  # and the node may have read it: then nothing that follows says that nothing was done
        if connection is not None:
            with suppress(ConnectionError):
                return self._ask(kept, connection, node, method, target, told, body, timeout, acts, again=True)
        try:
            connection = kept.fresh(timeout)
        except OSError as error:
            raise _failed(node, error, unknown=acts and tried) from None
        return self._ask(kept, connection, node, method, target, told, body, timeout, acts, tried=tried)

    def bring(self, node: Node, target: str, headers: Mapping[str, str], body: Body, *, timeout: float) -> Reply:
        """As `send`, with a long body, over a connection of its own and never a second time."""
        told = {EXPECT_HEADER: node.id, **headers} if node.id else dict(headers)
        kept = self._of(node.address)
        try:
            connection = kept.fresh(timeout)
        except OSError as error:
            raise _failed(node, error, unknown=False) from None
        return self._ask(kept, connection, node, "PUT", target, told, body, timeout, True)

    def _ask(
        self,
        kept: Kept,
        connection: http.client.HTTPConnection,
        node: Node,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes | Body | None,
        timeout: float,
        acts: bool,
        *,
        again: bool = False,
        tried: bool = False,
    ) -> Reply:
        assert connection.sock is not None
        connection.sock.settimeout(timeout)
        with self._lock:
            self._asking.add(connection)
        try:
            _write(connection, node.address, method, target, headers, body)
            response = connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if again and isinstance(error, ConnectionError) and not self._closed:
                raise
            raise _failed(node, error, unknown=acts) from None
        finally:
            with self._lock:
                self._asking.discard(connection)
        if response.status == 421:
            connection.close()
            raise _failed(node, OSError("another node is at its address"), unknown=acts and tried)
        return Reply(kept, connection, response)

    def _of(self, address: Address) -> Kept:
        with self._lock:
            if address not in self._kept:  # a node has moved: where it was, nobody will ask again
                self._kept = {known: kept for known, kept in self._kept.items() if not kept.forsaken()}
            return self._kept.setdefault(address, Kept(address))


def _write(
    connection: http.client.HTTPConnection,
    address: Address,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes | Body | None,
) -> None:
    connection.putrequest(method, urlsplit(address.url).path + target, skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": host_of(address), "Authorization": f"Bearer {address.token}", **headers}.items():
        connection.putheader(name, value)
    if isinstance(body, Body):
        connection.putheader("Content-Length", str(body.length))
        connection.endheaders()
        _send(connection, body)
        return
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)


def _send(connection: http.client.HTTPConnection, body: Body) -> None:
    """All of a long body. A node that refuses it before its end has answered already."""
    sent = 0
    with suppress(BrokenPipeError, ConnectionResetError):
        for piece in body.pieces:
            connection.send(piece)
            sent += len(piece)
        if sent != body.length:
            raise ConnectionAbortedError("what was to be sent has broken off")


def host_of(address: Address) -> str:
    """What the Host header says."""
    return address.host or urlsplit(address.url).netloc.rpartition("@")[2]


def connect(address: Address, timeout: float) -> socket.socket:
    """A connection, with TLS where that is asked for. Raise OSError."""
    sock = dial(address, timeout)
    parts = urlsplit(address.url)
    if parts.scheme == "https":
        try:
            return context(address.ca_file).wrap_socket(sock, server_hostname=parts.hostname)
        except OSError:
            sock.close()
            raise
    return sock


def dial(address: Address, timeout: float) -> socket.socket:
    """A TCP connection that notices when the link is cut. Raise OSError."""
    parts = urlsplit(address.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    sock = socket.create_connection((address.at or parts.hostname or "", port), timeout)
    try:
        if sock.getsockname() == sock.getpeername():  # a port of this machine at which nobody listens may meet itself
            raise ConnectionRefusedError("nobody listens there")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _DEAD_AFTER.items():
            if hasattr(socket, name):  # macOS calls some of them otherwise, and has defaults for those
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except OSError:
        sock.close()
        raise
    return sock


def context(ca_file: str | None) -> ssl.SSLContext:
    """What a node's certificate is held against, as the file says it now. Raise OSError."""
    facts = os.stat(ca_file) if ca_file is not None else None
    return _context(ca_file, None if facts is None else (facts.st_ino, facts.st_mtime_ns))


@lru_cache(64)
def _context(ca_file: str | None, stamp: tuple[int, int] | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


def _failed(node: Node, error: Exception, *, unknown: bool) -> Unavailable | DeadlineExceeded:
    """What is raised for a request that was not answered. `unknown`: whether it may have been carried out."""
    if not unknown:
        return away(node, str(error) or type(error).__name__)
    return DeadlineExceeded(
        f"The node {node.name} did not answer ({str(error) or type(error).__name__}); it is not known whether it has taken this. "
        "Send it again with the same request id: nothing is done twice.",
        code="outcome_unknown",
        data={"node": node.name, "retryAfter": 1},
    )


class _Who(msgspec.Struct):
    id: str
    name: str


class _Health(msgspec.Struct):
    node: _Who | None = None
    epoch: str | None = None
    status: str = ""


def probe(address: Address) -> Answer:
    """Who is at this address. Raise OSError or Unavailable."""
    node = Node(address.name or address.at or "?", "ok", address)
    connection = Kept(address).fresh(PROBE_SECONDS)
    try:
        assert connection.sock is not None
        connection.sock.settimeout(PROBE_SECONDS)
        _write(connection, address, "GET", "/health", {}, None)
        body = connection.getresponse().read()
        health = msgspec.json.decode(body, type=_Health)
    except (http.client.HTTPException, msgspec.MsgspecError) as error:
        raise away(node, f"what answers there is no pilotlight: {error}") from None
    finally:
        connection.close()
    if health.node is None:
        raise Unavailable("It does not say which node it is: it was never started, or is older than this gateway.")
    return Answer(health.node.id, health.node.name, health.epoch or "", health.status == "healthy")
