"""The demo model as an object: start it, point `claude` at its URL, look at what arrived.

Serves on 127.0.0.1 only, one thread per connection. `stop` ends the connections that are waiting and joins
the listener; nothing of it outlives the call.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from demo.handler import Handler
from demo.ledger import Ledger, Request, Turn
from demo.plan import Fail

__all__ = ["DemoModel", "Request", "Turn"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    allow_reuse_address = True

    def __init__(self, port: int, handler: type[Handler]) -> None:
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), handler)

    def server_bind(self) -> None:
        """Without HTTPServer's reverse look-up of our own name, which can take seconds."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is ordinary; anything else is a bug and shows its traceback."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)

    def close_connections(self) -> None:
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class DemoModel:
    """A scripted Messages API. Also a context manager."""

    def __init__(self, port: int = 0) -> None:
        self._wanted_port = port
        self._ledger = Ledger()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Bind and serve; when this returns, connections are accepted. Raises OSError if the port is taken."""
        handler = type("BoundHandler", (Handler,), {"ledger": self._ledger})
        self._server = _Server(self._wanted_port, handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="demo-model", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the listener and every connection. Harmless when not started or stopped already."""
        server, self._server = self._server, None
        if server is None or self._thread is None:
            return
        self._ledger.close()
        server.shutdown()
        server.close_connections()
        server.server_close()
        self._thread.join()

    def __enter__(self) -> DemoModel:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        if self._server is None:
            raise RuntimeError("The demo model is not running: call start() first.")
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def turns(self) -> list[Turn]:
        """Every request that brought a real prompt, oldest first; retries of one are told apart by `attempt`."""
        return self._ledger.turns()

    def requests(self) -> list[Request]:
        """Every request but those to `/_demo/`, oldest first (the last 10,000)."""
        return self._ledger.requests()

    def bodies(self) -> list[bytes]:
        """The raw bodies of the last 64 requests to /v1/messages."""
        return self._ledger.bodies()

    def wait_for_turns(self, count: int, timeout: float) -> bool:
        """Wait until so many turns have arrived in all."""
        return self._ledger.wait_for_turns(count, timeout)

    def wait_for_gate(self, gate: str, timeout: float) -> bool:
        """Wait until a request stands at the gate."""
        return self._ledger.wait_for_gate(gate, timeout)

    def release(self, gate: str) -> int:
        """Let everyone at the gate through and say how many; with nobody there, the next to come passes."""
        return self._ledger.release(gate)

    def gates(self) -> dict[str, int]:
        """How many requests wait at each gate."""
        return self._ledger.gates()

    def forget(self) -> None:
        """Be as at the beginning, for who comes next: nothing seen, nothing ordered, nobody at a gate."""
        self._ledger.forget()

    def fail_next(
        self, status: int, times: int = 1, error_type: str | None = None, retry_after: float | None = None
    ) -> None:
        """Fail the next requests of any conversation; side requests (titles) are not affected."""
        self._ledger.order_failures(Fail(status, error_type, None, retry_after), times)
