"""The API against people and programs that mean no good: a real process, real sockets, the supervisor's double."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from shared.access.tokens import NamedTokens
from tests.api_process import Process
from tests.faults.abuse_lab import CHAT, SESSION, ask, head, raw, token

pytestmark = pytest.mark.usefixtures("nothing_was_sent")


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
