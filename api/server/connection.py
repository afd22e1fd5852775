"""A connection that cannot hold a thread by being slow (slowloris): its head is read in the event loop, its body is paced.

gunicorn's gthread gives a thread to whoever connects, and a socket time-out counts from byte to byte, so sixty-four clients
that send a byte now and then are the end of it. Here a thread gets a connection when its head is whole, in
HEAD_SECONDS or not at all. A body must come at BODY_BYTES_PER_SECOND on average after BODY_SECONDS; and of those that
have not come at once, only a quarter of the threads may wait for (a phone on a slow line is welcome, sixty of them are not).
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn

from shared.errors import PilotlightError

HEAD_SECONDS = 5.0
HEAD_BYTES = 64 * 1024
BODY_SECONDS = 10.0
BODY_BYTES_PER_SECOND = 64 * 1024
AT_ONCE_SECONDS = 1.0
SEND_SECONDS = 30.0
"""How long a client may stall while a response is sent before its thread is taken back."""

LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * 1024
"""How long, and for how much, a client that was answered may go on sending before it is hung up on."""

END_OF_HEAD = b"\r\n\r\n"


class SlowBody(PilotlightError):
    """The body of a request did not come in time."""

    code, status, retryable = "body_too_slow", 408, True


class Head(Enum):
    """How far the head of a request has come."""

    PARTIAL = auto()
    WHOLE = auto()
    TOO_LARGE = auto()
    GONE = auto()


class Connection(TConn):  # type: ignore[misc]
    """One client. `uploads` are the permits for bodies that take their time; `linger` closes without haste."""

    def __init__(
        self,
        cfg: Any,
        sock: socket.socket,
        client: Any,
        server: Any,
        uploads: threading.BoundedSemaphore,
        linger: Callable[[Connection], None],
    ) -> None:
        super().__init__(cfg, sock, client, server)
        self.head = b""
        self.lingered = 0
        self._linger = linger
        self._uploads = uploads
        self._reader: PacedReader | None = None

    def read_head(self) -> Head:
        """Take in what has come, without waiting. Raise OSError when the connection is broken."""
        while True:
            try:
                data = self.sock.recv(HEAD_BYTES)
            except (BlockingIOError, InterruptedError):
                return Head.PARTIAL
            if not data:
                return Head.GONE
            self.head = (self.head + data).lstrip(b"\r\n") if len(self.head) < 4 else self.head + data
            if END_OF_HEAD in self.head:
                return Head.WHOLE
            if len(self.head) > HEAD_BYTES:
                return Head.TOO_LARGE

    def init(self) -> None:
        """Called for every request, in its thread."""
        super().init()
        self.sock.settimeout(SEND_SECONDS)
        if self._reader is None:
            self._reader = self.parser.unreader = PacedReader(self.sock, self._uploads)
        if self.head:
            self._reader.unread(self.head)
            self.head = b""
        self._reader.begin()

    def close(self, graceful: bool = False) -> None:
        """Close it; gracefully, so that the last response arrives."""
        if graceful:
            self._linger(self)
        else:
            super().close()

    def hand_back(self) -> None:
        """The request is over."""
        if self._reader is not None:
            self._reader.end()


class PacedReader(SocketUnreader):  # type: ignore[misc]
    """Reads a body from the socket, as long as it keeps coming."""

    def __init__(self, sock: socket.socket, uploads: threading.BoundedSemaphore) -> None:
        super().__init__(sock)
        self._uploads = uploads
        self._permit = False
        self._began = 0.0
        self._received = 0

    def begin(self) -> None:
        """A new request."""
        self._began = time.monotonic()
        self._received = 0

    def end(self) -> None:
        """Give the permit back."""
        if self._permit:
            self._permit = False
            self._uploads.release()

    def chunk(self, size_hint: int | None = None) -> bytes:
        """The next piece. Raise SlowBody when it does not come, or nobody may wait for it."""
        while True:
            passed = time.monotonic() - self._began
            left = BODY_SECONDS + self._received / BODY_BYTES_PER_SECOND - passed
            if left <= 0:
                raise SlowBody("The body of this request came too slowly. Send it again.")
            if passed >= AT_ONCE_SECONDS and not self._permit:
                if not self._uploads.acquire(blocking=False):
                    raise SlowBody("Too many slow uploads at a time. Send it again.", data={"retryAfter": 1})
                self._permit = True
            self.sock.settimeout(left if self._permit else max(0.01, AT_ONCE_SECONDS - passed))
            try:
                data: bytes = super().chunk(size_hint)
            except TimeoutError:
                continue
            finally:
                self.sock.settimeout(SEND_SECONDS)
            self._received += len(data)
            return data
