"""Those who look at a terminal, as tests need them: on the supervisor's socket, on a WebSocket, and in a real tmux.

Each keeps an emulator of its own, fed with nothing but what it was sent: what it shows is what a person would see.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import socket
import struct
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from pyghostty import Terminal

from api.terminals import messages
from shared.bus import terminal_protocol as protocol
from shared.frames import Decoder, read_offset
from tests.harness import PATIENCE

WORDS = {word.__struct_config__.tag: word for word in messages.RECEIVED}


class Onlooker:
    """Common to both: what was told, and the screen."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.told: list[dict[str, Any]] = []
        self.screen = Terminal(cols=120, rows=40)
        self.snapshots = 0
        self.received = 0
        self.closed = False

    def _frames(self, data: bytes) -> None:
        raise NotImplementedError

    def look(self, timeout: float = 0.05) -> None:
        """Take in what has come."""
        self.connection.settimeout(timeout)
        try:
            data = self.connection.recv(1 << 18)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if not data:
            self.closed = True
        self._frames(data)

    def until(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """Look until the condition holds."""

        end = time.monotonic() + timeout
        while True:
            self.look()
            if value := condition():
                return value
            assert time.monotonic() < end, f"not within {timeout:g} s: {what}; told {self.told[-4:]}\n{self.text}"
            if self.closed:
                time.sleep(0.01)

    def until_told(self, **wanted: Any) -> dict[str, Any]:
        """The first message from now on that holds all of this."""
        seen = len(self.told)

        def fitting() -> list[dict[str, Any]]:
            return [m for m in self.told[seen:] if all(m.get(k) == v for k, v in wanted.items())]

        self.until(fitting, f"told {wanted}")
        return fitting()[0]

    def until_shown(self, text: str) -> None:
        """Until the screen shows a text."""
        self.until(lambda: text in self.text, f"{text!r} is shown")

    @property
    def text(self) -> str:
        """What the screen shows, blanks as spaces."""
        return "\n".join(row.rstrip() for row in self.screen.text().replace("\xa0", " ").split("\n")).rstrip()

    def last(self, kind: str) -> dict[str, Any]:
        """The latest message of this type."""
        return next(message for message in reversed(self.told) if message["type"] == kind)

    def _draw(self, head: dict[str, Any], drawing: bytes) -> None:
        self.snapshots += 1
        if not head["cropped"] and self.screen.size != (head["cols"], head["rows"]):
            self.screen = Terminal(cols=head["cols"], rows=head["rows"])
        self.screen.feed(drawing)

    def close(self) -> None:
        """Go away."""
        self.connection.close()


class Viewer(Onlooker):
    """On the supervisor's socket. Checks that no byte of output is missing between snapshots."""

    def __init__(self, address: Path, session: str, mode: str = "read", actor: str = "test", **size: int) -> None:
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(address))
        super().__init__(connection)
        self._decoder = Decoder(protocol.MAX_FRAME)
        self._next: int | None = None
        self.send(protocol.control({"v": protocol.VERSION, "session": session, "mode": mode, "actor": actor, **size}))

    def send(self, frame: bytes) -> None:
        """A frame of the protocol."""
        self.connection.settimeout(PATIENCE)
        self.connection.sendall(frame)

    def type(self, text: str) -> None:
        """Keys."""
        self.send(protocol.keys(text.encode()))

    def say(self, kind: str, **more: Any) -> None:
        """A control message."""
        self.send(protocol.control({"type": kind, **more}))

    def _frames(self, data: bytes) -> None:
        for kind, payload in self._decoder.feed(data):
            if kind == protocol.CONTROL:
                self.told.append(protocol.read_control(payload))
            elif kind == protocol.SNAPSHOT:
                head, drawing = protocol.read_snapshot(payload)
                self.told.append(head)
                self._next = head["offset"]
                self._draw(head, drawing)
            else:
                offset, output = read_offset(payload)
                assert offset == self._next, f"output from {offset}, expected {self._next}"
                self._next = offset + len(output)
                self.received += len(output)
                self.screen.feed(output)


class Refused(Exception):
    """The handshake was answered with another status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Web(Onlooker):
    """A WebSocket, spoken by hand, so that a test may also be slow or rude."""

    def __init__(self, address: tuple[str, int], path: str, headers: dict[str, str], buffer: int | None = None) -> None:
        connection = socket.socket()
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(PATIENCE)
        connection.connect(address)
        super().__init__(connection)
        self._buffer = b""
        self._head: dict[str, Any] | None = None
        sent = {
            "Host": f"{address[0]}:{address[1]}",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **headers,
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        connection.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(65536)
            assert piece, answer
            answer += piece
        status = int(answer.split(b" ")[1])
        if status != 101:
            connection.close()
            raise Refused(status)
        self.code: int | None = None
        self._frames(answer.partition(b"\r\n\r\n")[2])  # what has come with the answer

    def send(self, payload: str | bytes) -> None:
        """One message."""
        data = payload.encode() if isinstance(payload, str) else payload
        size = len(data)
        head = bytes([0x81 if isinstance(payload, str) else 0x82])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 1 << 16:
            head += bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            head += bytes([0x80 | 127]) + struct.pack("!Q", size)
        self.connection.settimeout(PATIENCE)
        self.connection.sendall(head + bytes(4) + data)

    def say(self, kind: str, **more: Any) -> None:
        """A control message."""
        self.send(json.dumps({"type": kind, **more}))

    def _frames(self, data: bytes) -> None:
        self._buffer += data
        while (found := _one_frame(self._buffer)) is not None:
            opcode, payload, self._buffer = found
            if opcode == 8:
                self.code = struct.unpack("!H", payload[:2])[0]
            elif opcode == 1:
                message = json.loads(payload)
                msgspec.convert(message, WORDS[message["type"]])
                self.told.append(message)
                self._head = message if message["type"] == "snapshot" else None
            elif opcode == 2 and self._head is not None:
                self._draw(self._head, payload)
                self._head = None
            elif opcode == 2:
                self.received += len(payload)
                self.screen.feed(payload)


def _one_frame(data: bytes) -> tuple[int, bytes, bytes] | None:
    if len(data) < 2:
        return None
    size, start = data[1] & 0x7F, 2
    if size == 126:
        size, start = int.from_bytes(data[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(data[2:10], "big"), 10
    if len(data) < start + size or (start > 2 and len(data) < start):
        return None
    return data[0] & 0x0F, data[start : start + size], data[start + size :]


class Tmux:
    """A private tmux server with one window and a shell in it."""

    def __init__(self, folder: Path, environment: dict[str, str], cols: int, rows: int) -> None:
        self._command = ["tmux", "-L", f"pl-{os.getpid()}-{time.monotonic_ns()}", "-f", "/dev/null"]
        variables = [f"{name}={value}" for name, value in environment.items()]
        shell = shlex.join(["env", "-i", "TERM=screen-256color", "PS1=SHELL> ", *variables, "sh"])
        self("new-session", "-d", "-s", "t", "-c", str(folder), "-x", str(cols), "-y", str(rows), shell)
        self.until_shown("SHELL>")

    def __call__(self, *arguments: str) -> str:
        return subprocess.run([*self._command, *arguments], capture_output=True, text=True, check=True).stdout

    @property
    def text(self) -> str:
        """What the window shows."""
        return self("capture-pane", "-p", "-t", "t").replace("\xa0", " ")

    def keys(self, *names: str) -> None:
        """Press keys, by tmux's names."""
        self("send-keys", "-t", "t", *names)

    def type(self, text: str) -> None:
        """Type a text."""
        self("send-keys", "-t", "t", "-l", text)

    def until_shown(self, text: str, timeout: float = PATIENCE) -> None:
        """Until the window shows a text."""

        self.until(lambda: text in self.text, f"{text!r} is shown", timeout)

    def until(self, condition: Callable[[], Any], what: str, timeout: float = PATIENCE) -> Any:
        """As harness.until, but each look is a process, so it looks less often; and it says what the window shows."""
        end = time.monotonic() + timeout
        while not (value := condition()):
            assert time.monotonic() < end, f"not within {timeout:g} s: {what}\n{self.text}"
            time.sleep(0.08)
        return value

    def close(self) -> None:
        """End the server and all in it."""
        subprocess.run([*self._command, "kill-server"], capture_output=True, check=False)
