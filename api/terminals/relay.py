"""Terminals for browsers: WebSockets on one side, the supervisor's terminal socket on the other, one thread between.

All who only look at a session share one connection to the supervisor, so the supervisor's work does not grow with their
number; whoever comes to type has one of their own, because the keyboard belongs to a connection. What must not regress:
a viewer costs no thread; one that does not read costs BEHIND_BYTES and is skipped ahead with a snapshot; one that does not
read and has itself answered all the same is cut off at UNREAD_BYTES (`api/terminals/websocket.py`); a supervisor that
dies and comes back costs a notice and a snapshot.

To a browser: text messages are JSON as in `shared/bus/terminal_protocol.py` (`welcome`, `snapshot`, `state`, `writer`,
`error`) and `{"type": "away"}` while the supervisor is; binary messages are output, and the one after a `snapshot` is the
drawing of the whole screen. From a browser: binary messages, or `{"type": "input", "data": text}`, are keys; `resize`,
`steal`, `release` and `snapshot` as in `shared/bus/terminal_protocol.py`.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from api.terminals.websocket import BINARY, POLICY, RESTART, TEXT, WebSocket, frame
from shared.access.tokens import Identity
from shared.bus import terminal_protocol as protocol
from shared.errors import Busy, PilotlightError
from shared.frames import BadFrame, Decoder, read_offset
from shared.private_folders import require_private

MAX_SOCKETS = 500
RETRY_SECONDS = 0.2
LOOK_SECONDS = 0.2
RECHECK_SECONDS = 1.0
"""How often those who look are asked whether their token still counts."""

SEND_BUFFER = 128 * 1024


@dataclass(frozen=True)
class TerminalRequest:
    """Who wants to see what."""

    session: str
    write: bool
    actor: str
    cols: int = 0
    rows: int = 0
    identity: Identity | None = None


class Viewers:
    """All WebSockets of this process. Its thread starts with the first one."""

    def __init__(
        self, address: Path, stopping: threading.Event, still_valid: Callable[[Identity | None], bool]
    ) -> None:
        self._address = address
        self._stopping = stopping
        self._still_valid = still_valid
        self._looked = 0.0
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shared: dict[str, Link] = {}
        self._sockets: dict[WebSocket, Identity | None] = {}
        self._count = 0

    def reserve(self) -> None:
        """A place for one more. Raise Busy when all are taken."""
        with self._lock:
            if self._count >= MAX_SOCKETS:
                raise Busy(
                    f"{MAX_SOCKETS} terminals are open already.", code="too_many_viewers", data={"retryAfter": 5}
                )
            self._count += 1

    def take(self, connection: socket.socket, key: str, request: TerminalRequest) -> None:
        """Serve this connection from now on; the handshake was asked for with `key`, the place is reserved."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._run, args=(self._loop,), name="pilotlight-terminal", daemon=True).start()
            loop = self._loop
        asyncio.run_coroutine_threadsafe(self._serve(connection, key, request), loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        loop.call_later(LOOK_SECONDS, self._look)
        loop.run_forever()

    def _look(self) -> None:
        """Say goodbye to all when the process is to end, and to those whose token was revoked or rotated."""
        if self._stopping.is_set():
            for web in list(self._sockets):
                web.close(RESTART, "the API is restarting")
        elif time.monotonic() - self._looked >= RECHECK_SECONDS:
            self._looked = time.monotonic()
            for web, identity in list(self._sockets.items()):
                if not self._still_valid(identity):
                    web.close(POLICY, "the token counts no more")
        asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    async def _serve(self, connection: socket.socket, key: str, request: TerminalRequest) -> None:
        def own(web: WebSocket) -> Link:
            self._sockets[web] = request.identity
            link = self._link(request)
            link.join(web)
            return link

        connection.setblocking(False)
        # The kernel's own choice grows to megabytes: so much would a slow viewer be behind before we notice.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: WebSocket(key, own), connection)
        except OSError:
            connection.close()
            self._gone()

    def _link(self, request: TerminalRequest) -> Link:
        if request.write:
            return Link(self._address, request, self._left, lambda: None)
        found = self._shared.get(request.session)
        if found is None:
            shared = TerminalRequest(request.session, False, "api")
            found = Link(self._address, shared, self._left, lambda: self._shared.pop(request.session, None))
            self._shared[request.session] = found
        return found

    def _left(self, web: WebSocket) -> None:
        self._sockets.pop(web, None)
        self._gone()

    def _gone(self) -> None:
        with self._lock:
            self._count -= 1


class Link(asyncio.Protocol):
    """One connection to the supervisor, made again when it breaks, and those who look through it."""

    def __init__(
        self, address: Path, request: TerminalRequest, left: Callable[[WebSocket], None], empty: Callable[[], object]
    ) -> None:
        self._address = address
        self._request = request
        self._size = (request.cols, request.rows)
        self._left, self._empty = left, empty
        self._webs: set[WebSocket] = set()
        self._transport: asyncio.Transport | None = None
        self._decoder = Decoder(protocol.MAX_FRAME)
        self._status: dict[str, Any] = {}
        self._counted = 1
        self._asked = False
        self._welcome = False
        self._keyboard = True
        self._over = False
        self._trying: asyncio.Task[None] | None = None

    # -- those who look --------------------------------------------------------------------------------------------

    def join(self, web: WebSocket) -> None:
        """One more. The first makes the connection."""
        self._webs.add(web)
        if self._trying is None:
            self._connect_soon()
        elif self._status:
            web.send(_text(self._status))
            self.ask()
        self._recount()

    def received(self, socket: WebSocket, message: str | bytes) -> None:
        """What a browser says."""
        if isinstance(message, bytes):
            self._keys(socket, message)
            return
        try:
            said = msgspec.json.decode(message, type=dict[str, Any])
        except (msgspec.DecodeError, RecursionError):
            socket.close(POLICY, "not a JSON object")
            return
        match said:
            case {"type": "input", "data": str(data)}:
                self._keys(socket, data.encode("utf-8", "replace"))
            case {"type": "snapshot"}:
                socket.stale = True
                self.ask()
            case {"type": "resize", "cols": int(cols), "rows": int(rows)} if self._request.write:
                self._size = (cols, rows)
                self._send(protocol.control({"type": "resize", "cols": cols, "rows": rows}))
            case {"type": ("steal" | "release") as kind} if self._request.write:
                self._send(protocol.control({"type": kind}))
            case {"type": "resize" | "steal" | "release"}:
                socket.send(_error("read_only", "This terminal was opened to look only: open it with mode=write."))
            case _:
                socket.close(POLICY, "an unknown message")

    def drained(self, socket: WebSocket) -> None:
        """It can take a snapshot again."""
        if socket.stale:
            self.ask()

    def closed(self, socket: WebSocket) -> None:
        """One less. With the last one the connection ends."""
        self._webs.discard(socket)
        self._left(socket)
        if self._webs:
            self._recount()
            return
        self._over = True
        self._empty()
        if self._trying is not None:
            self._trying.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _keys(self, socket: WebSocket, data: bytes) -> None:
        if not self._request.write:
            socket.send(_error("read_only", "This terminal was opened to look only: open it with mode=write."))
        elif self._transport is None:
            socket.send(_error("not_typed", "The supervisor is away; nothing was typed."))
        elif data:
            self._send(protocol.keys(data))

    def _recount(self) -> None:
        if self._transport is not None and self._counted != len(self._webs):
            self._counted = len(self._webs)
            self._send(protocol.control({"type": "viewers", "count": self._counted}))

    def ask(self) -> None:
        """Have the screen drawn for those who need it."""
        if not self._asked and self._transport is not None:
            self._asked = True
            self._send(protocol.control({"type": "snapshot"}))

    # -- the supervisor --------------------------------------------------------------------------------------------

    def _connect_soon(self) -> None:
        self._trying = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        while not self._over:
            try:
                require_private(self._address.parent)
                await asyncio.get_running_loop().create_unix_connection(lambda: self, str(self._address))
                return
            except (OSError, PilotlightError):
                self._away()
                await asyncio.sleep(RETRY_SECONDS)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce ourselves."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._decoder, self._asked = transport, Decoder(protocol.MAX_FRAME), False
        self._counted, self._welcome = 1, False
        hello = protocol.Hello(
            v=protocol.VERSION,
            session=self._request.session,
            mode="write" if self._request.write else "read",
            actor=self._request.actor,
            cols=self._size[0],
            rows=self._size[1],
            keyboard=self._keyboard,
        )
        self._send(protocol.control(hello))
        self._recount()

    def connection_lost(self, error: Exception | None) -> None:
        """Come back, as long as somebody looks."""
        self._transport = None
        if not self._over:
            self._away()
            self._connect_soon()

    def data_received(self, data: bytes) -> None:
        """Pass on to those who look."""
        try:
            for kind, payload in self._decoder.feed(data):
                if kind == protocol.OUTPUT:
                    encoded = frame(BINARY, read_offset(payload)[1])
                    for web in self._webs:
                        web.offer(encoded, protocol.BEHIND_BYTES)
                elif kind == protocol.SNAPSHOT:
                    self._snapshot(*protocol.read_snapshot(payload))
                elif kind == protocol.CONTROL:
                    self._told(protocol.read_control(payload))
        except BadFrame:
            if self._transport is not None:
                self._transport.abort()

    def _snapshot(self, head: dict[str, Any], drawing: bytes) -> None:
        self._asked = False
        encoded = _text(head) + frame(BINARY, drawing)
        for web in self._webs:
            if head["asked"] and not web.stale:
                continue
            web.stale = web.clogged  # who is behind asks for another one when it has read on
            if not web.clogged:
                web.send(encoded)

    def _told(self, message: dict[str, Any]) -> None:
        if message["type"] == "error" and not self._welcome:
            for web in list(self._webs):
                web.send(_text(message))
                web.close(POLICY, message["code"])
            return
        if message["type"] in ("welcome", "writer"):
            self._keyboard = bool(message["you"])  # two who come back after a restart: the one who had it gets it
        if message["type"] == "welcome":
            self._status, self._welcome = message, True
        elif message["type"] in ("state", "writer"):
            self._status = {**self._status, **message, "type": "welcome"}
        encoded = _text(message)
        for web in self._webs:
            web.send(encoded)

    def _away(self) -> None:
        if self._status.get("type") != "away":
            self._status = {"type": "away"}
            for web in self._webs:
                web.send(_text(self._status))

    def _send(self, encoded: bytes) -> None:
        if self._transport is not None:
            self._transport.write(encoded)


def _text(message: dict[str, Any]) -> bytes:
    return frame(TEXT, msgspec.json.encode(message))


def _error(code: str, message: str) -> bytes:
    return _text({"type": "error", "code": code, "message": message})
