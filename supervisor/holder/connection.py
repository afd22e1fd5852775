"""One client of the holder: frames in, frames out, and its own position in the ring.

What must not regress: a client that is slow, dead or hostile costs neither memory nor time. Output is not queued for
it: it is read from the ring when its socket takes more, and what the ring has lost by then is declared as a gap. A
client that asks without reading the answers is no longer listened to. Standard library only: the holder imports this.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from typing import Any

from shared.frames import CHUNK, BadFrame, Decoder
from supervisor.holder.protocol import JSON, MAX_FRAME, decode_json, encode_json, encode_output
from supervisor.holder.ring import Ring

_MAX_UNREAD_ANSWERS = 256 * 1024
_FRAMES_PER_TURN = 4


class Connection:
    """Raises OSError from `requests` and `pump` when the peer is gone, BadFrame when it is no peer."""

    def __init__(self, sock: socket.socket, ring: Ring) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self._ring = ring
        self._decoder = Decoder(MAX_FRAME)
        self._outbox = bytearray()
        self._position: int | None = None
        self._farewell: bytes | None = None
        self._blocked = False

    @property
    def interest(self) -> int:
        """What the selector should watch for; never nothing."""
        listening = selectors.EVENT_READ if len(self._outbox) < _MAX_UNREAD_ANSWERS else 0
        return listening | (selectors.EVENT_WRITE if self._has_more() else 0)

    @property
    def drained(self) -> bool:
        return not self._has_more()

    def requests(self) -> Iterator[dict[str, Any]]:
        data = self.sock.recv(CHUNK)
        if not data:
            raise ConnectionResetError("the client has left")
        for kind, payload in self._decoder.feed(data):
            if kind != JSON:
                raise BadFrame("only JSON frames are understood")
            yield decode_json(payload)

    def send(self, message: dict[str, Any]) -> None:
        if not self.closed:
            self._outbox += encode_json(message)

    def subscribe(self, offset: int) -> int:
        """From `offset` on; an offset that is still to come starts at the present end."""
        self._position = min(max(0, offset), self._ring.end)
        return max(self._position, self._ring.start)

    def part(self, message: dict[str, Any]) -> None:
        """The last message, after all output that is there now."""
        self._farewell = encode_json(message)

    def writable(self) -> None:
        self._blocked = False

    def pump(self) -> None:
        """Sends a few frames at most, so that the terminal and the other clients get their turn."""
        for _ in range(_FRAMES_PER_TURN):
            if self._blocked or self.closed:
                return
            if not self._outbox and not self._refill():
                return
            try:
                sent = self.sock.send(self._outbox)
            except BlockingIOError:
                self._blocked = True
                return
            del self._outbox[:sent]

    def close(self) -> None:
        self.closed = True
        self._outbox.clear()
        self.sock.close()

    def _has_more(self) -> bool:
        return bool(self._outbox) or self._behind() or self._farewell is not None

    def _behind(self) -> bool:
        return self._position is not None and self._position < self._ring.end

    def _refill(self) -> bool:
        if self._position is not None and self._behind():
            if self._position < self._ring.start:
                self._outbox += encode_json({"event": "gap", "from": self._position, "to": self._ring.start})
                self._position = self._ring.start
            data = self._ring.read(self._position, CHUNK)
            self._outbox += encode_output(self._position, data)
            self._position += len(data)
        elif self._farewell is not None:
            self._outbox += self._farewell
            self._farewell = None
        return bool(self._outbox)
