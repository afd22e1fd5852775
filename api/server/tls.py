"""TLS in front of the server, on a thread of its own: each connection is handed on as a plain socket.

The server reads heads in its event loop, polls for who has hung up, and gives sockets away to terminals: bytes that OpenSSL holds
back would be seen by none of them, and one OpenSSL connection must not be read and written by two threads. So one asyncio loop
speaks TLS, and nothing behind it knows (docs/decisions/0017-tls-in-front.md). What must not regress: a handshake that does not
come holds nobody up and ends by itself; a renewed certificate is served from the next connection on, and a broken one never.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

from api.server.connection import HEAD_SECONDS, SEND_SECONDS
from api.server.instance import BACKLOG
from shared.certificate import Certificate, configured
from shared.config import ApiConfig
from shared.errors import PilotlightError

PIECE_BYTES = 64 * 1024
RENEWAL_SECONDS = 5.0
_log = logging.getLogger("pilotlight.api")

PassOn = Callable[[socket.socket, Any], None]


class TlsFront(threading.Thread):
    """What listens in the place of the server. `config` says where the certificate is, whenever its files change."""

    def __init__(self, listener: socket.socket, config: ApiConfig, certificate: Certificate, pass_on: PassOn) -> None:
        super().__init__(name="pilotlight-tls", daemon=True)
        self._listener = listener
        self._config = config
        self._seen = _signature(certificate)  # before it is read: what is put there meanwhile is looked at again
        self._context = certificate.for_server()
        self._certificate = certificate
        self._pass_on = pass_on
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()

    def run(self) -> None:
        """Until `stop`."""
        self._loop.set_exception_handler(_untold)
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:  # whose end is the end of all that it has begun
            runner.run(self._serve())

    def stop(self) -> None:
        """Take no more; what is open goes on to its end."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _serve(self) -> None:
        limits: dict[str, Any] = {
            "backlog": BACKLOG,
            "ssl_handshake_timeout": HEAD_SECONDS,
            "ssl_shutdown_timeout": SEND_SECONDS,
        }
        server = await asyncio.start_server(self._connected, sock=self._listener, ssl=self._context, **limits)
        renewal = asyncio.create_task(self._renew())
        await self._stopping.wait()
        renewal.cancel()
        server.close()
        while self._open:  # one may come that was taken before
            await asyncio.wait(self._open)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._relay(reader, writer)
        finally:
            self._open.discard(task)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=PIECE_BYTES)
        ours, theirs = socket.socketpair()
        try:
            inner_reader, inner_writer = await asyncio.open_connection(sock=ours)
            self._pass_on(theirs, writer.get_extra_info("peername"))
        except OSError:
            theirs.close()
            writer.close()
            return
        asked = asyncio.create_task(_copy(reader, inner_writer))
        try:
            await _copy(inner_reader, writer, SEND_SECONDS)
        finally:
            asked.cancel()
            inner_writer.close()
            writer.close()
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(asked, writer.wait_closed(), return_exceptions=True)

    async def _renew(self) -> None:
        """Look whether the files have changed."""
        refused = ""
        while True:
            await asyncio.sleep(RENEWAL_SECONDS)
            seen = _signature(self._certificate)
            if seen == self._seen:
                continue
            try:
                fresh = configured(self._config)
                assert fresh is not None
                fresh.load_into(self._context)
            except PilotlightError as error:
                if error.message != refused:
                    refused = error.message
                    _log.warning("certificate_refused", extra={"fields": {"why": refused}})
                continue
            self._certificate, self._seen, refused = fresh, seen, ""
            _log.info("certificate_renewed", extra={"fields": {"ends": fresh.ends.isoformat()}})


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, patience: float | None = None) -> None:
    """All of it, unless the target takes nothing for so long; and its end, a broken line's too, where that can be told alone."""
    with contextlib.suppress(OSError, ssl.SSLError):  # a TimeoutError is one
        while data := await source.read(PIECE_BYTES):
            target.write(data)
            async with asyncio.timeout(patience):
                await target.drain()
    with contextlib.suppress(OSError):
        if target.can_write_eof():
            target.write_eof()


def _signature(certificate: Certificate) -> tuple[object, ...]:
    def of(path: os.PathLike[str]) -> object:
        try:
            seen = os.stat(path)
        except OSError:
            return None
        return seen.st_ino, seen.st_mtime_ns, seen.st_size

    return of(certificate.chain), of(certificate.key)


def _untold(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What goes wrong with one connection is its client's doing: a handshake that is none, a line that broke."""
    _log.debug("tls", extra={"fields": {"error": type(context.get("exception")).__name__}})
