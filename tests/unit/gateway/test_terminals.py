"""Two connections, joined byte for byte: what the node says passes, and who may not look any more is hung up on."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import EnvironBuilder

from api.gateway.here import EXTENSION
from api.gateway.terminals import Joined
from shared.access.persons import EXPECT_HEADER, PERSON_HEADER
from tests.gateway_double import Gateway, Node
from tests.harness import PATIENCE, until

SESSION = "00000000-0000-4000-8000-000000000000"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Terminal:
    """A node's end: it has the session; what was asked of its terminal, and a connection to speak on."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.head = b""
        self.connection: socket.socket | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.connection is None:
            connection, _ = self._listener.accept()
            connection.settimeout(PATIENCE)
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            if b"/terminal" in head:
                self.head, self.connection = head, connection
            else:
                connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{"session":{}}')
                connection.close()


@pytest.fixture
def node() -> Iterator[Terminal]:
    made = Terminal()
    yield made
    if made.connection is not None:
        made.connection.close()


def opened(ask: Gateway, query: str = "", **environ: Any) -> tuple[socket.socket, Any]:
    """The client's end, and what the application answered."""
    client, server = socket.socketpair()
    client.settimeout(PATIENCE)
    path = f"/api/sessions/n1~{SESSION}/terminal"
    headers = {**UPGRADE, "Authorization": f"Bearer {ask.token}"}
    built = EnvironBuilder(path, query_string=query, headers=headers, environ_overrides={"gunicorn.socket": server})
    with ask.app.request_context({**built.get_environ(), "wsgi.websocket": True, **environ}):
        response = ask.app.full_dispatch_request()
        if isinstance(response, Joined):
            with pytest.raises(StopIteration):
                response({}, None)
    server.close()
    return client, response


def at(ask: Gateway, port: int) -> None:
    """From now on the first node is at this port."""
    known = ask.gateway.nodes.get("n1")
    ask.gateway.nodes._nodes["n1"] = type(known)(
        "n1", "ok", type(known.address)(f"http://127.0.0.1:{port}", known.address.token, "n1"), known.id
    )


def test_what_either_says_reaches_the_other(ask: Gateway, one: Node, node: Terminal) -> None:
    at(ask, node.port)
    client, response = opened(ask, "mode=write&cols=80")
    assert isinstance(response, Joined), response.get_data()
    connection = until(lambda: node.connection, "the node was asked")
    head = node.head.decode()
    assert head.startswith(f"GET /api/sessions/{SESSION}/terminal?mode=write&cols=80 HTTP/1.1\r\n")
    assert f"{EXPECT_HEADER}: {one.node.id}" in head
    assert f"{PERSON_HEADER}: token%3Adefault;admin;" in head
    assert "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==" in head
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\nscreen")
    assert client.recv(100).endswith(b"screen")
    client.sendall(b"keys")
    assert connection.recv(100) == b"keys"
    connection.close()
    assert client.recv(100) == b""


def test_who_counts_no_more_is_hung_up_on(ask: Gateway, node: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.gateway.terminals.LOOK_SECONDS", 0.05)
    at(ask, node.port)
    client, _ = opened(ask)
    connection = until(lambda: node.connection, "the node was asked")
    (ask.paths.token_file).write_text("another\n")
    assert client.recv(100) == b""
    assert connection.recv(100) == b""


def test_a_node_that_is_away_is_said_before_the_connection_changes_hands(ask: Gateway, one: Node) -> None:
    one.stop()
    assert opened(ask)[1].status_code == 503
    assert ask.app.extensions[EXTENSION].nodes.all()[0].state == "unreachable"
