"""gunicorn's gthread worker without its master: one process, so that a SIGKILL of it frees the port at once.

Why is told and measured in docs/decisions/0004-api-one-process.md. Slow clients cost memory, never a thread for long:
`api/server/connection.py` reads a request's head in the event loop and bounds how long a body may take.

Stopping: new connections are refused, event streams end by themselves, held requests are answered with 503 and
`Retry-After: 1` (a repeat with the same request id is harmless), and after GRACE_SECONDS the process is gone, whatever
its threads do: `concurrent.futures` would otherwise wait for them for ever at interpreter exit.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Flask, Response
from gunicorn import glogging, util
from gunicorn.app.base import BaseApplication
from gunicorn.http import errors as http
from gunicorn.workers.gthread import ThreadWorker

from api.context import Api
from api.http import problems
from api.server.connection import END_OF_HEAD as _END_OF_HEAD
from api.server.connection import HEAD_SECONDS, LINGER_BYTES, LINGER_SECONDS, Connection, Head, SlowBody
from api.server.tls import PassOn, TlsFront
from shared.bus.messages import ErrorBody

GRACE_SECONDS = 1
DRAIN_SECONDS = 0.3
"""What short requests get to finish before the bus is closed under the long ones."""

MAX_CONNECTIONS = 1000
REQUEST_LINE_BYTES = 8190
"""The most that gunicorn allows: a search of some hundred characters that are not ASCII takes nine times as many."""


_PARSE_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (http.LimitRequestLine, 414, "The address of this request is too long."),
    (http.LimitRequestHeaders, 431, "The headers of this request are too large."),
    (http.ExpectationFailed, 417, "This expectation cannot be met."),
    (http.UnsupportedTransferCoding, 501, "This transfer coding is not supported."),
)
_HEAD_STATUS = {408: "The head of this request came too slowly.", 431: _PARSE_STATUS[1][2]}
_log = logging.getLogger("pilotlight.api")


class GunicornLog(glogging.Logger):  # type: ignore[misc]
    """gunicorn's few own lines, as ours."""

    def setup(self, cfg: Any) -> None:
        """Replace its handlers."""
        super().setup(cfg)
        self.error_log.handlers = list(logging.getLogger().handlers)
        self.error_log.setLevel(logging.WARNING)


class Server(BaseApplication):  # type: ignore[misc]
    """The settings of gunicorn, without files, environment or command line.

    `ready` is called when signals are handled: whoever reads the lock before that could end us impolitely. `front` makes what
    listens in our place and speaks TLS.
    """

    def __init__(
        self, app: Flask, threads: int, ready: Callable[[], None], front: Callable[[PassOn], TlsFront] | None = None
    ) -> None:
        app.register_error_handler(http.ParseException, _refuse_body)
        if front is not None:
            app.wsgi_app = _secure(app.wsgi_app)  # type: ignore[method-assign, assignment]
        self._front = front
        self._app = app
        self._threads = threads
        self._ready = ready
        super().__init__()

    def load_config(self) -> None:
        """Set what is not the default."""
        settings = {
            "worker_class": "gthread",
            "workers": 1,
            "threads": self._threads,
            "worker_connections": max(MAX_CONNECTIONS, 2 * self._threads),
            "graceful_timeout": GRACE_SECONDS,
            "keepalive": 15,
            "limit_request_line": REQUEST_LINE_BYTES,
            "control_socket_disable": True,
            "logger_class": GunicornLog,
            "forwarded_allow_ips": "",
            "post_worker_init": self._begin,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application."""
        return self._app

    def serve(self, listener: socket.socket) -> None:
        """Serve until SIGTERM, SIGINT, SIGHUP or SIGQUIT."""
        log = self.cfg.logger_class(self.cfg)
        listeners = [listener] if self._front is None else []
        worker = Worker(0, os.getppid(), listeners, self, self.cfg.timeout, self.cfg, log)
        worker.address = listener.getsockname()
        worker.init_process()
        if worker.front is not None:
            worker.front.join(DRAIN_SECONDS)

    def _begin(self, worker: Worker) -> None:
        if self._front is not None:
            worker.front = self._front(worker.take)
            worker.front.start()
        self._ready()


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker as the whole server. A thread sees a connection only when a whole request head has come."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.uploads = threading.BoundedSemaphore(max(1, self.cfg.threads // 4))
        self.address: Any = None
        self.front: TlsFront | None = None
        self._lingering: dict[Connection, None] = {}

    def accept(self, listener: socket.socket) -> None:
        """Take one connection."""
        try:
            client, address = listener.accept()
        except OSError:
            return  # gone before we came, or no descriptor left: the poller tells us again
        self._admit(client, address)

    def take(self, client: socket.socket, address: Any) -> None:
        """Serve a connection that another thread has accepted."""
        self.method_queue.defer(self._admit, client, address)

    def _admit(self, client: socket.socket, address: Any) -> None:
        self.nr_conns += 1
        self._gather(Connection(self.cfg, client, address, self.address, self.uploads, self._linger))
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """A kept-alive connection says something, or hangs up."""
        if client.fileno() < 0:
            return  # closed by an event of the same moment
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._gather(conn)

    def on_pending_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """More of a head has come."""
        if client.fileno() < 0:
            return
        head = self._read_head(conn)
        if head is not Head.PARTIAL:
            self.poller.unregister(client)
            self.pending_conns.remove(conn)
            self._pass_on(conn, head)

    def _gather(self, conn: Connection) -> None:
        head = self._read_head(conn)
        if head is not Head.PARTIAL:
            self._pass_on(conn, head)
            return
        conn.timeout = time.monotonic() + HEAD_SECONDS
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn))

    def _pass_on(self, conn: Connection, head: Head) -> None:
        if head is Head.WHOLE:
            conn.data_ready = True
            self.enqueue_req(conn)
        else:
            self._drop(conn, 431 if head is Head.TOO_LARGE else 0)

    @staticmethod
    def _read_head(conn: Connection) -> Head:
        try:
            return conn.read_head()
        except OSError:
            return Head.GONE

    def murder_pending(self) -> None:
        """Close connections whose head has not come in time, and those that do not hang up."""
        now = time.monotonic()
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            self._drop_pending()
        while self._lingering and (conn := next(iter(self._lingering))).timeout <= now:
            self._hang_up(conn)

    def _make_room(self) -> None:
        """All connections are taken: whoever has waited longest without asking anything goes, at once and without a word.

        An answer would have to linger, and a connection that lingers counts: 1,500 halves of a head made everybody wait for 5 s.
        """
        if self._lingering:
            self._hang_up(next(iter(self._lingering)))
        elif self.pending_conns:
            self._drop_pending(answer=False)
        elif self.keepalived_conns:
            self.keepalived_conns[0].timeout = 0.0
            self.murder_keepalived()

    def _drop_pending(self, answer: bool = True) -> None:
        conn = self.pending_conns.popleft()
        self.poller.unregister(conn.sock)
        self._drop(conn, 408 if conn.head and answer else 0)

    def _drop(self, conn: Connection, status: int) -> None:
        if status:
            _refuse(conn.sock, status, _HEAD_STATUS[status])
        self.nr_conns -= 1
        conn.close(graceful=bool(status))

    def _linger(self, conn: Connection) -> None:
        """Let the client read what was sent before its unread bytes make the kernel reset the connection.

        gunicorn waits for that in the event loop itself, two seconds a client: a few that go on sending stop the server.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
        except (OSError, ValueError):
            util.close(conn.sock)
            return
        self.nr_conns += 1
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self._lingering[conn] = None

    def _drain(self, conn: Connection, client: socket.socket) -> None:
        if client.fileno() < 0:
            return
        try:
            data = client.recv(LINGER_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        conn.lingered += len(data)
        if not data or conn.lingered >= LINGER_BYTES:
            self._hang_up(conn)

    def _hang_up(self, conn: Connection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def handle(self, conn: Connection) -> Any:
        """Serve one request."""
        try:
            return super().handle(conn)
        finally:
            conn.hand_back()

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Whether the connection can be used again: not with a body that nobody read to its end, nor half a request. It was
        answered already: whatever is wrong with what is left of it is no reason for a second answer."""
        try:
            whole = super()._keepalive_after(conn, keepalive)
        except (SlowBody, http.ParseException):
            return False
        rest = conn.parser.unreader.buf.getvalue() if whole else b""
        return bool(whole and (not rest or _END_OF_HEAD in rest))

    def is_parent_alive(self) -> bool:
        """Whoever started us may go: `up --detach` does."""
        return True

    def init_signals(self) -> None:
        """All polite signals stop politely; a second one at once."""
        super().init_signals()
        import signal

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, self.handle_exit)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Stop accepting, and let everything that holds a thread end."""
        if not self.alive:
            os._exit(1)
        self.alive: bool = False
        if self.front is not None:
            self.front.stop()
        self.method_queue.defer(self._end_long_requests)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One round of the loop; shorter ones while stopping."""
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, 0.1))

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what could not be parsed as HTTP in our shape; Flask never saw it."""
        status, message = 500, "Something went wrong inside pilotlight."
        if isinstance(exc, http.ParseException):
            status, message = _parse_status(exc)
        _log.warning("bad_request", extra={"fields": {"status": status, "error": type(exc).__name__}})
        _refuse(client, status, message)

    def _end_long_requests(self) -> None:
        here: Api = self.wsgi.extensions["pilotlight"]
        here.stopping.set()
        here.feed.stop()
        close = getattr(here.bus, "close", None)
        if close is not None:
            closing = threading.Timer(DRAIN_SECONDS, close)
            closing.daemon = True
            closing.start()


def _secure(application: Any) -> Callable[[dict[str, Any], Any], Any]:
    """What a request came by, said to the application: it sees a plain socket."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        return application({**environ, "wsgi.url_scheme": "https"}, start_response)

    return serve


def _parse_status(error: http.ParseException) -> tuple[int, str]:
    return next(
        ((status, text) for kind, status, text in _PARSE_STATUS if isinstance(error, kind)),
        (400, "This is not a valid HTTP request."),
    )


def _refuse_body(error: http.ParseException) -> Response:
    """Answer a body whose chunks are wrong; gunicorn hears no more from that connection."""
    status, message = _parse_status(error)
    return problems.problem(status, message, "bad_http")


def _refuse(client: socket.socket, status: int, message: str) -> None:
    """Answer what never became a request."""
    body = msgspec.json.encode(problems.body_of(ErrorBody(code="bad_http", message=message, status=status)))
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    try:
        util.write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    except OSError:
        pass  # it hung up


def leave(status: int) -> None:
    """End the process now, without waiting for its threads."""
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(status)
