"""One WebSocket, server side, on an asyncio transport: the handshake's answer, frames in, frames out.

wsproto parses what comes in. What goes out is a header of two to ten bytes before data that all viewers share, so it is
made once for all of them (docs/decisions/0005-terminal-viewers.md has the measurements). No compression: it would have to
be done for each viewer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import Callable
from typing import Any, Protocol

from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from shared.bus.terminal_protocol import BEHIND_BYTES

TEXT, BINARY, CLOSE, PING = 1, 2, 8, 9
NORMAL, GOING_AWAY, POLICY, TOO_BIG, RESTART = 1000, 1001, 1008, 1009, 1012
MAX_MESSAGE = 256 * 1024
PING_SECONDS = 30.0
HIGH_WATER, LOW_WATER = 64 * 1024, 8 * 1024
UNREAD_BYTES = 2 * BEHIND_BYTES
"""What lies unread for one browser at most. Whoever has more and still asks for answers never reads them and is cut off.
Nobody's frames are left unread instead: behind a flood of output, a person's Ctrl+C has to get through."""

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept_key(key: str) -> str:
    """The answer to `Sec-WebSocket-Key` (RFC 6455, 4.2.2)."""
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def valid_key(key: str) -> bool:
    """Whether it is 16 bytes in base64."""
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def frame(opcode: int, payload: bytes) -> bytes:
    """One whole message from the server."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", 0x80 | opcode, size) + payload
    if size < 1 << 16:
        return struct.pack("!BBH", 0x80 | opcode, 126, size) + payload
    return struct.pack("!BBQ", 0x80 | opcode, 127, size) + payload


class Owner(Protocol):
    """Who is told what a WebSocket does."""

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        """A whole message."""
        ...

    def drained(self, socket: WebSocket) -> None:
        """It has read what it was sent, after it was behind."""
        ...

    def closed(self, socket: WebSocket) -> None:
        """It is gone."""
        ...


class WebSocket(asyncio.Protocol):
    """One browser's connection. `stale`: it was skipped, or has just come, and needs a snapshot."""

    def __init__(self, key: str, owner: Callable[[WebSocket], Owner]) -> None:
        self._key = key
        self._make_owner = owner
        self._owner: Owner | None = None
        self._transport: asyncio.Transport | None = None
        self._connection = Connection(ConnectionType.SERVER)
        self._parts: list[str | bytes] = []
        self._size = 0
        self._heard = True
        self._ping: asyncio.TimerHandle | None = None
        self.stale = True
        self.clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(self._key).encode() + b"\r\n\r\n"
        )
        self._owner = self._make_owner(self)
        self._tend()

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        self._heard = True
        try:
            self._connection.receive_data(data)
            for event in self._connection.events():
                if self._transport is None or self._transport.is_closing():
                    return
                if isinstance(event, Message):
                    self._take(event)
                elif isinstance(event, Ping):
                    self.send(self._connection.send(event.response()))
                elif isinstance(event, CloseConnection):
                    self.send(self._connection.send(event.response()))
                    self._end()
                elif not isinstance(event, Pong):
                    self.close(POLICY)
        except (RemoteProtocolError, LocalProtocolError):
            self.close(POLICY)

    def eof_received(self) -> None:
        """Half a connection is none."""

    def pause_writing(self) -> None:
        """It is behind."""
        self.clogged = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.clogged = False
        if self._owner is not None:
            self._owner.drained(self)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._transport = None
        if self._ping is not None:
            self._ping.cancel()
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.closed(self)

    def send(self, encoded: bytes) -> None:
        """Frames that are not skipped: for what is small and seldom. One who never reads is cut off."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > UNREAD_BYTES:
            transport.abort()
            return
        transport.write(encoded)

    def offer(self, encoded: bytes, limit: int) -> None:
        """A frame of the stream; when the buffer would hold more than `limit` bytes it is skipped, and what follows."""
        transport = self._transport
        if self.stale or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() + len(encoded) > limit:
            self.stale = True
            return
        transport.write(encoded)

    def close(self, code: int, reason: str = "") -> None:
        """Say goodbye and end."""
        self.send(frame(CLOSE, struct.pack("!H", code) + reason.encode()[:120]))
        self._end()

    def _end(self) -> None:
        """Close, at once when it does not read."""
        if self._transport is not None:
            self._transport.abort() if self.clogged else self._transport.close()

    def _take(self, event: Message[Any]) -> None:
        self._size += len(event.data)
        if self._size > MAX_MESSAGE:
            self.close(TOO_BIG, "at most 256 KB in one message")
            return
        assert isinstance(event, TextMessage | BytesMessage)
        if event.data:  # fragments without content would count for nothing, and pile up
            self._parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
        if event.message_finished:
            parts, self._parts, self._size = self._parts, [], 0
            message: str | bytes = "".join(p for p in parts if isinstance(p, str))
            if isinstance(event, BytesMessage):
                message = b"".join(p for p in parts if isinstance(p, bytes))
            if self._owner is not None:
                self._owner.received(self, message)

    def _tend(self) -> None:
        """End what has not been heard of between two pings."""
        if not self._heard:
            if self._transport is not None:
                self._transport.abort()
            return
        self._heard = False
        self.send(frame(PING, b""))
        self._ping = asyncio.get_running_loop().call_later(PING_SECONDS, self._tend)
