"""gunicorn's gthread worker without its master: one process, so that a SIGKILL of it frees the port at once.

Measured with gunicorn 27: after a SIGKILL of the master, the pid that `pilotlight status` would show, its worker keeps
the port for 1.0 s when idle and for 31 s with one open stream. What a master gives, starting a dead worker again, is
the service manager's job and `pilotlight up`'s. It also spares a fork: nothing of ZeroMQ can be carried across one.

Stopping: new connections are refused, event streams end by themselves, held requests are answered with 503 and
`Retry-After: 1` (a repeat with the same request id is harmless), and after GRACE_SECONDS the process is gone, whatever
its threads do: `concurrent.futures` would otherwise wait for them for ever at interpreter exit.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

import msgspec
from flask import Flask
from gunicorn import glogging, util
from gunicorn.app.base import BaseApplication
from gunicorn.http import errors as http
from gunicorn.workers.gthread import TConn, ThreadWorker

from api import logs
from api.bus import LazyBus
from api.context import Api

GRACE_SECONDS = 1
DRAIN_SECONDS = 0.3
"""What short requests get to finish before the bus is closed under the long ones."""

SOCKET_SECONDS = 30.0
"""How long a client may stall in the middle of a request or of a response before its thread is taken back."""

_PARSE_STATUS: tuple[tuple[type[Exception], int, str], ...] = (
    (http.LimitRequestLine, 414, "The address of this request is too long."),
    (http.LimitRequestHeaders, 431, "The headers of this request are too large."),
    (http.ExpectationFailed, 417, "This expectation cannot be met."),
    (http.UnsupportedTransferCoding, 501, "This transfer coding is not supported."),
)
_log = logging.getLogger("pilotlight.api")


class GunicornLog(glogging.Logger):  # type: ignore[misc]
    """gunicorn's few own lines, as ours."""

    def setup(self, cfg: Any) -> None:
        """Replace its handlers."""
        super().setup(cfg)
        self.error_log.handlers = [logs.handler()]
        self.error_log.setLevel(logging.WARNING)


class Server(BaseApplication):  # type: ignore[misc]
    """The settings of gunicorn, without files, environment or command line.

    `ready` is called when signals are handled: whoever reads the lock before that could end us impolitely.
    """

    def __init__(self, app: Flask, threads: int, ready: Callable[[], None]) -> None:
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
            "graceful_timeout": GRACE_SECONDS,
            "keepalive": 15,
            "control_socket_disable": True,
            "logger_class": GunicornLog,
            "forwarded_allow_ips": "",
            "post_worker_init": lambda worker: self._ready(),
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """The application."""
        return self._app

    def serve(self, listener: socket.socket) -> None:
        """Serve until SIGTERM, SIGINT, SIGHUP or SIGQUIT."""
        log = self.cfg.logger_class(self.cfg)
        worker = Worker(0, os.getppid(), [listener], self, self.cfg.timeout, self.cfg, log)
        worker.init_process()


class Connection(TConn):  # type: ignore[misc]
    """A connection whose reads and writes end."""

    def init(self) -> None:
        """Called for every request, when the thread has made the socket blocking."""
        super().init()
        self.sock.settimeout(SOCKET_SECONDS)


class Worker(ThreadWorker):  # type: ignore[misc]
    """The worker as the whole server."""

    def accept(self, listener: socket.socket) -> None:
        """Take one connection."""
        try:
            client, address = listener.accept()
        except OSError:
            return  # gone before we came, or no descriptor left: the poller tells us again
        client.setblocking(True)
        self.nr_conns += 1
        self.enqueue_req(Connection(self.cfg, client, address, listener.getsockname()))

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
        self.method_queue.defer(self._end_long_requests)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """One round of the loop; shorter ones while stopping."""
        super().wait_for_and_dispatch_events(timeout if self.alive else min(timeout, 0.1))

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer what could not be parsed as HTTP in our shape; Flask never saw it."""
        status, message = 500, "Something went wrong inside pilotlight."
        if isinstance(exc, http.ParseException):
            status, message = next(
                ((status, text) for kind, status, text in _PARSE_STATUS if isinstance(exc, kind)),
                (400, "This is not a valid HTTP request."),
            )
        _log.warning("bad_request", extra={"fields": {"status": status, "error": type(exc).__name__}})
        body = msgspec.json.encode(
            {"success": False, "error": message, "code": "bad_http", "retryable": False, "status": status}
        )
        head = f"HTTP/1.1 {status} Error\r\nConnection: close\r\nContent-Type: application/json\r\n"
        try:
            util.write_nonblock(client, f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        except OSError:
            pass  # it hung up

    def _end_long_requests(self) -> None:
        here: Api = self.wsgi.extensions["pilotlight"]
        here.stopping.set()
        here.feed.stop()
        if isinstance(here.bus, LazyBus):
            closing = threading.Timer(DRAIN_SECONDS, here.bus.close)
            closing.daemon = True
            closing.start()


def leave(status: int) -> None:
    """End the process now, without waiting for its threads."""
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(status)
