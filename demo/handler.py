"""One connection of the demo model: HTTP in, plans out.

Binds the pure parts together and does the waiting. A client that leaves (Esc in the CLI closes the
connection) ends its request within 100 ms, so an interrupted turn never keeps a gate occupied.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

from demo import messages, script, wire
from demo.ledger import Ledger, Request
from demo.messages import Kind
from demo.plan import Drop, Fail, Gate, Pause, Plan, Text, Wait

_PING_SECONDS = 10.0
_HOSTS = {"127.0.0.1", "localhost"}
_CONVERSATION = (Kind.TURN, Kind.TOOL_RESULT, Kind.NOTIFICATION, Kind.CONTINUATION)


class _Closed(Exception):
    """The connection is over: the client left, the server stops, or the script says so."""


class Handler(BaseHTTPRequestHandler):
    """`ledger` is set by the server on a subclass of its own."""

    ledger: Ledger
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: prompts must not appear in logs."""

    def handle(self) -> None:
        try:
            super().handle()
        except (_Closed, ConnectionError, TimeoutError):
            self.close_connection = True

    def do_HEAD(self) -> None:
        self._answer(200, b"")

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        if path == "/_demo/health":
            self._json({"ok": True})
        elif path == "/_demo/turns":
            self._json([asdict(turn) for turn in self.ledger.turns()])
        elif path == "/_demo/requests":
            self._json([asdict(request) for request in self.ledger.requests()])
        elif path == "/_demo/gates":
            self._json(self.ledger.gates())
        elif path == "/":
            self.ledger.record(Request(time.time(), "GET", path, "probe"))
            self._json({"demo": "scripted Messages API"})
        else:
            self._unknown("GET", path)

    def do_POST(self) -> None:
        path = self._path()
        if path is None:
            return
        raw = self._body()
        if path.startswith("/_demo/release/"):
            self._json({"released": self.ledger.release(unquote(path.removeprefix("/_demo/release/")))})
            return
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._fail(Fail(400, message="The request body is not a JSON object."))
        elif path == "/_demo/fail":
            self._order_failures(body)
        elif path == "/v1/messages":
            self._message(body, raw)
        elif path == "/v1/messages/count_tokens":
            self.ledger.record(Request(time.time(), "POST", path, "count_tokens", len(raw)))
            self._json({"input_tokens": wire.tokens(len(raw))})
        else:
            self._unknown("POST", path)

    def _path(self) -> str | None:
        """The path; None, already answered, if the Host shows that a web page rebound its name to loopback."""
        host = self.headers.get("host", "127.0.0.1").rsplit(":", 1)[0]
        if host in _HOSTS:
            return urlsplit(self.path).path
        self.close_connection = True
        self._fail(Fail(403, message="The demo model answers on loopback only."))
        return None

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            raw = self._chunked_body()
        else:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        return gzip.decompress(raw) if self.headers.get("content-encoding", "").lower() == "gzip" else raw

    def _chunked_body(self) -> bytes:
        pieces: list[bytes] = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(pieces)

    def _message(self, body: dict[str, Any], raw: bytes) -> None:
        agent = self.headers.get("x-claude-code-agent-id")
        reading = messages.read(body.get("messages") or [], bool(body.get("tools")), agent is not None)
        conversation = messages.conversation_id(body)
        model = str(body.get("model", "demo"))
        tried = (conversation, agent, reading.kind, hash(reading.prompts), len(reading.called))
        attempt = self.ledger.attempt(tried)
        prompt = "" if reading.kind is Kind.NOTIFICATION else reading.prompt
        text = messages.prompt_text(prompt)
        request = Request(
            time.time(),
            "POST",
            "/v1/messages",
            reading.kind.value,
            len(raw),
            model,
            conversation,
            prompt,
            attempt,
        )
        self.ledger.record(request, text, raw)
        ordered = self.ledger.next_failure() if reading.kind in _CONVERSATION else None
        plan = Plan((ordered,)) if ordered else script.respond(reading, attempt, _schema(body))
        plan = self._before_first_byte(plan)
        if plan.steps and isinstance(plan.steps[0], Fail):
            self._fail(plan.steps[0])
        elif body.get("stream"):
            self._stream(plan, model, wire.tokens(len(raw)))
        else:
            self._whole(plan, model, wire.tokens(len(raw)))

    def _before_first_byte(self, plan: Plan) -> Plan:
        for position, step in enumerate(plan.steps):
            if not isinstance(step, (Wait, Gate)):
                return Plan(plan.steps[position:])
            self._pause(step)
        return Plan()

    def _stream(self, plan: Plan, model: str, input_tokens: int) -> None:
        self._head(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
        ready = bytearray()
        for piece in wire.events(plan, model, input_tokens):
            if isinstance(piece, bytes):
                ready += piece
                continue
            self._chunk(ready)
            ready.clear()
            self._pause(piece, ping=True)
        self._chunk(ready)
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _whole(self, plan: Plan, model: str, input_tokens: int) -> None:
        for step in plan.steps:
            if isinstance(step, (Wait, Gate, Drop)):
                self._pause(step)
            elif isinstance(step, Text) and step.over:
                self._pause(Wait(step.over))
        self._answer(200, wire.whole(plan, model, input_tokens))

    def _pause(self, pause: Pause, ping: bool = False) -> None:
        match pause:
            case Wait(seconds):
                stay = self.ledger.pause(seconds, self._gone)
            case Gate(name):
                stay = self.ledger.hold(name, self._pinging_gone() if ping else self._gone)
            case _:
                stay = False
        if not stay:
            raise _Closed

    def _pinging_gone(self) -> Callable[[], bool]:
        """`_gone`, sending the pings that keep a client from giving up on a silent stream."""
        due = time.monotonic() + _PING_SECONDS

        def gone() -> bool:
            nonlocal due
            if time.monotonic() >= due:
                due = time.monotonic() + _PING_SECONDS
                self._chunk(wire.PING)
            return self._gone()

        return gone

    def _gone(self) -> bool:
        """Has the client closed? Looks without consuming; a pipelined request counts as being there."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def _chunk(self, data: bytes | bytearray) -> None:
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), bytes(data)))
            self.wfile.flush()

    def _order_failures(self, body: dict[str, Any]) -> None:
        status, times, retry_after = body.get("status"), body.get("times", 1), body.get("retry_after")
        if not isinstance(status, int) or not isinstance(times, int) or not 400 <= status <= 599:
            self._fail(Fail(400, message="Give {status: 400-599, times}."))
            return
        self.ledger.order_failures(Fail(status, body.get("error_type"), None, retry_after), times)
        self._json({"ordered": times})

    def _unknown(self, method: str, path: str) -> None:
        self.ledger.record(Request(time.time(), method, path, "unknown"))
        self._fail(Fail(404))

    def _fail(self, fail: Fail) -> None:
        request_id = wire.new_id("req")
        headers = {"request-id": request_id, **wire.error_headers(fail)}
        self._answer(fail.status, wire.error_body(fail, request_id), headers)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value, ensure_ascii=False).encode(errors="replace"))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._head(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
        self.wfile.write(body)
        self.wfile.flush()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status, wire.REASONS.get(status))
        for name, value in {"request-id": wire.new_id("req"), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def _schema(body: dict[str, Any]) -> dict[str, Any] | None:
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None
