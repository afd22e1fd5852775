"""Nodes and a gateway in one process: real applications behind real sockets, with the supervisor's double behind each node.

A node can be made to fail where a network does: it can refuse connections, hang up before or behind what it has done, stay
silent, be somebody else, or move.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from api.app import create_app
from api.gateway import app as front
from api.inbox import Inbox
from shared import config as configuration
from shared import node as nodes
from shared import paths as places
from shared.access.tokens import Keyring
from shared.bus.messages import Event
from tests.api_double import FakeSupervisor
from tests.harness import PATIENCE


class LiveFeed:
    """Events as they are published."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inboxes: set[Inbox] = set()

    def join(self) -> Inbox:
        inbox = Inbox()
        with self._lock:
            self._inboxes.add(inbox)
        return inbox

    def leave(self, inbox: Inbox) -> None:
        with self._lock:
            self._inboxes.discard(inbox)

    def stop(self) -> None:
        with self._lock:
            for inbox in self._inboxes:
                inbox.end()
            self._inboxes.clear()

    def put(self, event: Event) -> None:
        with self._lock:
            for inbox in self._inboxes:
                inbox.put(event)


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


class Node:
    """One node. `before` and `after` are called with each request's path, before it is carried out and behind it."""

    def __init__(self, folder: Path, name: str, tls: ssl.SSLContext | None = None) -> None:
        self.name, self._tls = name, tls
        self.paths = places.resolve({"PILOTLIGHT_HOME": str(folder / name)})
        self.paths.prepare()
        self.supervisor = FakeSupervisor()
        self.node = nodes.establish(self.paths.home, name, f"e-{name}")
        self.feed = LiveFeed()
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.before: Callable[[str], None] = lambda path: None
        self.after: Callable[[str], None] = lambda path: None
        self._server: BaseWSGIServer | None = None
        self.port = 0
        config = configuration.validate({"api": {"rate_per_minute": 0}}, "the test")
        self._app = create_app(config, self.paths, self.supervisor, self.feed)
        self.token = Keyring(self.paths).named.add("gateway", "admin")
        self.renew()

    def renew(self) -> None:
        """As if nothing had ever been asked of it: making an application takes longer than most tests."""
        self.feed.stop()
        FakeSupervisor.__init__(self.supervisor)
        self.supervisor.epoch = f"e-{self.name}"
        self.supervisor.node = {"id": self.node.id, "name": self.name}
        self.asked.clear()
        self.before = self.after = lambda path: None
        if self._server is None:
            self.start()

    def start(self) -> None:
        """On a port of its own, which is another one each time."""
        self._server = make_server(
            "127.0.0.1", 0, self._serve, threaded=True, request_handler=_Silent, ssl_context=self._tls
        )
        self._server.daemon_threads = True  # type: ignore[attr-defined]
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        """Nobody listens there any more, and every stream ends."""
        self.feed.stop()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def silent(self, path: str = "") -> Iterator[None]:
        """Whoever asks it for what ends with `path` is not answered before the end of this."""
        over = threading.Event()

        def wait(asked: str) -> None:
            if asked.endswith(path):
                over.wait(PATIENCE)

        self.before = wait
        try:
            yield
        finally:
            over.set()
            self.before = lambda path: None

    def publish(self, kind: str, session: str | None = None, **data: Any) -> Event:
        """An event, in the journal and live."""
        event = self.supervisor.publish(kind, session, **data)
        self.feed.put(event)
        return event

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        told = {name[5:].replace("_", "-").title(): text for name, text in environ.items() if name.startswith("HTTP_")}
        self.asked.append((environ["REQUEST_METHOD"], path, told))
        environ["gunicorn.socket"] = None
        try:
            self.before(path)
            answer = self._app(environ, start_response)
            self.after(path)
        except HangUp:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise
        return answer


class HangUp(ConnectionResetError):
    """Raised in `before` or `after`: the connection ends without an answer."""


class Gateway:
    """A gateway of these nodes, asked through Flask's test client, with the token in every request."""

    def __init__(self, folder: Path, *doubles: Node, timeout: float = 10.0, **api: Any) -> None:
        self.paths = places.resolve({"PILOTLIGHT_HOME": str(folder)})
        self.paths.prepare()
        self.timeout = timeout
        self.write(*doubles)
        config = configuration.validate({"api": {"rate_per_minute": 0, **api}}, "the test")
        self.gateway, self.bus, self.feed = front.collaborators(self.paths)
        self.gateway.nodes.look()
        self.app = create_app(config, self.paths, self.bus, self.feed, lambda app: front.equip(app, self.gateway))
        self.http = self.app.test_client()
        self.token = self.paths.token_file.read_text().strip()
        self._server: BaseWSGIServer | None = None
        self.url = ""

    def hurry(self, *doubles: Node) -> None:
        """Who does not answer soon is not waited for."""
        self.timeout = 0.5
        self.write(*doubles)
        self.gateway.nodes.look()

    def write(self, *doubles: Node) -> None:
        """The nodes' addresses, as they are now."""
        entries = []
        for double in doubles:
            token = self.paths.home / f"{double.name}.token"
            token.write_text(double.token)
            scheme = "http" if double._tls is None else "https"
            entry = {"name": double.name, "url": f"{scheme}://127.0.0.1:{double.port}", "token_file": token.name}
            entries.append(entry if double._tls is None else {**entry, "ca_file": "ca.pem"})
        tree = {"nodes": entries, "timeout_seconds": self.timeout}
        draft = self.paths.home / "nodes.new"
        draft.write_bytes(msgspec.yaml.encode(tree))
        os.replace(draft, self.paths.home / "nodes.yaml")

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}", **{n.replace("_", "-"): v for n, v in headers.items()}}
        options = {} if body is None else {"data": msgspec.json.encode(body), "content_type": "application/json"}
        return self.http.open(path, method=method, headers=sent, **options)

    def listen(self) -> None:
        """On a port of its own, for those who come over a socket."""
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True, request_handler=_Silent)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self.feed.stop()
        self.bus.close()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def nobody() -> int:
    """A port at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
