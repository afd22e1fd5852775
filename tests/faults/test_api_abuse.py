"""The API against people and programs that mean no good: a real process, real sockets, the supervisor's double."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.access.tokens import NamedTokens
from tests.api_process import BusServer, Process, until

SESSION = "00000000-0000-4000-8000-000000000001"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("h")
    (home / "config.yaml").write_text("api: {threads: 16, rate_per_minute: 0}\n")
    return home


@pytest.fixture(scope="module")
def bus(home: Path) -> Iterator[BusServer]:
    server = BusServer(home)
    server.supervisor.add_session(id=SESSION)
    yield server
    server.close()


@pytest.fixture(scope="module")
def api(home: Path, bus: BusServer) -> Iterator[Process]:
    process = Process(home, log=home / "api.log").wait_until_up()
    until(lambda: process.ask("GET", "/health")[0] == 200, "the API does not reach its supervisor")
    yield process
    process.end()


@pytest.fixture(autouse=True)
def nothing_was_sent(bus: BusServer) -> Iterator[None]:
    """No abuse may create a message or a session."""
    before = (len(bus.supervisor.messages), len(bus.supervisor.sessions))
    yield
    assert (len(bus.supervisor.messages), len(bus.supervisor.sessions)) == before


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


class TestWebPages:
    @pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.nip.io:3001", "localhost.evil.example", "0.0.0.0"])
    @pytest.mark.parametrize("path", ["/api/chat", "/health", "/api/docs", "/api/openapi.json", "/"])
    def test_a_rebinding_name_gets_nothing(self, api: Process, host: str, path: str) -> None:
        status, body = ask(api, "POST" if path == "/api/chat" else "GET", path, CHAT, Host=host)

        assert (status, body["code"]) == (403, "host_not_allowed")

    @pytest.mark.parametrize(
        "kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
    )
    def test_a_form_of_another_site_is_refused_even_without_an_origin(self, api: Process, kind: str) -> None:
        # multipart is for uploads with a token; what is no form inside is refused as such
        refused = 400 if kind.startswith("multipart/") else 415
        assert ask(api, "POST", "/api/chat", CHAT, Content_Type=kind)[0] == refused

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost.evil.example"])
    @pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
    def test_another_site_is_refused_even_with_the_token(self, api: Process, origin: str, method: str) -> None:
        path = f"/api/sessions/{SESSION}" if method in ("GET", "DELETE") else "/api/chat"
        status, body = ask(api, method, path, CHAT if method == "POST" else None, Origin=origin)

        assert (status, body["code"]) == (403, "origin_not_allowed")

    def test_an_event_stream_is_not_for_another_site(self, api: Process) -> None:
        assert ask(api, "GET", "/api/events", Origin="https://evil.example")[0] == 403
        assert ask(api, "GET", f"/api/sessions/{SESSION}/stream", Origin="null")[0] == 403


class TestTokens:
    def test_a_scope_too_low_is_named(self, api: Process, home: Path) -> None:
        secret = NamedTokens(home / "tokens.json").add("wall", "read")

        status, body = ask(api, "POST", "/api/chat", CHAT, Authorization=f"Bearer {secret}")
        assert (status, body["data"]) == (403, {"needed": "chat", "scope": "read"})
        assert ask(api, "GET", "/api/sessions", Authorization=f"Bearer {secret}")[0] == 200

        NamedTokens(home / "tokens.json").revoke("wall")
        assert ask(api, "GET", "/api/sessions", Authorization=f"Bearer {secret}")[0] == 401

    def test_no_token_is_ever_in_the_log(self, home: Path, tmp_path: Path) -> None:
        own = tmp_path / "own"
        own.mkdir()
        (own / "config.yaml").write_text("log: {level: debug}\n")
        process = Process(own, log=tmp_path / "api.log").wait_until_up()
        named = NamedTokens(own / "tokens.json").add("phone", "admin")
        default = token(process)
        for secret in (named, default, "wrong-" + named, "wrong-" + default):
            for path in ("/api/docs", f"/api/docs?token={secret}", f"/api/{secret}", f"/api/sessions/{secret}"):
                ask(process, "GET", path, Authorization=f"Bearer {secret}")
                ask(process, "GET", path, Authorization=secret, Cookie=f"token={secret}", Last_Event_ID="1")
            ask(process, "POST", "/api/chat", b'{"message"', Authorization=f"Bearer {secret}")
            with raw(process) as connection:
                connection.sendall(f"GET / HTTP/1.1\r\nAuthorization: Bearer {secret}\r\nbroken\r\n\r\n".encode())
                connection.recv(1000)
        log = process.end()

        assert log.count("request") > 20
        assert "Bearer" not in log
        said = [
            line for line in log.splitlines() if (named in line or default in line) and '"path": "/api/' not in line
        ]
        assert said == [], "only an address may quote what somebody wrote into it"

    @pytest.mark.parametrize("length", [0, 1, 10_000])
    def test_a_token_of_any_length_is_just_wrong(self, api: Process, length: int) -> None:
        status, _ = ask(api, "GET", "/api/sessions", Authorization="Bearer " + "x" * length)

        assert status in (401, 431)


class TestBodies:
    def test_a_compressed_body_is_not_unpacked(self, api: Process) -> None:
        bomb = gzip.compress(b'{"message": "' + b"a" * 30_000_000 + b'"}')
        for encoding in ("gzip", "deflate", "br", "gzip, identity"):
            status, body = ask(api, "POST", "/api/chat", bomb, Content_Encoding=encoding)
            assert (status, body["code"]) == (415, "unsupported_encoding")

    @pytest.mark.parametrize("unit", [b"[", b'{"a":', b'[{"a":[', b'{"message":['])
    def test_deep_nesting_is_refused_quickly(self, api: Process, unit: bytes) -> None:
        began = time.monotonic()
        status, body = ask(api, "POST", "/api/chat", unit * (5_000_000 // len(unit)))

        assert (status, body["code"]) == (400, "malformed_json")
        assert time.monotonic() - began < 15

    def test_deep_nesting_that_is_whole_is_no_crash(self, api: Process) -> None:
        for depth in (100, 900, 1_100, 100_000):
            nested = b'{"message": ' + b"[" * depth + b"]" * depth + b"}"
            assert ask(api, "POST", "/api/chat", nested)[0] == 400
            free = b'{"message": "", "userId": ' + b"[" * depth + b"]" * depth + b"}"
            assert ask(api, "POST", "/api/chat", free)[0] == 400
        assert api.child.poll() is None

    def test_more_than_the_limit_is_refused_unread(self, api: Process) -> None:
        with raw(api) as connection:
            connection.sendall(head(api, 10**12))
            assert connection.recv(12) == b"HTTP/1.1 413"

    def test_an_endless_chunked_body_is_cut_off(self, api: Process) -> None:
        with raw(api) as connection, contextlib.suppress(OSError):
            text = head(api, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            connection.sendall(text)
            chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            for _ in range(200):
                connection.sendall(chunk)
            raise AssertionError("200 MB were taken")

    @pytest.mark.parametrize(
        "body",
        [b"zz\r\n", b"-1\r\nx\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b"\r\n", b"f" * 9000 + b"\r\n", b"2\n{}\n0\n\n", b"5\r\nhello",
         b"2\r\n{}xx0\r\n\r\n", b"2;=\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\n", b"2\r\n{}\r\n0\r\nBad Header\r\n\r\n"],
    )  # fmt: skip
    def test_chunks_that_are_wrong_are_the_clients_fault_and_answered_once(self, api: Process, body: bytes) -> None:
        chat = head(api, 0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
        stranger = chat.replace(b"Bearer ", b"Bearer x")
        reader = chat.replace(b"POST /api/chat", b"GET /api/sessions")
        for sent, status in ((chat, 400), (stranger, 401), (reader, 200)):
            with raw(api) as connection:
                connection.sendall(
                    sent + body + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * body.startswith(b"zz")
                )
                connection.shutdown(socket.SHUT_WR)
                answer = connection.makefile("rb").read()
            assert answer.startswith(f"HTTP/1.1 {status} ".encode())
            assert answer.count(b"HTTP/1.1") == 1, "one request, one answer, and none for what is left of it"
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["success"] is (status == 200)

    @pytest.mark.parametrize(
        "body",
        [b"", b"null", b"[]", b'"x"', b"{", b"\xff\xfe", b'{"message": "\xff"}', b'{"message": "\\ud800"}', b'{"message": 1}',
         b'{"message": NaN}', b'{"message": "x", "wait": 1e999}', b'{"message": "x", "wait": -1}', b'{"message": "   "}'],
    )  # fmt: skip
    def test_what_is_no_request_is_400(self, api: Process, body: bytes) -> None:
        status, answer = ask(api, "POST", "/api/chat", body)

        assert (status, answer["success"]) == (400, False)
        assert answer["error"].endswith(".")

    def test_two_lengths_are_no_smuggling(self, api: Process) -> None:
        for more in ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"):
            with raw(api) as connection:
                connection.sendall(head(api, len(CHAT), more) + b"0\r\n\r\nGET /x HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert connection.recv(12) == b"HTTP/1.1 400"

    def test_what_never_became_a_request_is_answered_as_everything_else(self, api: Process) -> None:
        for sent, status in ((b"nonsense\r\n\r\n", 400), (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 414)):
            with raw(api) as connection:
                connection.sendall(sent)
                answer = connection.makefile("rb").read()
            body = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert (body["status"], body["code"], body["success"]) == (status, "bad_http", False)
            assert answer.startswith(f"HTTP/1.1 {status} {body['title']}\r\n".encode())
            assert {"error", "retryable", "type", "detail"} <= set(body)

    def test_a_long_question_in_any_script_fits_into_an_address(self, api: Process) -> None:
        question = quote("東京都庁" * 200)
        assert ask(api, "GET", f"/api/search?q={question}")[0] == 200


class TestNames:
    @pytest.mark.parametrize(
        "name",
        ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/token", "....//token", "/etc/passwd", "token%00",
         "..\\token", "%c0%ae%c0%ae/token", f"{SESSION}/../../token", f"{SESSION}%2f..%2ftoken"],
    )  # fmt: skip
    @pytest.mark.parametrize("call", ["/api/sessions/{}", "/api/sessions/{}/screen", "/api/messages/{}", "/{}"])
    def test_a_path_leads_nowhere(self, api: Process, call: str, name: str) -> None:
        status, body = ask(api, "GET", call.format(name))

        assert status in (400, 404)
        assert token(api) not in json.dumps(body if isinstance(body, dict) else body.decode("latin-1"))


def answer_of(connection: socket.socket) -> bytes:
    with contextlib.suppress(OSError):
        return connection.recv(12)
    return b""


class TestSlowClients:
    """Sixteen threads, and more slow clients than that."""

    @pytest.fixture
    def others(self, api: Process) -> Callable[[], float]:
        """The slowest answer that somebody else got meanwhile."""

        def slowest() -> float:
            took = 0.0
            for _ in range(20):
                began = time.monotonic()
                assert ask(api, "GET", "/api/sessions")[0] == 200
                took = max(took, time.monotonic() - began)
            return took

        return slowest

    def test_two_hundred_slow_heads_hold_nobody_up_and_are_sent_away(
        self, api: Process, others: Callable[[], float]
    ) -> None:
        slow = [raw(api) for _ in range(200)]
        stop = threading.Event()

        def drip() -> None:
            for connection in slow:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: ")
            while not stop.wait(0.5):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b"b")

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        began = time.monotonic()
        try:
            assert others() < 4, "or they would wait until the slow ones are sent away"
            assert answer_of(slow[0]) == b"HTTP/1.1 408"
            assert time.monotonic() - began < 20
        finally:
            stop.set()
            dripping.join()
            for connection in slow:
                connection.close()

    def test_slow_bodies_hold_a_quarter_of_the_threads_and_not_for_long(
        self, api: Process, others: Callable[[], float]
    ) -> None:
        began = time.monotonic()
        slow = [raw(api) for _ in range(40)]
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.5):
                for connection in slow:
                    with contextlib.suppress(OSError):
                        connection.send(b" ")

        dripping = threading.Thread(target=drip, daemon=True)
        try:
            for connection in slow:
                connection.sendall(head(api, 1000) + b"{")
            dripping.start()
            assert others() < 8, "each may hold a thread for a second at most, forty of them sixteen threads for three"
            with ThreadPoolExecutor(40) as crowd:
                answers = list(crowd.map(answer_of, slow))
            assert set(answers) == {b"HTTP/1.1 408"}
            assert time.monotonic() - began < 30
            assert others() < 4
        finally:
            stop.set()
            for connection in slow:
                connection.close()

    def test_a_slow_body_without_a_token_is_not_waited_for(self, api: Process) -> None:
        began = time.monotonic()
        with raw(api) as connection:
            connection.sendall(head(api, 1000).replace(b"Bearer", b"Basic"))
            assert answer_of(connection) == b"HTTP/1.1 401"
        assert time.monotonic() - began < 8

    def test_a_body_in_pieces_is_welcome(self, api: Process) -> None:
        body = b'{"message": "x", "sessionId": "nonsense"}'
        with raw(api) as connection:
            connection.sendall(head(api, len(body)))
            for at in range(0, len(body), 10):
                connection.sendall(body[at : at + 10])
                time.sleep(0.02)  # the pieces must be pieces
            assert answer_of(connection) == b"HTTP/1.1 404"

    def test_a_head_in_pieces_and_two_requests_at_once_are_welcome(self, api: Process) -> None:
        with raw(api) as connection:
            for piece in (b"\r\nGET /hea", b"lth HTTP/1.1\r\nHost: local", b"host\r\n", b"\r\n"):
                connection.sendall(piece)
                time.sleep(0.02)
            assert answer_of(connection) == b"HTTP/1.1 200"
        with raw(api) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
            stream = connection.makefile("rb")
            for _ in range(2):
                assert stream.readline().startswith(b"HTTP/1.1 200")
                length = 0
                while (line := stream.readline()) != b"\r\n":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                stream.read(length)

    def test_halves_of_a_head_by_the_thousand_hold_nobody_up(self, api: Process, others: Callable[[], float]) -> None:
        half = b"GET /health HTTP/1.1\r\nHost: loc"
        flood: list[socket.socket] = []
        stop = threading.Event()

        def fill(goal: int) -> None:
            for _ in range(goal):
                flood.append(raw(api))
                flood[-1].sendall(half)

        def keep_on() -> None:
            while not stop.wait(0.01):
                fill(5)
                for gone in flood[:5]:
                    gone.close()
                del flood[:5]

        fill(1500)
        more = threading.Thread(target=keep_on, daemon=True)
        more.start()
        try:
            assert others() < 1, "or they would wait until those are sent away"
        finally:
            stop.set()
            more.join()
            for connection in flood:
                connection.close()

    def test_silent_connections_make_room_for_those_who_ask(self, api: Process) -> None:
        silent: list[socket.socket] = []
        try:
            for _ in range(1100):
                silent.append(raw(api))
            began = time.monotonic()
            assert ask(api, "GET", "/api/sessions")[0] == 200
            assert time.monotonic() - began < 15
        finally:
            for connection in silent:
                connection.close()


def test_ten_thousand_connections_worth_of_requests(api: Process) -> None:
    """One connection a request, from eight clients at a time, some of them rude."""
    good = (
        f"GET /api/sessions HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token(api)}\r\nConnection: close\r\n\r\n"
    ).encode()
    kinds = {
        good: b"HTTP/1.1 200",
        good.replace(b"Bearer", b"Basic"): b"HTTP/1.1 401",
        good.replace(b"localhost", b"evil.example"): b"HTTP/1.1 403",
        b"nonsense\r\n\r\n": b"HTTP/1.1 400",
        good[:40]: b"",  # hangs up in the middle
    }
    requests = list(kinds.items()) * 313

    def client(_: int) -> int:
        served = 0
        for request, expected in requests:
            with raw(api) as connection:
                connection.sendall(request)
                if not expected:
                    continue
                assert answer_of(connection) == expected
                served += 1
        return served

    began = time.monotonic()
    with ThreadPoolExecutor(8) as crowd:
        served = sum(crowd.map(client, range(8)))

    assert served == 8 * 4 * 313 > 10_000
    assert time.monotonic() - began < 120
    assert ask(api, "GET", "/health")[0] == 200
    assert api.child.poll() is None
