"""Requests to a process of the API as nobody's library would send them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import Any

from tests.api_process import Process

SESSION = "00000000-0000-4000-8000-000000000001"


def token(api: Process) -> str:
    return api.paths.token_file.read_text().strip()


def ask(
    api: Process, method: str, path: str, body: bytes | None = None, *, timeout: float = 20, **headers: str | None
) -> tuple[int, Any]:
    """One request with the right token and type, unless `headers` say otherwise (None: without)."""
    given: dict[str, str | None] = {"Authorization": f"Bearer {token(api)}", "Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", api.port, timeout=timeout)
    try:
        connection.request(method, path, body, {name: value for name, value in given.items() if value is not None})
        answer = connection.getresponse()
        raw = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(raw) if raw.startswith(b"{") else raw


def raw(api: Process) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=20)


def head(api: Process, length: int, more: str = "") -> bytes:
    return (
        f"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token(api)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
    ).encode()


CHAT = b'{"message": "do something"}'


def answer_of(connection: socket.socket) -> bytes:
    with contextlib.suppress(OSError):
        return connection.recv(12)
    return b""
