"""The terminal server: a unix socket where people come to look at sessions and to type into them.

Everyone who may open the socket (0600 in a 0700 directory) may do everything; the API checks tokens before it comes
here for somebody. What must not regress: a viewer that does not read costs at most BEHIND_BYTES and a snapshot, and no
time; one that talks nonsense costs itself the connection; there is a bound to how many there are.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from shared.bus import terminal_protocol as protocol
from shared.errors import Busy, InvalidRequest, PilotlightError
from shared.frames import BadFrame, Decoder
from supervisor.delivery.keyboard import INTRODUCTION_SECONDS, ReportFilter
from supervisor.pool.managed_session import ManagedSession
from supervisor.pool.pool import Pool
from supervisor.terminal.holder_client import HolderError
from supervisor.viewers.audience import Audience
from supervisor.viewers.member import Size

MAX_VIEWERS = 500
HELLO_SECONDS = 5.0
LISTEN_AGAIN_SECONDS = 0.5
HIGH_WATER, LOW_WATER = 64 * 1024, 8 * 1024
RETURN_SECONDS = 15.0
"""How long after the supervisor's start those who were attached may take to come back for their screen's size."""


class Viewers:
    """All audiences, and the door."""

    def __init__(self, pool: Pool, path: Path) -> None:
        self._pool = pool
        self._path = path
        self._audiences: dict[str, Audience] = {}
        self.connections: set[Viewer] = set()
        self._unfindable = asyncio.Event()

    async def serve(self) -> None:
        """Let people in until cancelled."""
        server = await self._listen()
        try:
            await asyncio.sleep(RETURN_SECONDS)
            await self._restore_sizes()
            while True:
                await self._unfindable.wait()
                self._unfindable.clear()
                server.close()  # who is connected stays so
                server = await self._listen()
        finally:
            server.close()
            for connection in list(self.connections):
                connection.hang_up()
            for audience in self._audiences.values():
                audience.close()
            with suppress(OSError):  # on a disk that has become read-only it stays; the next one replaces it
                self._path.unlink(missing_ok=True)

    async def _listen(self) -> asyncio.Server:
        """The boundary: without its socket the supervisor goes on, says so once, and tries again until it has it."""
        told = False
        while True:
            try:
                return await self._bind()
            except OSError as error:
                if not told:
                    why = f"{self._path} cannot be made: {error.strerror or error}."
                    self._pool.log.error("viewers_shut_out", extra={"fields": {"why": why}})
                told = True
            await asyncio.sleep(LISTEN_AGAIN_SECONDS)

    async def _bind(self) -> asyncio.Server:
        self._path.unlink(missing_ok=True)
        server = await asyncio.get_running_loop().create_unix_server(lambda: Viewer(self), str(self._path))
        self._path.chmod(0o600)
        return server

    def restore(self) -> bool:
        """Listen anew where somebody deleted the socket's file. Return whether it has to be done."""
        if self._path.exists():
            return False
        self._unfindable.set()
        return True

    def audience(self, session_id: str) -> Audience:
        """The audience of a session; made when there is none. Raise NotFound."""
        managed = self._pool.managed(session_id)
        found = self._audiences.get(session_id)
        if found is None:
            found = self._audiences[session_id] = self._new_audience(managed)
        return found

    def _new_audience(self, managed: ManagedSession) -> Audience:
        session_id = managed.session.id

        def empty() -> None:
            self._audiences.pop(session_id, None)

        return Audience(self._pool, managed, empty)

    async def _restore_sizes(self) -> None:
        """A person whose size a terminal still has, and who did not come back after our restart, has left."""
        config = self._pool.services.config().sessions
        for session in self._pool.sessions():
            terminal = session.terminal
            if terminal is not None and session.writer is None and terminal.preferred is None:
                with suppress(HolderError):
                    await terminal.resize(config.columns, config.rows)


class Viewer(asyncio.Protocol):
    """One connection. A member of the audience of the session that its hello names."""

    def __init__(self, viewers: Viewers) -> None:
        self._viewers = viewers
        self._decoder = Decoder(protocol.MAX_INPUT)
        self._transport: asyncio.Transport | None = None
        self._audience: Audience | None = None
        self._hello_due: asyncio.TimerHandle | None = None
        self._key_due: asyncio.TimerHandle | None = None
        self._size: Size = (0, 0)
        self._reports = ReportFilter()
        self.count = 1
        self.writes = False
        self.actor = ""
        self.stale = True
        self.curious = False
        self.clogged = False

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the hello."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(HIGH_WATER, LOW_WATER)
        self._viewers.connections.add(self)
        if len(self._viewers.connections) > MAX_VIEWERS:
            self._refuse(Busy(f"{MAX_VIEWERS} viewers are there already.", code="too_many_viewers"))
            return
        self._hello_due = asyncio.get_running_loop().call_later(HELLO_SECONDS, self.hang_up)

    def data_received(self, data: bytes) -> None:
        """Take frames."""
        try:
            for kind, payload in self._decoder.feed(data):
                if self._transport is None or self._transport.is_closing():
                    return
                self._take(kind, payload)
        except (BadFrame, msgspec.ValidationError, msgspec.DecodeError) as error:
            self._refuse(InvalidRequest(f"This is not the viewer protocol: {error}.", code="bad_frame"))
        except PilotlightError as error:
            if self._audience is None:
                self._refuse(error)
            else:
                self._complain(error)

    def pause_writing(self) -> None:
        """It does not read as fast as it is written to."""
        self.clogged = True

    def resume_writing(self) -> None:
        """It has read on: if it was skipped, it may see where things stand."""
        self.clogged = False
        if (self.stale or self.curious) and self._audience is not None:
            self._audience.refresh()

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone."""
        self._transport = None
        self._viewers.connections.discard(self)
        if self._hello_due is not None:
            self._hello_due.cancel()
        audience, self._audience = self._audience, None
        if audience is not None:
            audience.leave(self)

    def hang_up(self) -> None:
        """End the connection, without waiting for what it has not read."""
        if self._transport is not None:
            self._transport.abort()

    # -- the member ------------------------------------------------------------------------------------------------

    @property
    def size(self) -> Size:
        """Its own screen."""
        return self._size

    def output(self, offset: int, data: bytes, frame: bytes) -> None:
        """Pass on, or skip."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() + len(frame) > protocol.BEHIND_BYTES:
            self.stale = True
            return
        transport.write(frame)

    def snapshot(self, head: dict[str, Any], drawing: bytes) -> None:
        """Pass on."""
        if self._transport is not None:
            self._transport.write(protocol.snapshot(head, drawing))

    def tell(self, message: dict[str, Any]) -> None:
        """Pass on; these are few and small, but not for one who never reads."""
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size() > 2 * protocol.BEHIND_BYTES:
            transport.abort()
            return
        transport.write(protocol.control(message))

    # -- frames ----------------------------------------------------------------------------------------------------

    def _take(self, kind: bytes, payload: bytes) -> None:
        audience = self._audience
        if audience is None:
            self._greet(kind, payload)
        elif kind == protocol.INPUT:
            audience.type(self, self._reports.feed(payload), self._complain)
            if self._key_due is not None:
                self._key_due.cancel()
            if self._reports.doubtful:
                self._key_due = asyncio.get_running_loop().call_later(INTRODUCTION_SECONDS, self._let_go, audience)
        elif kind == protocol.CONTROL:
            self._obey(audience, protocol.read_control(payload))
        else:
            raise BadFrame(f"a frame of type {kind!r}")

    def _let_go(self, audience: Audience) -> None:
        """What looked like the beginning of a report was a key."""
        if self._transport is not None:
            audience.type(self, self._reports.let_go(), self._complain)

    def _greet(self, kind: bytes, payload: bytes) -> None:
        if kind != protocol.CONTROL:
            raise BadFrame("the first frame is no hello")
        hello = msgspec.json.decode(payload, type=protocol.Hello)
        if hello.v != protocol.VERSION:
            raise BadFrame(f"version {hello.v}, and this is {protocol.VERSION}")
        if self._hello_due is not None:
            self._hello_due.cancel()
        self.writes = hello.mode == "write"
        self.actor = "".join(char for char in hello.actor if char.isprintable())[:100] or "somebody"
        self._size = _size(hello.cols, hello.rows)
        audience = self._viewers.audience(hello.session)
        self._audience = audience
        audience.join(self, keyboard=hello.keyboard)

    def _obey(self, audience: Audience, message: dict[str, Any]) -> None:
        match message:
            case {"type": "resize", "cols": int(cols), "rows": int(rows)}:
                self._size = _size(cols, rows)
                self.stale = True
                if self.writes:
                    audience.resize(self)
                audience.refresh()
            case {"type": "steal"}:
                audience.steal(self)
            case {"type": "release"}:
                audience.release(self)
            case {"type": "snapshot"}:
                self.curious = True
                audience.refresh()
            case {"type": "viewers", "count": int(count)} if 0 < count <= MAX_VIEWERS:
                audience.recount(self, count)
            case _:
                raise BadFrame("an unknown control message")

    def _complain(self, error: PilotlightError) -> None:
        self.tell({"type": "error", "code": error.error_code, "message": error.message})

    def _refuse(self, error: PilotlightError) -> None:
        self._complain(error)
        if self._transport is not None:
            self._transport.close()


def _size(cols: int, rows: int) -> Size:
    return (cols, rows) if 0 < cols <= 10_000 and 0 < rows <= 10_000 else (0, 0)
