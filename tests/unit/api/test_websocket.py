"""Terminals for browsers, with a browser that means harm: what it costs is bounded, and the others are served."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.terminals.relay import TerminalRequest, Viewers
from api.terminals.websocket import CLOSE, POLICY, TEXT, UNREAD_BYTES, WebSocket
from tests.harness import PATIENCE

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
FLOOD_BYTES = 4 * 1024 * 1024
"""Of frames of 6 bytes, each of which is answered with more than 100."""


def frame(opcode: int, payload: bytes = b"", last: bool = True) -> bytes:
    """As a browser sends it, under a mask of zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack("!BH", 0x80 | 126, len(payload))
    return bytes([0x80 * last | opcode]) + size + bytes(4) + payload


class Browser:
    """One connection of a browser that only looks. There is no supervisor, and none is needed."""

    def __init__(self, viewers: Viewers) -> None:
        self.connection, server = socket.socketpair()
        self.connection.settimeout(PATIENCE)
        viewers.reserve()
        viewers.take(server, KEY, TerminalRequest("s", False, "test"))
        self._file = self.connection.makefile("rb")
        while self._file.readline() != b"\r\n":
            pass

    def hear(self) -> tuple[int, bytes]:
        """The next frame."""
        first, size = self._file.read(2)
        return first & 0x0F, self._file.read(struct.unpack("!H", self._file.read(2))[0] if size == 126 else size)

    def until_told(self, kind: str) -> None:
        """Until a message of this type has come."""
        while True:
            opcode, payload = self.hear()
            if opcode == TEXT and json.loads(payload)["type"] == kind:
                return

    def close(self) -> None:
        """Go away."""
        self._file.close()
        self.connection.close()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Callable[[], Browser]]:
    viewers = Viewers(tmp_path / "none.sock", threading.Event(), lambda identity: True)
    opened: list[Browser] = []

    def make() -> Browser:
        opened.append(Browser(viewers))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def flood(connection: socket.socket, piece: bytes) -> int:
    """How many bytes were taken before the connection was cut, FLOOD_BYTES at most."""
    sent = 0
    try:
        while sent < FLOOD_BYTES:
            sent += connection.send(piece)
    except OSError:
        pass
    return sent


@pytest.mark.parametrize("asked", [frame(2), frame(9, b"x" * 100), frame(1, b'{"type": "steal"}')])
def test_who_floods_and_never_reads_is_cut_off_and_the_others_are_served(
    browser: Callable[[], Browser], asked: bytes
) -> None:
    hostile, other = browser(), browser()

    sent = flood(hostile.connection, asked * 1000)

    assert sent < FLOOD_BYTES, f"answers of more than {UNREAD_BYTES} bytes were kept for it"
    other.connection.sendall(frame(1, b'{"type": "steal"}'))
    other.until_told("error")


class Quiet(asyncio.Transport):
    """Takes everything and keeps nothing."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: object) -> None: ...

    def is_closing(self) -> bool:
        return False


class Listener:
    """Hears what a WebSocket says."""

    def __init__(self) -> None:
        self.heard: list[str | bytes] = []

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        self.heard.append(message)

    def drained(self, socket: WebSocket) -> None: ...

    def closed(self, socket: WebSocket) -> None: ...


async def test_a_message_without_an_end_is_not_gathered() -> None:
    listener = Listener()
    web = WebSocket(KEY, lambda _: listener)
    web.connection_made(Quiet())
    web.data_received(frame(1, b"be", last=False))
    web.data_received(frame(0, last=False) * 1000)
    assert len(web._parts) == 1
    web.data_received(frame(0, b"gun"))
    assert listener.heard == ["begun"]
    web.connection_lost(None)


def test_what_is_nested_too_deeply_is_no_message(browser: Callable[[], Browser]) -> None:
    hostile = browser()
    hostile.connection.sendall(frame(1, b'{"type": ' + b"[" * 60_000))
    while True:
        opcode, payload = hostile.hear()
        if opcode == CLOSE:
            assert struct.unpack("!H", payload[:2])[0] == POLICY
            return
